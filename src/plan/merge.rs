//! What a published partition becomes when the source lists other objects of it: the rule of design.md
//! promise 3, which stands nowhere else.
//!
//! Retention removes objects at the source, one by one or all of them, and what it removed may exist
//! nowhere else: it is kept here. A rerun of the vendor's job writes the same events again under other
//! names: the old objects go, since both together would count every event twice. The two are told apart
//! per sub-partition (`experiment=`, `event=`), by identities alone; whether a file is sound here does
//! not matter.

use crate::error::Result;
use crate::export::{Object, Scope};
use crate::manifest::{Entry, Keyed};

use jiff::Timestamp;

/// What the rule needs to know besides the two lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergeTerms<'a> {
    /// What of the partition was selected when it was published. The listing covers it.
    pub published_scope: &'a Scope,
    /// Whether the listing is of the cloud that the published set came from. Another cloud's objects
    /// are never the same as these, whatever their names.
    pub is_same_source: bool,
    /// Whether the source's losses are accepted: what it no longer lists goes here too.
    pub accepts_losses: bool,
    /// The time to mark newly lost objects with.
    pub now: Timestamp,
}

/// An object as a listing has it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub object: Object,
    /// Its rows, once its bytes are known.
    pub rows: Option<u64>,
}

impl Keyed for Listed {
    fn key(&self) -> &str {
        &self.object.key
    }
}

/// The published and the listed object of one key; at least one of them.
pub(crate) type Pair = (Option<Entry>, Option<Listed>);

/// What became of a sub-partition of the published set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Published objects are still listed, or nothing of it was published: the result is the union.
    Union,
    /// None of its published objects is listed, and it has others.
    Rewritten,
    /// Nothing of it is listed.
    Absent,
}

/// How many objects of a sub-partition are where.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    published: u64,
    listed: u64,
    /// Published and listed with the same identity.
    same: u64,
}

impl Census {
    fn verdict(self) -> Verdict {
        match (self.published, self.same, self.listed) {
            (0, ..) | (_, 1.., _) => Verdict::Union,
            (_, 0, 0) => Verdict::Absent,
            (_, 0, _) => Verdict::Rewritten,
        }
    }

    fn add(&mut self, pair: &Pair, terms: &MergeTerms<'_>) {
        self.published += u64::from(pair.0.is_some());
        self.listed += u64::from(pair.1.is_some());
        self.same += u64::from(is_same(pair, terms));
    }
}

fn is_same((entry, listed): &Pair, terms: &MergeTerms<'_>) -> bool {
    let is_same = |entry: &Entry, listed: &Listed| terms.is_same_source && entry.is_of(&listed.object);
    entry.as_ref().zip(listed.as_ref()).is_some_and(|(entry, listed)| is_same(entry, listed))
}

fn key_of(pair: &Pair) -> &str {
    match pair {
        (Some(entry), _) => &entry.key,
        (None, Some(listed)) => &listed.object.key,
        (None, None) => "",
    }
}

/// The sub-partition of a key: its first segment; `None` for an object that lies in none.
fn sub_partition_of(key: &str) -> Option<&str> {
    key.split_once('/').map(|(sub_partition, _)| sub_partition)
}

/// The rule's verdicts about a partition, from a first walk over both lists.
///
/// Takes a byte for each sub-partition; the objects themselves are never in memory as a whole.
#[derive(Debug)]
pub(crate) struct Merge {
    /// One for each sub-partition, in the order of their keys: those of one stand together.
    verdicts: Vec<Verdict>,
    /// The objects that lie in no sub-partition.
    unpartitioned: Verdict,
    /// No published object is listed and others are: the day was rewritten as a whole.
    is_rewritten: bool,
    /// Whether anything is listed at all. An empty listing never empties anything.
    is_listed: bool,
}

impl Merge {
    /// Walks over all pairs, ascending by key, and finds what became of each sub-partition.
    ///
    /// # Errors
    /// What the lists return.
    pub fn judge(pairs: impl Iterator<Item = Result<Pair>>, terms: &MergeTerms<'_>) -> Result<Self> {
        let mut verdicts = Vec::new();
        let mut current: Option<(String, Census)> = None;
        let (mut unpartitioned, mut all, mut listed_in_scope) = (Census::default(), Census::default(), 0_u64);
        for pair in pairs {
            let pair = pair?;
            let key = key_of(&pair);
            all.add(&pair, terms);
            listed_in_scope += u64::from(pair.1.is_some() && terms.published_scope.matches(key));
            match (sub_partition_of(key), &mut current) {
                (None, _) => unpartitioned.add(&pair, terms),
                (Some(name), Some((last, census))) if last == name => census.add(&pair, terms),
                (Some(name), current) => {
                    let mut census = Census::default();
                    census.add(&pair, terms);
                    let ended = current.replace((name.to_owned(), census));
                    verdicts.extend(ended.map(|(_, census)| census.verdict()));
                }
            }
        }
        verdicts.extend(current.map(|(_, census)| census.verdict()));
        Ok(Self {
            verdicts,
            unpartitioned: unpartitioned.verdict(),
            is_rewritten: all.published > 0 && all.same == 0 && listed_in_scope > 0,
            is_listed: all.listed > 0,
        })
    }

    /// Walks over the same pairs again and says of each what becomes of it.
    pub fn members<'a>(
        &'a self,
        pairs: impl Iterator<Item = Result<Pair>> + 'a,
        terms: &'a MergeTerms<'a>,
    ) -> impl Iterator<Item = Result<Member>> + 'a {
        let mut verdicts = self.verdicts.iter().copied();
        let mut current: Option<(String, Verdict)> = None;
        pairs.map(move |pair| {
            let pair = pair?;
            let verdict = match (sub_partition_of(key_of(&pair)), &mut current) {
                (None, _) => self.unpartitioned,
                (Some(name), Some((last, verdict))) if last == name => *verdict,
                (Some(name), current) => {
                    let verdict = verdicts.next().unwrap_or(Verdict::Union);
                    *current = Some((name.to_owned(), verdict));
                    verdict
                }
            };
            Ok(self.member(pair, verdict, terms))
        })
    }

    fn member(&self, pair: Pair, verdict: Verdict, terms: &MergeTerms<'_>) -> Member {
        let is_same = is_same(&pair, terms);
        match pair {
            (Some(entry), Some(listed)) if is_same => {
                Member::Unchanged { object: listed.object, was_gone: entry.gone_at_source.is_some() }
            }
            (Some(before), Some(listed)) => Member::Changed { before: Box::new(before), listed },
            (Some(entry), None) if self.goes(verdict, terms) => Member::Dropped(entry),
            (Some(entry), None) => {
                let is_newly_gone = entry.gone_at_source.is_none();
                let gone_at_source = entry.gone_at_source.or(Some(terms.now));
                Member::Kept { object: Object { gone_at_source, ..entry.object() }, is_newly_gone }
            }
            (None, Some(listed)) => {
                let is_in_scope = terms.published_scope.matches(&listed.object.key);
                let takes_a_place = verdict == Verdict::Rewritten || (self.is_rewritten && is_in_scope);
                Member::Added { listed, takes_a_place }
            }
            (None, None) => Member::Nothing,
        }
    }

    /// Whether published objects of a sub-partition that are no longer listed go.
    fn goes(&self, verdict: Verdict, terms: &MergeTerms<'_>) -> bool {
        let is_replaced = match verdict {
            Verdict::Union => false,
            Verdict::Rewritten => true,
            Verdict::Absent => self.is_rewritten,
        };
        is_replaced || (terms.accepts_losses && self.is_listed)
    }
}

/// What becomes of one key.
#[derive(Debug)]
pub(crate) enum Member {
    /// Published and listed, the same object.
    Unchanged {
        object: Object,
        /// It was marked as gone at the source and is listed again.
        was_gone: bool,
    },
    /// Listed with another identity than published: it takes its own place.
    Changed { before: Box<Entry>, listed: Listed },
    /// Listed, and not published.
    Added {
        listed: Listed,
        /// Whether it belongs to what takes the place of objects that go.
        takes_a_place: bool,
    },
    /// Published, gone at the source, kept here.
    Kept { object: Object, is_newly_gone: bool },
    /// Published, and not part of the new set.
    Dropped(Entry),
    /// A pair of neither; the lists give none.
    Nothing,
}

impl Member {
    /// The object of the new set; `None` for what goes.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Self::Unchanged { object, .. } | Self::Kept { object, .. } => Some(object),
            Self::Changed { listed, .. } | Self::Added { listed, .. } => Some(listed.object),
            Self::Dropped(_) | Self::Nothing => None,
        }
    }
}

/// A number of objects with their bytes and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows; `None` where those of one are not known.
    pub rows: Option<u64>,
}

impl Default for Amount {
    fn default() -> Self {
        Self { objects: 0, bytes: 0, rows: Some(0) }
    }
}

impl Amount {
    fn add(&mut self, size_bytes: u64, rows: Option<u64>) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size_bytes);
        self.rows = self.rows.zip(rows).map(|(sum, rows)| sum.saturating_add(rows));
    }
}

/// How the new set differs from the published one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeTally {
    /// Published objects that the new set does not have, or has with another identity.
    pub dropped: Amount,
    /// Listed objects that take their place.
    pub replacing: Amount,
    /// Listed objects that are not published as they are listed: what would have to be transferred.
    pub added: Amount,
    /// Published objects that are gone at the source and kept.
    pub kept: Amount,
    /// Objects whose mark `gone_at_source` is not as the manifest has it.
    pub marks: u64,
}

impl MergeTally {
    pub(crate) fn add(&mut self, member: &Member) {
        match member {
            Member::Unchanged { was_gone, .. } => self.marks += u64::from(*was_gone),
            Member::Changed { before, listed } => {
                self.dropped.add(before.size_bytes, before.rows);
                self.replacing.add(listed.object.size_bytes, listed.rows);
                self.added.add(listed.object.size_bytes, listed.rows);
            }
            Member::Added { listed, takes_a_place } => {
                if *takes_a_place {
                    self.replacing.add(listed.object.size_bytes, listed.rows);
                }
                self.added.add(listed.object.size_bytes, listed.rows);
            }
            Member::Kept { object, is_newly_gone } => {
                self.kept.add(object.size_bytes, None);
                self.marks += u64::from(*is_newly_gone);
            }
            Member::Dropped(entry) => self.dropped.add(entry.size_bytes, entry.rows),
            Member::Nothing => {}
        }
    }

    /// Whether the new set has other objects than the published one.
    pub fn changes_the_set(&self) -> bool {
        self.added.objects > 0 || self.dropped.objects > 0
    }

    /// Whether what takes the place of published objects is less than half of them, in bytes or, where
    /// these are known, in rows: a broken rerun must not replace good data.
    pub fn is_shrunk(&self) -> bool {
        let is_less_than_half = |new: u64, old: u64| new < old.div_ceil(2);
        let rows = self.replacing.rows.zip(self.dropped.rows);
        is_less_than_half(self.replacing.bytes, self.dropped.bytes)
            || rows.is_some_and(|(new, old)| is_less_than_half(new, old))
    }
}

#[cfg(test)]
mod tests;
