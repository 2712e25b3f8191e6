//! Waits: `sleep SECONDS`, with at most two digits behind a point.

#![no_std]
#![no_main]

use exos::process::{arguments, sleep};
use exos_rt::abi::slice::MICROSECONDS;

exos::process!(main);

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
            sleep((u64::from(time) * 10_000).div_ceil(u64::from(MICROSECONDS)) as u32);
            0
        }
        _ => {
            exos::complain!("how many seconds?");
            2
        }
    }
}
