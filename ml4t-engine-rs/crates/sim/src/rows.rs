//! Rows that are only ever appended: in pieces, so that growing copies nothing, the oldest put away where there are many.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;

/// Rows of a piece; a power of two.
const PIECE: usize = 512;

/// Bytes that were put away, as they are read.
pub type Stored = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A place outside of memory.
pub trait Spill: fmt::Debug + Send + Sync {
    /// Put parts away, one behind the other. `None` where there is no room: they stay where they are.
    fn store(&self, parts: &[&[u8]]) -> Option<Stored>;
}

/// How many bytes of each list stay in memory, and where the others go.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Bytes of a list in memory, about.
    pub bytes: usize,
    /// Where older rows go.
    pub spill: Arc<dyn Spill>,
}

/// A list in pieces of equal length.
#[derive(Clone)]
pub struct Rows<T> {
    /// Put away, `bundle` pieces each.
    away: Vec<Stored>,
    pieces: Vec<Vec<T>>,
    len: usize,
    /// Pieces that go together: half of what stays in memory.
    bundle: usize,
    /// Where they go; `None` where nothing goes, or where there was no room.
    spill: Option<Arc<dyn Spill>>,
    has_room: bool,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<T> Rows<T> {
    /// An empty list.
    #[must_use]
    pub fn new(budget: Option<Budget>) -> Self {
        let pieces = budget.as_ref().map_or(0, |b| b.bytes / (2 * PIECE * size_of::<T>()));
        let (bundle, spill) = (pieces.max(1), budget.map(|b| b.spill));
        Self { away: Vec::new(), pieces: Vec::new(), len: 0, bundle, spill, has_room: true }
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

    /// False once there was no room for what exceeds the budget.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.has_room
    }

    /// Bytes that they take in memory, and outside.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let away = self.away.iter().map(|stored| (**stored).as_ref().len()).sum();
        (self.len * size_of::<T>() - away, away)
    }
}

impl<T: Pod> Rows<T> {
    /// Append a row.
    #[inline]
    pub fn push(&mut self, row: T) {
        if self.len.is_multiple_of(PIECE) {
            self.begin_piece();
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(row);
            self.len += 1;
        }
    }

    #[cold]
    fn begin_piece(&mut self) {
        if self.pieces.len() >= 2 * self.bundle
            && let Some(spill) = &self.spill
        {
            let parts: Vec<&[u8]> = self.pieces[..self.bundle].iter().map(|p| bytemuck::cast_slice(p)).collect();
            if let Some(stored) = spill.store(&parts) {
                self.away.push(stored);
                self.pieces.drain(..self.bundle);
            } else {
                // Nothing is lost where there is no room; asking again would not make any.
                (self.spill, self.has_room) = (None, false);
            }
        }
        self.pieces.push(Vec::with_capacity(PIECE));
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

    /// The row of that number.
    #[must_use]
    #[inline]
    pub fn get(&self, k: usize) -> Option<T> {
        if self.away.is_empty() {
            return self.pieces.get(k / PIECE)?.get(k % PIECE).copied();
        }
        self.get_any(k)
    }

    fn get_any(&self, k: usize) -> Option<T> {
        let rows_of_bundle = self.bundle * PIECE;
        if let Some(stored) = self.away.get(k / rows_of_bundle) {
            let at = k % rows_of_bundle * size_of::<T>();
            let bytes = (**stored).as_ref().get(at..at + size_of::<T>())?;
            return Some(bytemuck::pod_read_unaligned(bytes));
        }
        let k = k - self.away.len() * rows_of_bundle;
        self.pieces.get(k / PIECE)?.get(k % PIECE).copied()
    }

    /// The last row, to change it.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.pieces.last_mut()?.last_mut()
    }

    /// The last row.
    #[must_use]
    pub fn last(&self) -> Option<T> {
        self.pieces.last()?.last().copied()
    }

    /// All of them in their sequence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + Clone {
        (0..self.len).map(|k| self.get(k).unwrap_or_else(|| unreachable!("row {k} of {}", self.len)))
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Budget, PIECE, Rows, Spill, Stored};

    /// Keeps what it is given; has room for that many parts.
    #[derive(Debug)]
    struct Shelf(usize);

    impl Spill for Shelf {
        fn store(&self, parts: &[&[u8]]) -> Option<Stored> {
            (parts.len() <= self.0).then(|| Arc::new(parts.concat()) as Stored)
        }
    }

    fn budgets() -> impl Iterator<Item = Option<Budget>> {
        let of = |room, bytes| Some(Budget { bytes, spill: Arc::new(Shelf(room)) });
        [None, of(0, 1), of(100, 1), of(100, 3 * PIECE * 8), of(100, 4 * PIECE * 8)].into_iter()
    }

    #[test]
    fn rows_are_those_of_a_list_at_the_edges_of_pieces() {
        for (budget, n) in budgets()
            .flat_map(|b| [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 9 * PIECE + 2].map(|n| (b.clone(), n)))
        {
            let mut rows = Rows::new(budget);
            let mut list: Vec<u64> = (0..n as u64).collect();
            for &k in &list {
                rows.push(k);
            }
            assert_eq!((rows.len(), rows.last(), rows.get(n)), (n, list.last().copied(), None));
            assert!(rows.iter().eq(list.iter().copied()), "{n}");
            assert_eq!(rows.iter().len(), n);
            for _ in 0..n.min(2) {
                assert_eq!(rows.pop(), list.pop());
            }
            rows.push(7);
            list.push(7);
            if let Some(last) = rows.last_mut() {
                *last += 1;
            }
            assert_eq!((rows.iter().last(), rows.len()), (Some(8), list.len()));
            assert_eq!(rows.get(0), rows.iter().next());
        }
        assert_eq!(Rows::<u8>::default().pop(), None);
    }

    #[test]
    fn what_exceeds_the_budget_is_put_away_and_read_from_there() {
        let mut rows = Rows::new(Some(Budget { bytes: 4 * PIECE * 8, spill: Arc::new(Shelf(100)) }));
        (0..20 * PIECE as u64).for_each(|k| rows.push(k));
        let (here, away) = rows.bytes();
        assert!(here <= 4 * PIECE * 8 && away >= 16 * PIECE * 8, "{here} {away}");
        let copy = rows.clone();
        rows.push(1);
        assert!(copy.iter().eq(0..20 * PIECE as u64));
    }

    /// Has room the first few times.
    #[derive(Debug, Default)]
    struct Fills(std::sync::atomic::AtomicUsize);

    impl Spill for Fills {
        fn store(&self, parts: &[&[u8]]) -> Option<Stored> {
            let times = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(times <= 3, "asked again after there was no room");
            (times < 3).then(|| Arc::new(parts.concat()) as Stored)
        }
    }

    #[test]
    fn rows_are_read_where_room_ran_out_halfway() {
        let mut rows = Rows::new(Some(Budget { bytes: 1, spill: Arc::new(Fills::default()) }));
        (0..20 * PIECE as u64).for_each(|k| rows.push(k));
        assert_eq!((rows.bytes(), rows.has_room()), ((17 * PIECE * 8, 3 * PIECE * 8), false));
        assert!(rows.iter().eq(0..20 * PIECE as u64));
        assert_eq!(rows.get(20 * PIECE), None);
    }

    #[test]
    fn rows_stay_in_memory_where_nothing_can_be_put_away() {
        let mut rows = Rows::new(Some(Budget { bytes: 1, spill: Arc::new(Shelf(0)) }));
        (0..9 * PIECE as u64).for_each(|k| rows.push(k));
        assert_eq!(rows.bytes(), (9 * PIECE * 8, 0));
        assert!(rows.iter().eq(0..9 * PIECE as u64));
    }
}
