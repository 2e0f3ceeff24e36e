//! Newtypes for the indices that tie the columns of a run together.

use std::fmt;

const fn from_u8(x: u8) -> usize {
    x as usize
}

const fn from_u16(x: u16) -> usize {
    x as usize
}

const fn from_u32(x: u32) -> usize {
    x as usize
}

#[expect(clippy::cast_possible_truncation, reason = "the engine is for 64-bit targets")]
const fn from_u64(x: u64) -> usize {
    x as usize
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty, $index:path)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl $name {
            /// Position in the vectors that this id indexes.
            #[must_use]
            pub const fn index(self) -> usize {
                // Ids are issued from the lengths of vectors, so they fit.
                $index(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Index into the instruments of the plan, which are sorted by symbol.
    InstrumentId(u32, from_u32)
);
id!(
    /// Orders are numbered from 0 in submission order; users see the number plus one.
    OrderId(u64, from_u64)
);
id!(
    /// Index of an account: several strategies of one run keep separate cash and lots.
    BookId(u16, from_u16)
);
id!(
    /// Index of a currency of the run, the base currency being 0.
    CurrencyId(u8, from_u8)
);
id!(
    /// Index of a session table of the plan.
    CalendarId(u16, from_u16)
);
id!(
    /// Index of a feed of the plan.
    FeedId(u16, from_u16)
);
