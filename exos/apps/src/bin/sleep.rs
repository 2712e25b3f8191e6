//! Waits: `sleep SECONDS`, with at most two digits behind a point.

#![no_std]
#![no_main]

use exos::process::{arguments, sleep};

exos::process!(main);

// There are 64 ticks in a second.
const _: () = assert!(exos_rt::abi::slice::MICROSECONDS * 64 == 1_000_000);

/// Hundredths of a second.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u32>().ok() };
    let part = match part.len() {
        1 => digits(part)? * 10,
        0 | 2 => digits(part)?,
        _ => return None,
    };
    digits(whole)?.checked_mul(100)?.checked_add(part)
}

fn main() -> u32 {
    match arguments().nth(1).and_then(hundredths) {
        Some(time) if time < 10_000_000 => {
            sleep((time * 16).div_ceil(25));
            0
        }
        _ => {
            exos::complain!("how many seconds?");
            2
        }
    }
}
