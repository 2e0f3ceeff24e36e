//! Numbers in less room than they have while the engine works with them, nothing lost.

/// An amount of money in 12 bytes, or where it stands apart.
pub(crate) type Narrow = [u32; 3];

/// Marks a number whose whole width stands apart.
const APART: u32 = 1 << 31;

/// Amounts of money beyond 3.9e10 currency units, which have no room in a [`Narrow`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Wide(Vec<i128>);

impl Wide {
    /// Bytes of those that stand apart.
    pub(crate) const fn bytes(&self) -> usize {
        self.0.len() * size_of::<i128>()
    }

    /// The short form of a number.
    #[inline]
    pub(crate) fn pack(&mut self, x: i128) -> Narrow {
        let [low, middle, high, sign] = words(x);
        if sign == (high.cast_signed() >> 31).cast_unsigned() && high != APART {
            return [low, middle, high];
        }
        self.0.push(x);
        [u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX), 0, APART]
    }

    /// The number of a short form.
    #[inline]
    pub(crate) fn unpack(&self, [a, b, c]: Narrow) -> i128 {
        if c == APART {
            return self.0[a as usize];
        }
        i128::from(c.cast_signed()) << 64 | i128::from(u64::from(b) << 32 | u64::from(a))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each keeps its 32 bits")]
const fn words(x: i128) -> [u32; 4] {
    [x as u32, (x >> 32) as u32, (x >> 64) as u32, (x >> 96) as u32]
}

/// What few rows of a table have beside its columns, by row; rows come in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Sparse<T>(Vec<(u32, T)>);

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Sparse<T> {
    pub(crate) fn push(&mut self, row: u32, value: T) {
        self.0.push((row, value));
    }

    /// Forget what rows from that one on have.
    pub(crate) fn cut(&mut self, row: u32) {
        while self.0.last().is_some_and(|entry| entry.0 >= row) {
            self.0.pop();
        }
    }

    /// Bytes of all entries.
    pub(crate) const fn bytes(&self) -> usize {
        self.0.len() * size_of::<(u32, T)>()
    }

    #[inline]
    pub(crate) fn get(&self, row: u32) -> Option<T> {
        // Most tables have nothing of the kind.
        if self.0.is_empty() {
            return None;
        }
        let found = self.0.binary_search_by_key(&row, |entry| entry.0).ok()?;
        Some(self.0[found].1)
    }
}

/// The number of a row: tables have room for 4,294,967,295.
pub(crate) fn number(k: usize) -> u32 {
    u32::try_from(k).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Sparse, Wide};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn amounts_come_back_as_they_were(x in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from)], shift in 0..128) {
            let mut wide = Wide::default();
            let edges = [0, -1, 1, 1 << 95, (1 << 95) - 1, -1 << 95, (-1 << 95) - 1, (-1 << 95) + 1, i128::MAX, i128::MIN];
            let all: Vec<i128> = edges.into_iter().chain([x, x >> shift, (x >> shift) << 64]).collect();
            let packed: Vec<_> = all.iter().map(|&x| wide.pack(x)).collect();
            prop_assert!(packed.iter().zip(&all).all(|(&p, &x)| wide.unpack(p) == x));
        }
    }

    #[test]
    fn only_what_has_no_room_stands_apart() {
        let mut wide = Wide::default();
        for x in [0, 1, -1, (1 << 95) - 1, (-1 << 95) + (1 << 64)] {
            wide.pack(x);
        }
        assert_eq!(wide.0.len(), 0);
        for x in [1 << 95, (-1 << 95) + (1 << 64) - 1] {
            wide.pack(x);
        }
        assert_eq!(wide.0.len(), 2);
    }

    #[test]
    fn what_few_rows_have_is_found_by_row() {
        let mut sparse = Sparse::default();
        assert_eq!(sparse.get(0), None);
        sparse.push(3, 'a');
        sparse.push(9, 'b');
        assert_eq!([0, 3, 8, 9, 10].map(|k| sparse.get(k)), [None, Some('a'), None, Some('b'), None]);
    }
}
