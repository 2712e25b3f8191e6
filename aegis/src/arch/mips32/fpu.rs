//! The floating-point unit: the processors of a Malta board here, 4Kc and 24Kc, have none.

/// Whether there is one.
pub fn exists() -> bool {
    false
}

/// Whether a program with this Status may use it.
pub fn is_on(_: u32) -> bool {
    false
}

/// A program's Status with the unit on or off.
pub fn status(status: u32, _: bool) -> u32 {
    status
}

/// Makes all its registers 0.
pub fn clear() {}
