//! mini: a library operating system of events, on nothing but Aegis' calls. It is what ExOS is not.
//!
//! A program is a value in static memory and two functions: one is called for each *call* of another environment, the
//! other for each *tick*, a slice of its own in which nothing else is under way. Each event runs to completion on the
//! program's only stack before the next one is taken; so there are no threads, no locks, no page table, no heap, and
//! nothing to save between events. Only an event that outlasts its slice has registers kept for it ([`entries`]).
//!
//! A call comes by synchronous transfer, as ExOS' runtime makes them (`exos_rt::transfer`): four words, and two
//! for the answer. One that comes while an event is under way is refused.
//!
//! - [`entries`]: assembly, where the kernel enters the program
//! - [`console`]: text on the console, without waiting

#![no_std]
#![feature(asm_experimental_arch)]

pub mod console;
pub mod entries;

pub use aegis_abi as abi;
use aegis_abi::public::Public;
use aegis_abi::vm::PUBLIC_PAGE;
use aegis_abi::{EnvId, call};
use core::cell::UnsafeCell;

/// A program of events.
pub trait Program {
    /// Another environment calls: its message, and the answer. Who calls the kernel vouches for.
    fn call(&mut self, caller: EnvId, message: [u32; 4]) -> u64;

    /// A tick, the first one at the start. The tick of the clock at which it wants the next; `None` for never.
    fn tick(&mut self, now: u32) -> Option<u32>;
}

/// Makes a value the program: `program!(Type = value);`.
#[macro_export]
macro_rules! program {
    ($type:ty = $value:expr) => {
        static PROGRAM: $crate::Events<$type> = $crate::Events::new($value);

        /// Called by assembly for a call.
        #[unsafe(no_mangle)]
        extern "C" fn mini_on_call(a0: u32, a1: u32, a2: u32, a3: u32, caller: u32) -> u64 {
            // SAFETY: the assembly calls one function at a time.
            unsafe { PROGRAM.call($crate::abi::EnvId(caller), [a0, a1, a2, a3]) }
        }

        /// Called by assembly for a tick.
        #[unsafe(no_mangle)]
        extern "C" fn mini_on_tick() -> u32 {
            // SAFETY: as above.
            unsafe { PROGRAM.tick() }
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo) -> ! {
            $crate::console::print(format_args!("mini: {info}\n"));
            $crate::exit(101)
        }
    };
}

/// A program in static memory; what [`program!`] makes.
pub struct Events<P>(UnsafeCell<P>);

// SAFETY: events are handled one at a time.
unsafe impl<P> Sync for Events<P> {}

impl<P: Program> Events<P> {
    /// With this value.
    pub const fn new(program: P) -> Self {
        Self(UnsafeCell::new(program))
    }

    /// # Safety
    /// No other event is under way.
    pub unsafe fn call(&self, caller: EnvId, message: [u32; 4]) -> u64 {
        // SAFETY: the caller's. Likewise below.
        unsafe { &mut *self.0.get() }.call(caller, message)
    }

    /// # Safety
    /// No other event is under way.
    pub unsafe fn tick(&self) -> u32 {
        // SAFETY: as above.
        unsafe { &mut *self.0.get() }.tick(now()).unwrap_or(u32::MAX)
    }
}

/// The clock.
#[must_use]
pub fn now() -> u32 {
    // SAFETY: the public page is always mapped. Volatile, because the kernel changes it.
    unsafe { (&raw const (*(PUBLIC_PAGE as *const Public)).ticks).read_volatile() }
}

/// Ends the program; 0 means success.
pub fn exit(status: u32) -> ! {
    // SAFETY: it takes no pointers.
    unsafe { entries::mini_call(status, 0, call::EXIT) };
    unreachable!("exit does not return")
}
