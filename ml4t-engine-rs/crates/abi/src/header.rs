//! The header of a context, as the engine writes it.

use crate::layout::{ABI_MINOR, Header, Missing};

impl Header {
    /// Header of a context of type `C`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "contexts are far below 4 GiB")]
    pub const fn of<C>(side: i8, asset: u32, ts_ns: i64) -> Self {
        Self { size: size_of::<C>() as u32, version: ABI_MINOR, side, pad: 0, asset, flags: 0, ts_ns }
    }
}

impl Missing {
    /// The bits of what is NaN.
    #[must_use]
    pub fn bits(values: &[(Self, f64)]) -> u32 {
        values.iter().fold(0, |bits, (bit, value)| if value.is_nan() { bits | bit.0 } else { bits })
    }
}
