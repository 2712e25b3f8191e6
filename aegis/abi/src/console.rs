//! What the console's text means: the limits of a write, and the lines by which a run is judged.
//!
//! No exit status leaves a DECstation, so the verdict on a run is text. Each of these stands at the beginning of a
//! line.

/// The most bytes that one write may send: a line and a half.
pub const WRITE_MAX: u32 = 128;

/// The last line of a run in which every program ended with status 0.
pub const VERDICT_PASS: &str = "aegis: verdict: pass";
/// The last line of any other run that the kernel or the loader could bring to an end.
pub const VERDICT_FAIL: &str = "aegis: verdict: fail";

/// Begins the one line with which the loader refuses what it was given.
pub const LOADER_ERROR: &str = "loader: error: ";
/// Begins the report of a bug in the kernel.
pub const KERNEL_PANIC: &str = "aegis: PANIC: ";
/// Begins a line in which the kernel reports what it did to a program.
pub const KERNEL: &str = "aegis: ";

/// Before an address of code in a report, as in `pc=0x00400010`: the host tools add the source line.
pub const PC: &str = "pc=0x";
