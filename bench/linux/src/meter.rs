//! How an operation is measured: alone and in a loop, by marks that a counting machine sees; or, where none sees them, the
//! loop alone, by a clock that counts instructions.
//!
//! Which it is the kernel's command line says, of which Linux passes on what it does not know.

use core::cell::Cell;

use aegis_abi::mark::{END, WORD};

use crate::println;
use crate::system::{self, Mapping};

/// How often an operation is measured alone, if nothing speaks for another number.
pub const ALONE: u32 = 200;
/// Likewise how often its loop is run, if marks are seen.
pub const LOOPS: u32 = 9;
/// Rounds of a loop, if nothing speaks for another number.
pub const ROUNDS: u32 = 1000;
/// From the mark of an operation to that of its loop.
pub const LOOP: u32 = 100;

/// What a clock has to count of a loop, all its runs together. GXemul's is right to some 8,000.
const ENOUGH: u64 = 30_000_000;
/// Most runs of a loop.
const MOST: u32 = 3000;

/// What tells how much was executed.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Marks that the machine sees.
    Marks,
    /// A register of GXemul's.
    Register(*const u32),
    /// Linux's clock, on a machine whose instructions take a nanosecond each.
    Nanoseconds,
}

impl Clock {
    /// The clock that the first process was told of by `meter=`.
    ///
    /// # Panics
    /// If there is no such clock.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"marks" => Self::Marks,
            b"ns" => Self::Nanoseconds,
            b"mp" => {
                /// Where the device is put by the command that starts GXemul, in pages; and its register.
                const PAGE: u32 = 0x1d00_0000 / system::PAGE_BYTES;
                const EXECUTED: u32 = 0xd0;
                let memory = system::open(c"/dev/mem").expect("the kernel has /dev/mem");
                let device = system::map(1, Mapping::File(memory, PAGE)).expect("memory can be mapped");
                Self::Register((device + EXECUTED) as *const u32)
            }
            _ => panic!("no such clock"),
        }
    }

    fn now(self) -> u32 {
        match self {
            Self::Marks => 0,
            // SAFETY: it was mapped.
            Self::Register(register) => unsafe { register.read_volatile() },
            Self::Nanoseconds => system::nanoseconds() as u32,
        }
    }
}

/// What measures.
pub struct Meter {
    clock: Clock,
    /// What the clock shows for nothing.
    nothing: u64,
    random: Cell<u32>,
}

impl Meter {
    /// Measures with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let meter = Self { clock, nothing: 0, random: Cell::new(1) };
        let (runs, total) = meter.add_up(LOOPS, || (), || ());
        Self { nothing: total / u64::from(runs), ..meter }
    }

    /// Measures operation `ID`: the loop so often, or by a clock as often as it takes, with what comes before each outside of
    /// what is counted.
    pub fn time<const ID: u32>(&self, loops: u32, rounds: u32, before: impl FnMut(), mut work: impl FnMut(u32)) {
        let (runs, total) = self.add_up(loops, before, || {
            // SAFETY: the instruction does nothing. No `nomem`: what is before a mark stays before it.
            unsafe { core::arch::asm!(".word {}", const WORD | (ID + LOOP), options(nostack, preserves_flags)) };
            work(rounds);
            // SAFETY: as above.
            unsafe { core::arch::asm!(".word {}", const WORD | END | (ID + LOOP), options(nostack, preserves_flags)) };
        });
        if !matches!(self.clock, Clock::Marks) {
            let total = total.saturating_sub(self.nothing * u64::from(runs));
            // The console takes its time, but not of what is measured.
            println!("took {ID} rounds={} instructions={total}", rounds * runs);
            system::drain();
        }
    }

    /// Runs something again and again: how often, and what the clock showed in all.
    fn add_up(&self, loops: u32, mut before: impl FnMut(), mut work: impl FnMut()) -> (u32, u64) {
        let (mut runs, mut total) = (0, 0);
        loop {
            before();
            self.wait_a_little();
            let start = self.clock.now();
            work();
            total += u64::from(self.clock.now().wrapping_sub(start));
            runs += 1;
            let enough = match self.clock {
                Clock::Marks => runs == loops,
                // Once would do where the clock is exact.
                _ => runs == MOST || total > ENOUGH && runs > 2,
            };
            if enough {
                return (runs, total);
            }
        }
    }

    /// Until the clock, which goes in steps, is anywhere within one.
    fn wait_a_little(&self) {
        if matches!(self.clock, Clock::Marks) {
            return;
        }
        let random = self.random.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random.set(random);
        (0..random >> 20).for_each(|turn| _ = core::hint::black_box(turn));
    }
}

/// Marks the beginning of operation `$id`, a constant.
#[macro_export]
macro_rules! mark_begin {
    ($id:expr) => {
        // SAFETY: the instruction does nothing. No `nomem`: what is before a mark stays before it.
        unsafe { ::core::arch::asm!(".word {}", const $crate::mark::WORD | $id, options(nostack, preserves_flags)) }
    };
}

/// Marks the end of operation `$id`, a constant.
#[macro_export]
macro_rules! mark_end {
    ($id:expr) => {
        $crate::mark_begin!($crate::mark::END | $id)
    };
}

/// Says what a mark is, and the loop around it.
pub fn describe(id: u32, table: &str, op: &str, how: &str, rounds: u32, loop_how: &str) {
    println!("mark {id} table={table} op={op} system=linux how={how}");
    println!("loop {} of={id} rounds={rounds} how={loop_how}", id + LOOP);
}
