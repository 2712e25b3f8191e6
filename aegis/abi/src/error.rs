//! What a system call can refuse with.

/// An error of a system call: a small negative number in `$v0`. A result that is not negative is a success.
///
/// A call that fails has changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Error {
    /// The number names no call of this kernel.
    NoSuchCall = -1,
    /// An argument is outside what the call accepts; the call's documentation says which values it takes.
    BadArgument = -2,
    /// A pointer does not lie, for its whole length, in the caller's guaranteed mappings.
    BadPointer = -3,
    /// The resource is in use just now; the call may succeed later.
    Busy = -4,
}

impl Error {
    /// Every error, for tables and documentation.
    pub const ALL: [Error; 4] = [Error::NoSuchCall, Error::BadArgument, Error::BadPointer, Error::Busy];

    /// The error that a call's result stands for, if it is one that this version knows.
    #[must_use]
    pub const fn from_result(v0: i32) -> Option<Self> {
        match v0 {
            -1 => Some(Error::NoSuchCall),
            -2 => Some(Error::BadArgument),
            -3 => Some(Error::BadPointer),
            -4 => Some(Error::Busy),
            _ => None,
        }
    }
}
