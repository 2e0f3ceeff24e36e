/// What a model answers.
///
/// `0` is never success: a numba function that raised returns 0 to its caller, and such an answer must not
/// pass for a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(pub i32);

impl Status {
    /// The output struct holds the answer.
    pub const OK: Self = Self(1);
    /// The model has nothing to say about this call; the engine goes on without it.
    pub const NO_OPINION: Self = Self(2);
    /// The order is refused; the reason stands in the output's `code`.
    pub const REJECT: Self = Self(3);
    /// Nothing now; ask again at the next event.
    pub const DEFER: Self = Self(4);
    /// The model raised, or wrote nothing.
    pub const ERROR: Self = Self(0);
}
