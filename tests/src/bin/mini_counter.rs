//! A program of mini's: it counts calls and ticks, and adds what callers send. Other tests call it.
//@ helper

#![no_std]
#![no_main]

use exos_mini::Program;
use exos_mini::abi::EnvId;
use exos_mini::console::print;

/// The first word of a message that asks who is there; the answer is this, and how many ticks there were.
const WHO: u32 = 0x6d69_6e69;
/// The first word of one that adds the second; the answer is the sum.
const ADD: u32 = 1;
/// Of one that takes longer than a slice.
const LONG: u32 = 2;
/// Of one that is the last.
const END: u32 = 3;
/// Of one that fails.
const FAIL: u32 = 4;

struct Counter {
    sum: u32,
    calls: u32,
    ticks: u32,
    end: bool,
}

exos_mini::program!(Counter = Counter { sum: 0, calls: 0, ticks: 0, end: false });

impl Program for Counter {
    fn call(&mut self, _caller: EnvId, [op, argument, ..]: [u32; 4]) -> u64 {
        self.calls += 1;
        match op {
            WHO => u64::from(self.ticks) << 32 | u64::from(WHO),
            ADD => {
                self.sum += argument;
                self.sum.into()
            }
            LONG => {
                let end = exos_mini::now() + argument;
                while exos_mini::now() < end {
                    core::hint::spin_loop();
                }
                end.into()
            }
            FAIL => {
                // SAFETY: nothing is there: that is what is tested.
                u64::from(unsafe { (argument as *const u32).read_volatile() })
            }
            END => {
                self.end = true;
                0
            }
            _ => u64::MAX,
        }
    }

    fn tick(&mut self, now: u32) -> Option<u32> {
        self.ticks += 1;
        if self.end {
            print(format_args!("mini_counter: {} calls, their sum {}\n", self.calls, self.sum));
            exos_mini::exit(0);
        }
        Some(now + 1)
    }
}
