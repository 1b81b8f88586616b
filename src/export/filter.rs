//! Which experiments and events of a day are wanted.

use serde::{Deserialize, Serialize};

use super::{hive_escape, hive_unescape};
use crate::error::{Error, ErrorKind, Result};

/// A name with `*` and `?` wildcards, matched against a sub-partition's raw and escaped forms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    /// A pattern as a user wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an empty pattern or one with a slash, which no name can match.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.contains('/') && text.contains(['*', '?']) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("`{}` cannot match the name of an event", super::printable(text)),
            )
            .with_hint("write the name as it is in the application, or a pattern with * and ?"));
        }
        Ok(Self(text.to_owned()))
    }

    fn matches(&self, segment_value: &str) -> bool {
        let pattern = wildmatch::WildMatch::new(&self.0);
        self.0 == segment_value || pattern.matches(segment_value) || pattern.matches(&hive_unescape(segment_value))
    }

    /// The beginning without wildcards, and whether there is anything after it.
    fn literal_beginning(&self) -> (&str, bool) {
        match self.0.find(['*', '?']) {
            Some(index) => (&self.0[..index], true),
            None => (&self.0, false),
        }
    }

    /// The list prefixes below a partition that cover every name the pattern matches.
    fn prefixes(&self, folder: &str) -> Vec<String> {
        let (literal, is_open) = self.literal_beginning();
        let end = if is_open { "" } else { "/" };
        let mut prefixes = vec![format!("{folder}={}{end}", hive_escape(literal))];
        if !literal.contains('/') {
            prefixes.push(format!("{folder}={literal}{end}"));
        }
        prefixes
    }
}

/// Which sub-partitions of a partition are wanted.
///
/// Nothing included means everything is; an exclusion always wins.
///
/// ```
/// use e3sync::Mirror;
/// use e3sync::export::{Filter, NamePattern, Scope};
///
/// let filter = Filter { events: vec![NamePattern::parse("add_to_*")?], ..Filter::default() };
/// let mirror = Mirror::in_directory("./events", jiff::Timestamp::now()).scope(Scope::of_filter(filter));
/// # Ok::<(), e3sync::error::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Filter {
    /// Experiment ids, matched whole: `12` is not `123`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<NamePattern>,
    /// Event names or patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<NamePattern>,
    /// Event names or patterns to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_events: Vec<NamePattern>,
}

impl Filter {
    /// Whether an object with this key (below the partition) is wanted.
    fn matches(&self, key: &str) -> bool {
        let folder = key.split_once('/').map_or("", |(folder, _)| folder);
        let value_of = |name: &str| folder.strip_prefix(name)?.strip_prefix('=');
        let event = value_of("event");
        let any = |patterns: &[NamePattern], value: Option<&str>| {
            value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
        };
        let includes_all = self.experiments.is_empty() && self.events.is_empty();
        let is_included = includes_all || any(&self.experiments, value_of("experiment")) || any(&self.events, event);
        is_included && !any(&self.exclude_events, event)
    }

    fn prefixes(&self) -> Vec<String> {
        let experiments = self.experiments.iter().flat_map(|id| id.prefixes("experiment"));
        let events = self.events.iter().flat_map(|event| event.prefixes("event"));
        let prefixes: Vec<String> = experiments.chain(events).collect();
        if prefixes.is_empty() { vec![String::new()] } else { prefixes }
    }
}

/// How much of each partition is selected: all of it, or what at least one filter wants.
///
/// Several filters come together when a partition that was published for one is asked for another:
/// the published part is kept, the new part is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Whole partitions.
    All,
    /// What at least one of the filters wants; sorted, without repetition.
    AnyOf(Vec<Filter>),
}

impl Scope {
    /// The scope of one filter as a user gave it.
    pub fn of_filter(mut filter: Filter) -> Self {
        for patterns in [&mut filter.experiments, &mut filter.events, &mut filter.exclude_events] {
            patterns.sort();
            patterns.dedup();
        }
        if filter == Filter::default() { Self::All } else { Self::AnyOf(vec![filter]) }
    }

    /// Whether an object with this key (below the partition) is selected.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::AnyOf(filters) => filters.iter().any(|filter| filter.matches(key)),
        }
    }

    /// Whether everything that `other` selects is selected here.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::AnyOf(_), Self::All) => false,
            (Self::AnyOf(mine), Self::AnyOf(theirs)) => theirs.iter().all(|filter| mine.contains(filter)),
        }
    }

    /// What either selects.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::AnyOf(mine), Self::AnyOf(theirs)) => {
                let mut filters: Vec<Filter> = mine.iter().chain(theirs).cloned().collect();
                filters.sort();
                filters.dedup();
                Self::AnyOf(filters)
            }
        }
    }

    /// The prefixes below a partition to list, ascending and none within another, so that their
    /// listings joined are one ascending listing and what is not wanted is not listed.
    pub fn prefixes(&self) -> Vec<String> {
        let mut prefixes = match self {
            Self::All => vec![String::new()],
            Self::AnyOf(filters) => filters.iter().flat_map(Filter::prefixes).collect(),
        };
        prefixes.sort();
        let mut outermost: Vec<String> = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            if !outermost.last().is_some_and(|outer| prefix.starts_with(outer.as_str())) {
                outermost.push(prefix);
            }
        }
        outermost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect()
    }

    fn events(texts: &[&str]) -> Scope {
        Scope::of_filter(Filter { events: patterns(texts), ..Filter::default() })
    }

    #[test]
    fn an_event_matches_in_its_raw_and_its_escaped_form() {
        for typed in ["a:b", "a%3Ab", "a*b", "a?b"] {
            let scope = events(&[typed]);
            assert!(scope.matches("event=a%3Ab/p.parquet"), "{typed}");
        }
        assert!(events(&["a:b"]).matches("event=a:b/p.parquet"));
        assert!(!events(&["a:b"]).matches("event=a:bc/p.parquet"));
    }

    #[test]
    fn an_experiment_matches_whole() {
        let scope = Scope::of_filter(Filter { experiments: patterns(&["12"]), ..Filter::default() });
        assert!(scope.matches("experiment=12/p.parquet"));
        assert!(!scope.matches("experiment=123/p.parquet"));
        assert!(!scope.matches("event=12/p.parquet"));
        assert_eq!(scope.prefixes(), ["experiment=12/"]);
    }

    #[test]
    fn an_exclusion_wins_and_leaves_the_rest() {
        let filter = Filter { exclude_events: patterns(&["debug*"]), ..Filter::default() };
        let scope = Scope::of_filter(filter);
        assert!(scope.matches("event=cart/p.parquet"));
        assert!(!scope.matches("event=debug_x/p.parquet"));
        assert!(scope.matches("experiment=1/p.parquet"));
        assert_eq!(scope.prefixes(), [""]);
    }

    #[test]
    fn only_what_is_wanted_is_listed() {
        assert_eq!(events(&["a:b"]).prefixes(), ["event=a%3Ab/", "event=a:b/"]);
        assert_eq!(events(&["cart*", "cart_open"]).prefixes(), ["event=cart"]);
        assert_eq!(events(&["*x", "cart"]).prefixes(), ["event="]);
    }

    #[test]
    fn asking_for_another_part_keeps_the_published_one() {
        let (cart, view) = (events(&["cart"]), events(&["view"]));
        let both = cart.union(&view);
        assert!(both.covers(&cart) && both.covers(&view) && !cart.covers(&view));
        assert!(both.matches("event=cart/p") && both.matches("event=view/p"));
        assert!(Scope::All.covers(&both) && !both.covers(&Scope::All));
        assert_eq!(Scope::All.union(&cart), Scope::All);
    }
}
