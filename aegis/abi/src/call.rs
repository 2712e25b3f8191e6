//! The system calls.
//!
//! `$v0` holds the number, `$a0` to `$a3` the arguments, `syscall` makes the call, `$v0` holds the result: not negative
//! on success, an [`Error`](crate::Error) otherwise. `$k0` and `$k1` are lost, as they are at any instruction.
//!
//! There are two paths (the paper's section 5.1, Table 4):
//! - *without a stack*: a few instructions of assembly. Every other register keeps its value.
//! - *with a stack*: a function in Rust. The registers that a function call may change (`$at`, `$v1`, `$a0`-`$a3`,
//!   `$t0`-`$t9`, HI, LO) are lost; the rest keep their values.
//!
//! A number is the byte offset of the call's entry in the kernel's table of gates, so that finding it takes no load.
//! Only the bits in [`NUMBER_MASK`] count: any other number is taken as one that differs in those bits alone.

/// Bytes of one gate: sixteen instructions.
pub const GATE_BYTES: u32 = 64;
/// Gates in the table, those that no call uses included.
pub const GATES: u32 = 64;
/// The bits of `$v0` that select a gate.
pub const NUMBER_MASK: u32 = (GATES - 1) * GATE_BYTES;
/// The first number in use. The gates before it would compete with the exception vectors for lines of the instruction
/// cache.
pub const FIRST: u32 = 0x100;

/// The id of the calling environment: the null system call, as `getpid` is in a UNIX. No arguments. No errors.
/// Without a stack.
pub const SELF: u32 = FIRST;

/// Does nothing and returns 0: what any call with a stack costs at least. No arguments. No errors. With a stack.
pub const NULL: u32 = FIRST + GATE_BYTES;

/// Ends the caller's time slice at once; the processor goes to the next slice that has an owner, which may be the
/// caller's. The caller is entered again at its start-of-slice entry, so it saves its registers first. Does not return.
/// No errors. With a stack.
///
/// A caller that was in its end-of-slice handler has thereby given the processor back in time.
pub const YIELD: u32 = FIRST + 2 * GATE_BYTES;

/// Destroys the calling environment; `a0` is its exit status, 0 for success. Does not return. No errors. With a stack.
pub const EXIT: u32 = FIRST + 3 * GATE_BYTES;

/// Sends bytes to the console: `a0` points to them, `a1` is how many, at most
/// [`WRITE_MAX`](crate::console::WRITE_MAX). All are queued, in one piece, or none. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a1` is too large; [`BadPointer`](crate::Error::BadPointer) if
/// the bytes are not in guaranteed mappings; [`Busy`](crate::Error::Busy) if they do not fit the queue now.
pub const CONSOLE_WRITE: u32 = FIRST + 4 * GATE_BYTES;

/// How many bytes wait to be sent to the console. No arguments. No errors. With a stack.
pub const CONSOLE_PENDING: u32 = FIRST + 5 * GATE_BYTES;

/// Sets where the kernel enters the program for the exception whose code is `a0` to the address `a1`, or to nowhere if
/// `a1` is 0; an exception that has nowhere to go destroys the environment. Returns the former address, 0 if there was
/// none. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a0` is no exception that programs handle
/// (see [`exception`](crate::exception)), or `a1` is not a word-aligned address in user space.
pub const SET_HANDLER: u32 = FIRST + 6 * GATE_BYTES;

/// How many time slices have begun since the machine started: a clock with the resolution of one slice
/// ([`slice::MICROSECONDS`](crate::slice::MICROSECONDS)). Wraps at 2^31. No arguments. No errors. With a stack.
pub const CLOCK: u32 = FIRST + 7 * GATE_BYTES;

/// Every call's name and number, in order of number, for tables and documentation.
pub const ALL: [(&str, u32); 8] = [
    ("self", SELF),
    ("null", NULL),
    ("yield", YIELD),
    ("exit", EXIT),
    ("console_write", CONSOLE_WRITE),
    ("console_pending", CONSOLE_PENDING),
    ("set_handler", SET_HANDLER),
    ("clock", CLOCK),
];
