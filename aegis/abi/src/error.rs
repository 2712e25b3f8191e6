//! What a system call can refuse with.

/// An error of a system call: a small negative number in `$v0`. A result that is not negative is a success.
///
/// A call that fails has changed nothing, but for [`Error::Again`].
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
    /// Part of the work is done and the rest would take too long in one piece: make the same call again. What is left
    /// gets less every time.
    Again = -5,
    /// The caller neither owns the resource nor has shown a capability for it.
    Denied = -6,
    /// No environment that lives has this id, or it cannot be entered in this way.
    NoSuchEnvironment = -7,
    /// A table of the kernel's is full; the call's documentation says which.
    Full = -8,
    /// This machine has no such device.
    NoSuchDevice = -9,
}

impl Error {
    /// Every error, for tables and documentation.
    pub const ALL: [Error; 9] = [
        Error::NoSuchCall,
        Error::BadArgument,
        Error::BadPointer,
        Error::Busy,
        Error::Again,
        Error::Denied,
        Error::NoSuchEnvironment,
        Error::Full,
        Error::NoSuchDevice,
    ];

    /// The error that a call's result stands for, if it is one that this version knows.
    #[must_use]
    pub const fn from_result(v0: i32) -> Option<Self> {
        let mut at = 0;
        while at < Self::ALL.len() {
            if Self::ALL[at] as i32 == v0 {
                return Some(Self::ALL[at]);
            }
            at += 1;
        }
        None
    }
}
