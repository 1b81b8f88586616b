//! The actions that a plan can have.

/// What happens to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It is published for the first time.
    Create,
    /// The source has other objects of it than are published: they are added or take the place of others.
    Replace,
    /// More of it is wanted than is published.
    Extend,
    /// Its objects are the same, and the source now declares it complete.
    Complete,
    /// The published set is as planned, and is made whole again at the destination.
    Repair,
    /// It is up to date.
    Keep,
    /// The source has not declared it complete.
    Wait,
    /// It was rewritten much smaller and is held back.
    Hold,
    /// It is gone at the source and kept here.
    Expired,
    /// There is nothing at the source, nor here.
    Missing,
    /// The source has it complete, without anything of what is selected.
    Empty,
}

impl Action {
    /// The action's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Extend => "extend",
            Self::Complete => "complete",
            Self::Repair => "repair",
            Self::Keep => "keep",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Empty => "empty",
        }
    }

    /// Whether a set is published.
    pub fn is_change(self) -> bool {
        match self {
            Self::Create | Self::Replace | Self::Extend | Self::Complete | Self::Repair => true,
            Self::Keep | Self::Wait | Self::Hold | Self::Expired | Self::Missing | Self::Empty => false,
        }
    }

    /// Whether what a former run staged of the partition is of no use any more.
    pub fn settles(self) -> bool {
        matches!(self, Self::Keep | Self::Hold | Self::Expired | Self::Missing | Self::Empty)
    }
}
