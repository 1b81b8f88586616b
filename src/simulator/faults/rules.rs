//! Which injected fault a request meets.

use super::super::call::Call;
use super::super::seed::Dice;
use super::{Action, Depth, Fault, Target};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// When a fault can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything is looked at.
    Arrival,
    /// To a sound page of keys.
    Listing,
    /// To a sound answer of any kind; `partial` if it has a `Content-Range`.
    Answer { length_bytes: u64, partial: bool, tagged: bool },
}

/// An injected fault, to ask how often it fired.
#[derive(Debug, Clone)]
pub struct Injected(Arc<Rule>);

impl Injected {
    /// The fault.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// How often it fired so far.
    pub fn fired(&self) -> u64 {
        self.0.state().fired
    }

    /// Lets the requests go on that [`Action::Hold`] holds, and those that it would hold.
    pub fn release(&self) {
        self.0.gate.close();
    }
}

/// A fault that fired at one request.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    pub(crate) action: Action,
    rule: Arc<Rule>,
}

impl Fired {
    /// The fault in its text form, for the log.
    pub(crate) fn text(&self) -> String {
        self.rule.fault.to_string()
    }

    /// Waits until the fault is released.
    pub(crate) async fn released(&self) {
        // Nothing gives permits: the wait ends with the gate.
        let _ = self.rule.gate.acquire().await;
    }
}

/// All injected faults in the order of their injection.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    seed: u64,
    rules: Mutex<Vec<Arc<Rule>>>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    injected_at: Instant,
    state: Mutex<State>,
    /// Without permits, and closed when the fault is released.
    gate: Semaphore,
}

#[derive(Debug)]
struct State {
    met: u64,
    fired: u64,
    dice: Dice,
}

impl Rules {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, rules: Mutex::default() }
    }

    pub(crate) fn inject(&self, fault: Fault) -> Injected {
        let mut rules = self.rules();
        let dice = Dice::new(self.seed, &["fault", &rules.len().to_string(), &fault.to_string()]);
        let state = Mutex::new(State { met: 0, fired: 0, dice });
        let rule = Arc::new(Rule { fault, injected_at: Instant::now(), state, gate: Semaphore::new(0) });
        rules.push(rule.clone());
        Injected(rule)
    }

    pub(crate) fn clear(&self) {
        self.rules().clear();
    }

    pub(crate) fn all(&self) -> Vec<Injected> {
        self.rules().iter().cloned().map(Injected).collect()
    }

    /// The first fault that fires at the call, if any does. Faults behind it do not meet the call.
    pub(crate) fn fire(&self, call: &Call, moment: Moment) -> Option<Fired> {
        let rules = self.rules();
        let rule = rules.iter().find(|rule| rule.fits(call, moment) && rule.fires())?.clone();
        Some(Fired { action: rule.fault.action.clone(), rule })
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn fits(&self, call: &Call, moment: Moment) -> bool {
        let targeted = match self.fault.target {
            Target::Any => true,
            Target::Only(operation) => operation == call.operation,
        };
        let keyed = self.fault.key.as_ref().is_none_or(|part| call.subject().contains(part.as_str()));
        let clouded = self.fault.cloud.is_none_or(|cloud| cloud == call.cloud);
        let deep = self.fault.depth.is_none_or(|depth| Depth::of(call) == Some(depth));
        let concerned = !matches!(self.fault.action, Action::Refusal(refusal) if !refusal.concerns(call));
        let busy = self.fault.busier_than.is_none_or(|requests| call.at_once > requests);
        targeted && keyed && clouded && deep && concerned && busy && happens(&self.fault.action, moment)
    }

    fn fires(&self) -> bool {
        let mut state = self.state();
        state.met += 1;
        let due = state.met > self.fault.after && state.fired < self.fault.times_max();
        let lasts = self.fault.lasting.is_none_or(|lasting| self.injected_at.elapsed() < lasting);
        let fires = due && lasts && self.fault.chance_percent.is_none_or(|percent| hit(&mut state.dice, percent));
        state.fired += u64::from(fires);
        fires
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hit(dice: &mut Dice, percent: f64) -> bool {
    const PARTS: u64 = 1 << 53;
    (dice.below(PARTS) as f64) < percent / 100.0 * PARTS as f64
}

/// True if the action can happen at the moment; faults of bytes need an answer that has them.
fn happens(action: &Action, moment: Moment) -> bool {
    match action {
        Action::Status { .. }
        | Action::Refusal(_)
        | Action::Page(_)
        | Action::ExpireAll
        | Action::RevokeToken
        | Action::Delay(_)
        | Action::Hold
        | Action::Html200
        | Action::EmptyBody
        | Action::Garbage
        | Action::Redirect(_) => moment == Moment::Arrival,
        Action::RepeatToken
        | Action::WrongBucketName
        | Action::WrongPrefix
        | Action::ForeignKeys
        | Action::Unsorted
        | Action::RepeatKey
        | Action::StepBack
        | Action::EmptyListing
        | Action::HugePage(_)
        | Action::TruncatedXml => moment == Moment::Listing,
        Action::Stall(bytes)
        | Action::Cut(bytes)
        | Action::Reset(bytes)
        | Action::FlipBit(bytes)
        | Action::ShortChunked(bytes) => {
            matches!(moment, Moment::Answer { length_bytes, .. } if length_bytes > *bytes)
        }
        Action::LyingLength(_) => matches!(moment, Moment::Answer { length_bytes: 1.., .. }),
        Action::WrongContentRange => matches!(moment, Moment::Answer { partial: true, .. }),
        Action::WrongETag => matches!(moment, Moment::Answer { tagged: true, .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(uri: &str) -> Call {
        Call::new(1, http::Request::get(uri).body(()).unwrap().into_parts().0)
    }

    fn fired(text: &str, requests: usize) -> Vec<usize> {
        let rules = Rules::new(1);
        let injected = rules.inject(text.parse().unwrap());
        let fired: Vec<_> =
            (1..=requests).filter(|_| rules.fire(&call("/b/v1/key"), Moment::Arrival).is_some()).collect();
        assert_eq!(injected.fired(), fired.len() as u64);
        fired
    }

    #[test]
    fn a_fault_fires_as_often_as_it_says() {
        assert_eq!(fired("get:error", 5), [1]);
        assert_eq!(fired("get:error times=2 after=1", 5), [2, 3]);
        assert_eq!(fired("any:error nth=4", 5), [4]);
        assert_eq!(fired("get:error times=always", 3), [1, 2, 3]);
        assert_eq!(fired("list:error", 5), [0; 0]);
        assert_eq!(fired("get:error key=other", 5), [0; 0]);
        assert_eq!(fired("get:error times=9 key=v1/k", 2), [1, 2]);
        assert_eq!(fired("get:error for=0s", 5), [0; 0]);
        assert_eq!(fired("get:error cloud=s3", 5), [1]);
        assert_eq!(fired("get:error cloud=gcs", 5), [0; 0]);
    }

    #[test]
    fn a_server_that_is_busy_minds_what_is_asked_at_once() {
        let rules = Rules::new(1);
        rules.inject("get:throttled busy=20".parse().unwrap());
        let fires = |at_once| rules.fire(&call("/b/v1/key").among(at_once), Moment::Arrival).is_some();
        assert_eq!([1, 20, 21, 100, 20].map(fires), [false, false, true, true, false]);
    }

    #[test]
    fn chance_is_seeded() {
        let thrown = fired("get:error chance=30%", 200);
        assert!((30..90).contains(&thrown.len()), "{} of 200", thrown.len());
        assert_eq!(thrown, fired("get:error chance=30%", 200));
        assert_eq!(fired("get:error chance=100%", 3), [1, 2, 3]);
    }

    #[test]
    fn faults_of_the_body_wait_for_one_that_is_long_enough() {
        let rules = Rules::new(1);
        rules.inject("get:cut@10".parse().unwrap());
        let answer = |length_bytes| Moment::Answer { length_bytes, partial: false, tagged: true };
        assert!(rules.fire(&call("/b/k"), Moment::Arrival).is_none());
        assert!(rules.fire(&call("/b/k"), answer(10)).is_none());
        assert!(rules.fire(&call("/b/k"), answer(11)).is_some());
        assert_eq!(rules.all()[0].fired(), 1);
        rules.clear();
        assert!(rules.all().is_empty());
    }
}
