//! The least that any library operating system on Aegis needs: a start, system calls, the sequences that return to
//! interrupted code, text on the console, and a report when the program fails.
//!
//! A program is
//! ```ignore
//! #![no_std]
//! #![no_main]
//! exos_rt::program!(main);
//!
//! fn main() {
//!     exos_rt::println!("hello");
//! }
//! ```
//! in a crate whose build script prints `cargo:rustc-link-arg-bins=-Tprogram.ld`. It ends with status 0 when `main`
//! returns, otherwise through [`exit`](call::exit).
//!
//! The argument `limit=N` ends a program, with a report, that has used N time slices to their end without ending by
//! itself.
//!
//! - [`call`]: the system calls and primitive operations
//! - [`mod@transfer`]: calls from one environment to another
//! - [`lrpc`]: the same, as short as can be, to servers of a single function
//! - [`environment`]: environments that a program makes
//! - [`memory`]: frames by choice
//! - [`net`]: messages of the network
//! - [`ash`]: code that the kernel runs when a message comes
//! - [`public`]: what the kernel shows
//! - [`mod@revocation`]: what others want back, and what they have taken
//! - [`archive`]: the files of the boot archive
//! - [`save_page`]: the page that kernel and program share
//! - [`shared`]: cells that two environments share
//! - [`console`]: `print!` and `println!`
//! - [`mark`]: shows a counting tool what to count
//! - [`mod@sequences`]: assembly: start and end of a slice, return from an exception, transfers
//! - [`fault`]: what happens to a program that fails
//! - [`program`]: its name and its arguments

#![no_std]
#![feature(asm_experimental_arch)]

pub mod archive;
pub mod ash;
pub mod call;
pub mod console;
pub mod environment;
pub mod fault;
pub mod lrpc;
pub mod mark;
pub mod memory;
pub mod net;
pub mod program;
pub mod public;
pub mod revocation;
pub mod save_page;
pub mod sequences;
pub mod shared;
pub mod transfer;

pub use aegis_abi as abi;

/// Leaves room, in a program that contains this once, for what the compiler does too early: it multiplies directly behind
/// reading HI or LO, as in some divisions by a constant, and `cargo exo` moves that away (`tools/hazard/src/mend.rs`).
#[macro_export]
macro_rules! room_for_mends {
    () => {
        ::core::arch::global_asm!(
            // A section that the linker keeps.
            ".pushsection .text.sequences, \"ax\"",
            ".balign 4",
            ".weak exos_mends", // beside that of a library it is none
            ".type exos_mends, @function",
            "exos_mends:",
            ".rept 64 * 4",
            "    .word 0",
            ".endr",
            ".size exos_mends, . - exos_mends",
            ".popsection",
        );
    };
}

/// Makes a function `fn()` the program's beginning.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        /// Called by the runtime.
        #[unsafe(no_mangle)]
        fn exos_main() {
            $main()
        }
    };
}
