//! A stack for a program: its machine's address is what the variable `NET` says (`10.0.2.15/24,GATEWAY,NAMESERVER`), or else
//! what DHCP says.

use exos::process::{block, variable};
use exos_net::{Fail, Host, Limits, Memory, Stack};
use exos_rt::call;

/// Ticks for which DHCP is asked.
const PATIENCE: u32 = 64 * 30;

static MEMORY: Memory<150_000> = Memory::new();

/// A stack with an address. Once in a program.
///
/// # Errors
/// Those of [`Stack::new`] and [`Stack::ask_host`]; [`Fail::BadMessage`] if the variable is no address.
pub fn open(limits: Limits) -> Result<Stack, Fail> {
    let mut stack = Stack::new(MEMORY.claim(), limits, block)?;
    match variable("NET") {
        Some(text) => stack.set_host(Host::parse(text).ok_or(Fail::BadMessage)?),
        None => drop(stack.ask_host(Some(in_ticks(PATIENCE)))?),
    }
    Ok(stack)
}

/// The tick that is so many from now.
#[must_use]
pub fn in_ticks(ticks: u32) -> u32 {
    call::clock().wrapping_add(ticks) & 0x7fff_ffff
}

/// The exit status of what a program does with the network, and its complaint.
pub fn status(result: Result<(), Fail>) -> u32 {
    match result {
        Ok(()) => 0,
        Err(fail) => {
            exos::complain!("{fail}");
            1
        }
    }
}
