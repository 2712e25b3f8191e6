//! Handlers of signals, which a process installs for itself.
//!
//! A signal ends a process unless it has a handler for it, and then is *pending* until the process calls this library
//! (to read, write, wait or sleep; whoever waits is woken): the handler is called there, and what was interrupted goes
//! on. So a process that computes and calls nothing is ended by [`KILL`](signal::KILL) only, if it handles the others.
//!
//! Two kinds are other:
//! - *Faults* ([`SEGV`](signal::SEGV), [`BUS`](signal::BUS), [`TRAP`](signal::TRAP), …): the handler is called at once, on
//!   the stack for exceptions, so even if the other one is at its end. If it returns a missed access is tried again;
//!   after other faults the process ends nevertheless. A fault in it ends the process.
//! - [`PIPE`](signal::PIPE) and [`CHLD`](signal::CHLD) are nothing to who has no handler: a write to a pipe that nobody
//!   reads is an error anyway.
//!
//! Handlers are inherited at a fork, not by another program.

use crate::process::table::{Process, signal};
use crate::process::{Fail, me};
use exos_rt::shared::Shared;

/// What is called, with the signal's number.
pub type Handler = fn(u32);

/// Numbers are below this.
const SIGNALS: usize = 32;

static HANDLERS: [Shared<Option<Handler>>; SIGNALS] = [const { Shared::new(None) }; SIGNALS];

/// Sets what is called for a signal; `None` for what happens without.
///
/// # Errors
/// [`Fail::BadSignal`] if there is no such signal, or it can't be handled.
pub fn handle(number: u32, handler: Option<Handler>) -> Result<(), Fail> {
    if number == 0 || number == signal::KILL || number as usize >= SIGNALS {
        return Err(Fail::BadSignal);
    }
    let (bit, caught) = (1 << number, &me().caught);
    // The table tells only of what is there.
    caught.update(|all| all & !bit);
    HANDLERS[number as usize].set(handler);
    if handler.is_some() {
        caught.update(|all| all | bit);
    }
    Ok(())
}

/// Whether a process handles a signal.
#[inline]
pub(crate) fn is_caught(process: &Process, number: u32) -> bool {
    number < SIGNALS as u32 && number != signal::KILL && process.caught.get() >> number & 1 != 0
}

/// Makes a signal pending for a process that handles it; false if it does not.
#[unsafe(link_section = ".text.process_life")]
pub(crate) fn send(process: &Process, number: u32) -> bool {
    let caught = is_caught(process, number);
    if caught {
        process.pending.update(|all| all | 1 << number);
        process.wake();
    }
    caught
}

/// Calls the handlers of what is pending, the lowest first.
pub fn deliver() {
    let me = me();
    while me.pending.get() != 0 {
        let number = me.pending.get().trailing_zeros();
        me.pending.update(|all| all & !(1 << number));
        call(number);
    }
}

fn call(number: u32) {
    if let Some(handler) = HANDLERS.get(number as usize).and_then(Shared::get) {
        handler(number);
    }
}

/// A fault of this process's: false if it has no handler, or that has just caused it.
pub(crate) fn fault(number: u32, pc: u32, address: u32) -> bool {
    let me = me();
    me.fault.set([pc, address]);
    if !is_caught(me, number) {
        return false;
    }
    me.caught.update(|all| all & !(1 << number));
    call(number);
    if HANDLERS[number as usize].get().is_some() {
        me.caught.update(|all| all | 1 << number);
    }
    true
}
