//! What the source has or lacks so that it cannot be mirrored, in words.

use e3sync::export::Strays;
use e3sync::plan::Vanished;

use crate::cli::units::Counted;

/// A sentence for each that there is.
pub fn lines(strays: &Strays, vanished: &Vanished) -> Vec<String> {
    vanished.message().into_iter().chain(stray_line(strays)).collect()
}

fn stray_line(strays: &Strays) -> Option<String> {
    if strays.is_empty() {
        return None;
    }
    let unnamed = strays.count.saturating_sub(strays.named.len() as u64);
    let more = if unnamed == 0 { String::new() } else { format!(" and {unnamed} more") };
    let what = Counted(strays.count, "entry is not a day", "entries are not days");
    Some(format!("{what} at the source and cannot be mirrored: {}{more}", strays.named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_are_counted_and_the_first_are_named() {
        let mut strays = Strays::default();
        assert!(lines(&strays, &Vanished::default()).is_empty());
        strays.add("type=events/date=2026-1-2/");
        assert_eq!(
            lines(&strays, &Vanished::default()),
            ["1 entry is not a day at the source and cannot be mirrored: type=events/date=2026-1-2/"]
        );
        (0..10).for_each(|_| strays.add("x"));
        assert!(lines(&strays, &Vanished::default())[0].ends_with(" and 6 more"));
    }
}
