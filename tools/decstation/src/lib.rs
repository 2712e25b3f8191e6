//! A DECstation with an R3000: exact, deterministic and timed.
//!
//! The machine is a KN02 (DECstation 5000/200) in what software can see; a [`Profile`] gives it the clock and the memory
//! system of one of four machines. It runs an ELF image as the machine's PROM would, repeats to the cycle, and in strict mode
//! stops at whatever silicon leaves undefined.
//!
//! ```
//! use decstation::{Config, Limits, Machine, Stop};
//!
//! let mut machine = Machine::new(Config { strict: true, ..Config::default() });
//! // Without an image the machine stands in its PROM, which has nothing to boot.
//! assert_eq!(machine.run(Limits::instructions(10)), Stop::Reboot);
//! ```

pub mod breaks;
pub mod cache;
pub mod cp0;
mod cpu;
pub mod dz;
pub mod float;
mod fork;
pub mod fpu;
pub mod guesses;
pub mod history;
pub mod image;
pub mod insn;
pub mod instruments;
pub mod kn02;
pub mod lance;
mod machine;
mod memory;
pub mod pcap;
pub mod profile;
pub mod prom;
pub mod report;
pub mod rtc;
pub mod segment;
pub mod state;
pub mod stretch;
pub mod strict;
pub mod symbols;
pub mod tlb;
pub mod tunnel;
pub mod write_buffer;

pub use breaks::{Break, Breaks, Moment};
pub use cp0::Exception;
pub use history::{Change, History};
pub use image::ImageError;
pub use instruments::{Counts, Executions, Injection, Mark, Passage, STALLS, Stall, StallCounts, Step};
pub use machine::{Config, Limits, Machine, Stop};
pub use profile::{PROFILES, Profile};
pub use segment::Segment;
pub use state::StateError;
pub use stretch::{Began, Stretch, StretchSink};
pub use strict::{Rule, Violation};
