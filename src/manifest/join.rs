//! Walking two lists that are sorted by key together.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::Entry;
use crate::error::Result;
use crate::export::Object;

/// A line of an ascending list: it has a key.
pub(crate) trait Keyed {
    fn key(&self) -> &str;
}

impl Keyed for Object {
    fn key(&self) -> &str {
        &self.key
    }
}

impl Keyed for Entry {
    fn key(&self) -> &str {
        &self.key
    }
}

impl<A: Keyed, B, C> Keyed for (A, B, C) {
    fn key(&self) -> &str {
        self.0.key()
    }
}

/// Walks two ascending lists together: every left line with its number, and the right line of the
/// same key with its own, where there is one.
pub(crate) struct Join<L, R: Iterator> {
    left: L,
    right: Peekable<R>,
    left_index: u64,
    right_index: u64,
}

/// A left line, and the right line of the same key.
pub(crate) struct Pair<A, B> {
    pub left_index: u64,
    pub left: A,
    pub right: Option<(u64, B)>,
}

/// Joins two ascending lists by key.
pub(crate) fn join<A, B, L, R>(left: L, right: R) -> Join<L, R>
where
    A: Keyed,
    B: Keyed,
    L: Iterator<Item = Result<A>>,
    R: Iterator<Item = Result<B>>,
{
    Join { left, right: right.peekable(), left_index: 0, right_index: 0 }
}

impl<A, B, L, R> Iterator for Join<L, R>
where
    A: Keyed,
    B: Keyed,
    L: Iterator<Item = Result<A>>,
    R: Iterator<Item = Result<B>>,
{
    type Item = Result<Pair<A, B>>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = match self.left.next()? {
            Ok(left) => left,
            Err(error) => return Some(Err(error)),
        };
        let left_index = self.left_index;
        self.left_index += 1;
        loop {
            match self.right.peek() {
                Some(Ok(right)) if right.key() < left.key() => {
                    self.right.next();
                    self.right_index += 1;
                }
                Some(Ok(right)) if right.key() == left.key() => break,
                Some(Err(error)) => return Some(Err(error.clone())),
                _ => return Some(Ok(Pair { left_index, left, right: None })),
            }
        }
        let right = self.right.next().transpose().map(|right| right.map(|right| (self.right_index, right)));
        self.right_index += 1;
        Some(right.map(|right| Pair { left_index, left, right }))
    }
}

/// Walks two ascending lists together and gives each key once, with the lines that have it.
pub(crate) struct OuterJoin<L: Iterator, R: Iterator> {
    left: Peekable<L>,
    right: Peekable<R>,
}

/// Joins two ascending lists by key, keeping the lines that only one of them has.
pub(crate) fn outer_join<A, B, L, R>(left: L, right: R) -> OuterJoin<L, R>
where
    A: Keyed,
    B: Keyed,
    L: Iterator<Item = Result<A>>,
    R: Iterator<Item = Result<B>>,
{
    OuterJoin { left: left.peekable(), right: right.peekable() }
}

impl<A, B, L, R> Iterator for OuterJoin<L, R>
where
    A: Keyed,
    B: Keyed,
    L: Iterator<Item = Result<A>>,
    R: Iterator<Item = Result<B>>,
{
    type Item = Result<(Option<A>, Option<B>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.left.peek(), self.right.peek()) {
            (None, None) => return None,
            (Some(Err(error)), _) | (_, Some(Err(error))) => return Some(Err(error.clone())),
            (Some(Ok(_)), None) => Ordering::Less,
            (None, Some(Ok(_))) => Ordering::Greater,
            (Some(Ok(left)), Some(Ok(right))) => left.key().cmp(right.key()),
        };
        let left = if order == Ordering::Greater { None } else { self.left.next() };
        let right = if order == Ordering::Less { None } else { self.right.next() };
        Some(left.transpose().and_then(|left| Ok((left, right.transpose()?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(keys: &[&str]) -> Vec<Result<Object>> {
        keys.iter().map(|key| Ok(Object { key: (*key).into(), ..Object::default() })).collect()
    }

    #[test]
    fn lines_meet_by_key_and_keep_their_numbers() {
        let left = objects(&["a", "c", "d", "f"]);
        let right = objects(&["b", "c", "d", "e"]);
        let pairs: Vec<(u64, Option<u64>)> = join(left.into_iter(), right.into_iter())
            .map(|pair| pair.unwrap())
            .map(|pair: Pair<Object, Object>| (pair.left_index, pair.right.map(|(index, _)| index)))
            .collect();
        assert_eq!(pairs, [(0, None), (1, Some(1)), (2, Some(2)), (3, None)]);
    }

    #[test]
    fn an_outer_join_gives_every_key_once() {
        let pairs = outer_join(objects(&["a", "c"]).into_iter(), objects(&["b", "c", "d"]).into_iter());
        let keys = pairs.map(|pair| {
            let (left, right): (Option<Object>, Option<Object>) = pair.unwrap();
            (left.map(|object| object.key), right.map(|object| object.key))
        });
        let key = |text: &str| Some(text.to_owned());
        let expected = [(key("a"), None), (None, key("b")), (key("c"), key("c")), (None, key("d"))];
        assert!(keys.eq(expected));
    }
}
