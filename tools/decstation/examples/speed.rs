//! How fast the model runs: `cargo run --release -p decstation --example speed [SECONDS]`.
//!
//! The guest sorts, copies and hashes in kseg0, then does the same in user mode through the TLB: loads, stores, branches and
//! arithmetic in ordinary proportion.

#[path = "../tests/common/mod.rs"]
mod common;

use common::load;
use decstation::{Config, Limits, Stop};
use std::time::Instant;

/// Fills 4096 words with random numbers, sums and hashes them byte by byte, moves them; for ever.
const WORK: &str = "
    work:   la $s0, 0x00100000      # kuseg address of the array; %KERNEL% makes it a kseg0 address
            %KERNEL%
            li $s1, 4096
            li $s2, 0x12345
    fill:   sll $t0, $s2, 13
            xor $s2, $s2, $t0
            srl $t0, $s2, 17
            xor $s2, $s2, $t0
            sll $t0, $s2, 5
            xor $s2, $s2, $t0
            sw $s2, 0($s0)
            addiu $s1, $s1, -1
            bne $s1, $zero, fill
            addiu $s0, $s0, 4
            addiu $s1, $s0, -16384
            move $v0, $zero
    hash:   lbu $t0, 0($s1)
            lbu $t1, 1($s1)
            sll $t2, $v0, 5
            addu $v0, $v0, $t2
            xor $v0, $v0, $t0
            jal mix
            addu $v0, $v0, $t1
            addiu $s1, $s1, 2
            bne $s1, $s0, hash
            nop
            addiu $s1, $s0, -16384
    move:   lw $t0, 0($s1)
            lw $t1, 4($s1)
            lw $t2, 8($s1)
            lw $t3, 12($s1)
            sw $t0, 12($s1)
            sw $t1, 8($s1)
            sw $t2, 4($s1)
            sw $t3, 0($s1)
            addiu $s1, $s1, 16
            bne $s1, $s0, move
            nop
            b work
            nop
    mix:    srl $t4, $v0, 7
            jr $ra
            xor $v0, $v0, $t4
";

/// Maps code and data of user mode (16 pages, global) and goes there.
const USER: &str = "
    start:  li $t0, 0
            la $t1, 0x00100000
    map:    mtc0 $t1, $10
            or $t2, $t1, $zero
            ori $t2, $t2, 0x700         # D V G: virtual 1 MB on physical 1 MB
            mtc0 $t2, $2
            sll $t3, $t0, 8
            mtc0 $t3, $0
            nop
            tlbwi
            addiu $t0, $t0, 1
            slti $t4, $t0, 8
            bne $t4, $zero, map
            addiu $t1, $t1, 4096
            la $t1, 0x00030000
            mtc0 $t1, $10
            ori $t2, $t1, 0x700
            mtc0 $t2, $2
            li $t3, 0x3f00
            mtc0 $t3, $0
            nop
            tlbwi
            li $t0, 0x30000008          # user mode after rfe
            mtc0 $t0, $12
            la $k0, work+0x80000000     # its low address, by wrapping
            jr $k0
            rfe
";

fn main() {
    let seconds: f64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1.0);
    let kernel = WORK.replace("%KERNEL%", "lui $t0, 0x8000; or $s0, $s0, $t0");
    let user = format!("{USER}{}", WORK.replace("%KERNEL%", ""));
    for (name, text) in [("kernel", &kernel), ("user", &user)] {
        for (timed, strict) in [(false, false), (false, true), (true, false), (true, true)] {
            let (mut machine, _) = load(Config { timed, strict, ..Config::default() }, text);
            let begin = Instant::now();
            while begin.elapsed().as_secs_f64() < seconds {
                let stop = machine.run(Limits::instructions(5_000_000));
                assert_eq!(stop, Stop::Budget, "{}", machine.describe(&stop));
            }
            let rate = machine.instructions() as f64 / begin.elapsed().as_secs_f64() / 1e6;
            println!(
                "{name:>6} {:>10} {:>6}: {rate:6.1} million instructions a second, {:.2} cycles each",
                if timed { "timed" } else { "functional" },
                if strict { "strict" } else { "" },
                machine.cycles() as f64 / machine.instructions() as f64
            );
        }
    }
}
