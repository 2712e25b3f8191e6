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
//! - [`call`]: the system calls
//! - [`console`]: `print!` and `println!`
//! - [`mark`]: shows a counting tool what to count
//! - [`mod@sequences`]: assembly: start and end of a slice, return from an exception
//! - [`fault`]: what happens to a program that fails
//! - [`program`]: its name and its arguments

#![no_std]
#![feature(asm_experimental_arch)]

pub mod call;
pub mod console;
pub mod fault;
pub mod mark;
pub mod program;
pub mod sequences;

pub use aegis_abi as abi;

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
