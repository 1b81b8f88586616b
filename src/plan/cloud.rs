//! Which cloud a partition is taken from.

use super::Action;
use super::decide::Decision;
use crate::export::Scope;
use crate::manifest::Header;

/// A cloud as the choice between clouds sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where the export lies there, as manifests name it.
    pub source: String,
    /// Whether it has the day; `None` where it refuses to tell.
    pub has_day: Option<bool>,
    /// Whether the day counts as complete there; only known where the choice depends on it.
    pub is_complete: bool,
}

/// Which cloud a partition is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The candidate with this number, and why that one.
    Take(usize, &'static str),
    /// None is known to have the day.
    Nowhere,
    /// What is published stays as it is.
    Leave(Decision),
}

/// Chooses the cloud of a partition, the preferred candidate being the first.
///
/// A published partition is compared with the cloud that it came from for as long as that one has
/// it: the same day has other file names in another cloud, and a mixture would count every event
/// twice. Once that cloud has it no more, a complete day stays, unless it is damaged here
/// (`is_damaged`) and another cloud has it complete; an incomplete one is taken whole from another
/// cloud. An unpublished day is taken where it is complete, else where it is. Of a day whose own cloud
/// takes no part nothing is known, so that it never counts as gone.
pub fn choose_cloud(published: Option<&Header>, is_damaged: bool, asked: &Scope, candidates: &[Candidate]) -> Choice {
    let having = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.has_day == Some(true));
    let first_where = |is_wanted: fn(&Candidate) -> bool| {
        having().find(|(_, candidate)| is_wanted(candidate)).map(|(index, _)| index)
    };
    let complete = first_where(|candidate| candidate.is_complete);
    if let Some(header) = published {
        if let Some((index, _)) = having().find(|(_, candidate)| candidate.source == header.source) {
            return Choice::Take(index, "where the published day came from");
        }
        if let Some(index) = complete.filter(|_| is_damaged) {
            return Choice::Take(index, "damaged here, and its own cloud does not give it now");
        }
        let keep = |reason| Choice::Leave(Decision { action: Action::Keep, reason, completeness: header.completeness });
        let is_settled = header.completeness.is_complete() && header.selection.covers(asked);
        let is_elsewhere = having().next().is_some();
        let own = candidates.iter().find(|candidate| candidate.source == header.source);
        match own {
            None if is_settled || !is_elsewhere => {
                return keep("published from a cloud that takes no part in this run, kept");
            }
            Some(own) if is_settled && is_elsewhere => {
                return keep(match own.has_day {
                    None => "published from a cloud that does not tell whether it has it, kept",
                    Some(_) => "published from a cloud that does not have it now, kept",
                });
            }
            _ => {}
        }
    }
    match (having().count(), complete, first_where(|_| true)) {
        (1, _, Some(only)) => Choice::Take(only, "the only cloud that has it"),
        (_, Some(complete), _) => Choice::Take(complete, "the first cloud that has it complete"),
        (_, None, Some(preferred)) => Choice::Take(preferred, "the preferred cloud, complete in none"),
        (_, None, None) => Choice::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::header;
    use super::*;
    use crate::manifest::Completeness;

    fn candidate(source: &str, has_day: bool, is_complete: bool) -> Candidate {
        Candidate { source: source.into(), has_day: Some(has_day), is_complete }
    }

    #[test]
    fn a_new_day_comes_from_the_cloud_that_has_it_complete_and_else_from_the_preferred_one() {
        let choose = |gcs: (bool, bool), s3: (bool, bool)| {
            let candidates = [candidate("gs", gcs.0, gcs.1), candidate("s3", s3.0, s3.1)];
            choose_cloud(None, false, &Scope::All, &candidates)
        };
        assert!(matches!(choose((true, true), (true, true)), Choice::Take(0, _)));
        assert!(matches!(choose((true, false), (true, true)), Choice::Take(1, _)));
        assert!(matches!(choose((true, false), (true, false)), Choice::Take(0, _)));
        assert!(matches!(choose((false, false), (true, false)), Choice::Take(1, _)));
        assert_eq!(choose((false, false), (false, false)), Choice::Nowhere);
    }

    #[test]
    fn a_published_day_stays_with_its_cloud_while_that_has_it() {
        let mut published = header(1, 100, Completeness::Declared, Scope::All);
        published.source = "s3".into();
        let choose = |published: &Header, is_damaged, gcs_is_complete, s3_has_day| {
            let candidates = [candidate("gs", true, gcs_is_complete), candidate("s3", s3_has_day, false)];
            choose_cloud(Some(published), is_damaged, &Scope::All, &candidates)
        };
        assert!(matches!(choose(&published, false, true, true), Choice::Take(1, _)));
        assert!(matches!(choose(&published, true, true, true), Choice::Take(1, _)), "repaired from its own cloud");
        assert!(
            matches!(choose(&published, false, true, false), Choice::Leave(_)),
            "complete: kept, never replaced by other names"
        );
        assert!(matches!(choose(&published, true, true, false), Choice::Take(0, _)), "damaged: whole from the other");
        assert!(matches!(choose(&published, true, false, false), Choice::Leave(_)), "nowhere complete");
        let s3_only = [candidate("s3", false, false)];
        assert_eq!(
            choose_cloud(Some(&published), false, &Scope::All, &s3_only),
            Choice::Nowhere,
            "retention: reported as expired"
        );
        let gcs_only = [candidate("gs", false, false)];
        let kept = choose_cloud(Some(&published), false, &Scope::All, &gcs_only);
        assert!(matches!(kept, Choice::Leave(_)), "nobody can say that it is gone");
        published.completeness = Completeness::Undeclared;
        let kept = choose_cloud(Some(&published), false, &Scope::All, &gcs_only);
        assert!(matches!(kept, Choice::Leave(_)), "an incomplete one neither");
        assert!(
            matches!(choose(&published, false, false, false), Choice::Take(0, _)),
            "incomplete: taken whole from the other"
        );
    }
}
