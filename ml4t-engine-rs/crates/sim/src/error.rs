//! The one error type of the simulator.

use std::fmt;

/// Why a run stopped or an input was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimError {
    /// Family, mapped one to one to the exception classes of the Python side.
    pub kind: ErrorKind,
    /// What was wrong, the value found, what is allowed, which instrument and time.
    pub message: String,
}

/// Families of [`SimError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Input columns, calendars or instruments that cannot be simulated.
    Data,
    /// A setting that is out of range or contradicts another.
    Config,
    /// An order that cannot be constructed.
    Order,
    /// A model failed or answered nonsense.
    Model,
    /// A number left the range of its type.
    Overflow,
    /// An accounting identity does not hold.
    Accounting,
    /// A name that is not known.
    UnknownName,
    /// A call that the state of the engine does not allow.
    State,
    /// A bug of the simulator.
    Internal,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`].")]
            #[must_use]
            pub fn $name(message: impl Into<String>) -> Self {
                Self { kind: ErrorKind::$kind, message: message.into() }
            }
        )*
    };
}

impl SimError {
    constructors! {
        data => Data,
        config => Config,
        order => Order,
        model => Model,
        overflow => Overflow,
        accounting => Accounting,
        unknown_name => UnknownName,
        state => State,
        internal => Internal,
    }
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SimError {}

/// Result of everything fallible in this crate.
pub type Result<T> = std::result::Result<T, SimError>;

/// A number for a message: what a model answers may have three hundred digits.
pub(crate) fn shown(x: f64) -> String {
    if x.abs() >= 1e15 { format!("{x:e}") } else { x.to_string() }
}
