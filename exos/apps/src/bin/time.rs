//! How long a program takes: `time PROGRAM ARGUMENT…`.
//!
//! An R3000 has no counter that a program could read, and the processor of a Malta shows its to the kernel only. So a
//! program can measure ticks of the clock, 64 a second, and says so. But the model counts what is between two marks:
//! there `cargo exo run` adds a line with instructions and cycles, of the whole machine: spawn and wait, kernel, and whoever
//! else has run meanwhile.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use exos::process::table::signal;
use exos::process::{Spawn, arguments, spawn, variables, wait};
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::{mark_begin, mark_end, public};

exos::process!(main);

/// Arguments that are passed on.
const ARGUMENTS: usize = 16;
/// The mark around a run.
const MARK: u32 = 1;

fn main() -> u32 {
    let mut words = [""; ARGUMENTS];
    let count = words.iter_mut().zip(arguments().skip(1)).map(|(to, word)| *to = word).count();
    let mut settings = [""; ARGUMENTS];
    let set = settings.iter_mut().zip(variables()).map(|(to, word)| *to = word).count();
    let Some(&program) = words[..count].first() else {
        exos::complain!("which program?");
        return 2;
    };
    let job = Some(exos::process::me().job.get());
    let before = public::ticks();
    mark_begin!(MARK);
    let made =
        spawn(&Spawn { program, arguments: &words[..count], variables: &settings[..set], files: [0, 1, 2], job });
    let ended = made.and_then(|pid| wait(Some(pid)));
    mark_end!(MARK);
    let ticks = public::ticks().wrapping_sub(before);
    match ended {
        Ok((_, status)) => {
            if status.signal_number() != 0 {
                exos::complain!("{program}: {}", signal::text(status.signal_number()));
            }
            let milliseconds = ticks / 8 * (MICROSECONDS / 125) + ticks % 8 * MICROSECONDS / 1000;
            exos::complain!("{ticks} ticks, {milliseconds} ms");
            status.code()
        }
        Err(error) => {
            exos::complain!("{program}: {error}");
            127
        }
    }
}
