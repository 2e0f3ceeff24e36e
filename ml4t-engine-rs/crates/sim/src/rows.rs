//! Rows that are only ever appended: in pieces, so that growing copies nothing.

use std::ops::{Index, IndexMut};

/// Rows of a piece; a power of two.
const PIECE: usize = 512;

/// A list in pieces of equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }
}

impl<T> Rows<T> {
    /// Append a row.
    #[inline]
    pub fn push(&mut self, row: T) {
        if self.len.is_multiple_of(PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(row);
            self.len += 1;
        }
    }

    /// Take the last row away.
    pub fn pop(&mut self) -> Option<T> {
        let row = self.pieces.last_mut()?.pop()?;
        self.len -= 1;
        if self.len.is_multiple_of(PIECE) {
            self.pieces.pop();
        }
        Some(row)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of that number.
    #[must_use]
    pub fn get(&self, k: usize) -> Option<&T> {
        self.pieces.get(k / PIECE)?.get(k % PIECE)
    }

    /// The last row.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.pieces.last()?.last()
    }

    /// All of them in their sequence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> + Clone {
        Iter { rows: self, next: 0 }
    }
}

/// Walks through [`Rows`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    rows: &'a Rows<T>,
    next: usize,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { rows: self.rows, next: self.next }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        let row = self.rows.get(self.next)?;
        self.next += 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rows.len - self.next;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        Iter { rows: self, next: 0 }
    }
}

impl<T> Index<usize> for Rows<T> {
    type Output = T;

    #[inline]
    fn index(&self, k: usize) -> &T {
        &self.pieces[k / PIECE][k % PIECE]
    }
}

impl<T> IndexMut<usize> for Rows<T> {
    #[inline]
    fn index_mut(&mut self, k: usize) -> &mut T {
        &mut self.pieces[k / PIECE][k % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, Rows};

    #[test]
    fn rows_are_those_of_a_list_at_the_edges_of_pieces() {
        for n in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let mut rows = Rows::default();
            let mut list: Vec<usize> = (0..n).collect();
            for &k in &list {
                rows.push(k);
            }
            assert_eq!((rows.len(), rows.last(), rows.get(n)), (n, list.last(), None));
            assert!(rows.iter().eq(&list), "{n}");
            assert_eq!(rows.iter().len(), n);
            for _ in 0..n.min(2) {
                assert_eq!(rows.pop(), list.pop());
            }
            rows.push(7);
            list.push(7);
            rows[list.len() - 1] += 1;
            assert_eq!((rows.iter().copied().collect::<Vec<_>>().pop(), rows.len()), (Some(8), list.len()));
        }
        assert_eq!(Rows::<u8>::default().pop(), None);
    }
}
