//! How long a boot takes on the host: `cargo run --release -p decstation --example boot IMAGE [ARGUMENTS]`.
//!
//! From nothing to the first instruction in user mode: the machine is made, the image loaded, the loader and the kernel run.
//! Images are in `target/mips/images` after `cargo exo run` or `cargo exo test`.

use decstation::{Config, Limits, Machine, Stop};
use std::time::Instant;

/// Instructions between two looks at where the machine is.
const STEP: u64 = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("which image? cargo run --release -p decstation --example boot IMAGE [ARGUMENTS]");
        std::process::exit(2);
    };
    let image = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    let boot_args = arguments.next().unwrap_or_default();
    for (timed, strict) in [(false, false), (true, true)] {
        let mut best = f64::INFINITY;
        let mut instructions = 0;
        for _ in 0..20 {
            let begin = Instant::now();
            let mut machine = Machine::new(Config { timed, strict, boot_args: boot_args.clone(), ..Config::default() });
            machine.load_elf(&image).unwrap_or_else(|error| panic!("{path}: {error}"));
            while machine.pc() >= 0x8000_0000 {
                let stop = machine.run(Limits::instructions(STEP));
                assert_eq!(stop, Stop::Budget, "{}", machine.describe(&stop));
            }
            best = best.min(begin.elapsed().as_secs_f64() * 1e3);
            instructions = machine.instructions();
        }
        let mode = if timed { "timed, strict" } else { "functional" };
        println!(
            "{mode}: {best:.1} ms to the first user instruction, after about {instructions} instructions (best of 20)"
        );
    }
}
