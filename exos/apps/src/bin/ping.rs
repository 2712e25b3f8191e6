//! Asks a machine whether it is there: `ping HOST [COUNT]`.

#![no_std]
#![no_main]

use exos::println;
use exos::process::arguments;
use exos_apps::network::{in_ticks, open, status};
use exos_apps::number;
use exos_net::{Fail, Limits};
use exos_rt::call;

exos::process!(main);

/// Bytes that are sent along.
const BYTES: usize = 56;
/// Ticks in a second.
const SECOND: u32 = 64;

fn main() -> u32 {
    let Some(host) = arguments().nth(1) else {
        exos::complain!("which host?");
        return 2;
    };
    status(ping(host, number(2).unwrap_or(4)))
}

fn ping(host: &str, count: u32) -> Result<(), Fail> {
    let mut stack = open(Limits::default())?;
    let to = stack.resolve(host, in_ticks(10 * SECOND))?;
    let ping = stack.ping_socket()?;
    let data: [u8; BYTES] = core::array::from_fn(|at| at as u8);
    let mut answered = 0;
    for sequence in 1..=count {
        let (before, next) = (call::clock(), in_ticks(SECOND));
        match stack.ping(ping, to, sequence as u16, &data, next) {
            Ok(()) => {
                answered += 1;
                println!("{to}: {BYTES} bytes, {sequence}, {} ticks", call::clock().wrapping_sub(before) & 0x7fff_ffff);
            }
            Err(Fail::TimedOut) => println!("{to}: no answer to {sequence}"),
            Err(fail) => return Err(fail),
        }
        if sequence != count {
            let _ = stack.until::<()>(Some(next), |_| None);
        }
    }
    stack.end();
    if answered == 0 && count != 0 { Err(Fail::TimedOut) } else { Ok(()) }
}
