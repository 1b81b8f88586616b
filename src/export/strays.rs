//! What a type's listing has besides days.

use super::printable;

/// What stands among a type's days and is none: a folder such as `date=2026-1-2`, an object directly
/// below `type=T/`. Nothing of it can be mirrored, so it is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// The number of them.
    pub count: u64,
    /// The first few, as paths below the account's prefix, escaped for output.
    pub named: Vec<String>,
}

impl Strays {
    /// Maximum number that are named.
    pub const NAMED_MAX: usize = 5;

    /// Adds one, by its path below the account's prefix.
    pub fn add(&mut self, path: &str) {
        self.count += 1;
        self.name(|| printable(path).into());
    }

    /// Adds those of another type.
    pub fn extend(&mut self, others: Self) {
        self.count += others.count;
        for named in others.named {
            self.name(|| named);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn name(&mut self, named: impl FnOnce() -> String) {
        if self.named.len() < Self::NAMED_MAX {
            self.named.push(named());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_named() {
        let mut strays = Strays::default();
        assert!(strays.is_empty());
        (0..9).for_each(|number| strays.add(&format!("type=a/date=x{number}/")));
        let mut more = Strays::default();
        more.add("type=b/\u{1b}[2J");
        strays.extend(more.clone());
        assert_eq!((strays.count, strays.named.len()), (10, Strays::NAMED_MAX));
        assert!(!more.named[0].contains('\u{1b}'), "{:?}", more.named);
    }
}
