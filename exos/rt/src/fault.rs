//! What happens to a program that fails: it says so, with its name, the cause, the address, and where, and ends.

use crate::shared::Shared;
use crate::{call, println, program, sequences};
use aegis_abi::console::PC;
use aegis_abi::exception::Code;
use core::panic::PanicInfo;

/// The exit status after an exception that nobody handles.
pub const FAULTED: u32 = 128;
/// The exit status after a panic.
pub const PANICKED: u32 = 101;

/// How a program ends that panics, if not by the call.
static EXIT: Shared<Option<fn(u32) -> !>> = Shared::new(None);

/// From now on a panic ends the program by `exit`.
pub fn set_exit(exit: fn(u32) -> !) {
    EXIT.set(Some(exit));
}

/// Called by assembly, on a stack of its own, for every exception that has no other handler.
pub(crate) unsafe extern "C" fn unhandled(epc: u32, address: u32, cause: u32) -> ! {
    match Code::handled(cause >> 2 & 0x1f) {
        Some(code) => report(epc, address, code),
        None => unreachable!("an exception of the kernel's"),
    }
}

/// Reports an exception at `pc` and ends the program. `address` is what it is about, if its code is about one.
pub fn report(pc: u32, address: u32, code: Code) -> ! {
    let (name, text) = (program::name(), code.text());
    if code.has_address() {
        println!("{name}: fault: {text}, address={address:#010x}, {PC}{pc:08x}");
    } else {
        println!("{name}: fault: {text}, {PC}{pc:08x}");
    }
    call::exit(FAULTED)
}

/// Called by assembly at the end of the last slice that the program was allowed.
pub(crate) unsafe extern "C" fn limit_reached() -> ! {
    let (used, pc) = (sequences::slices_used(), sequences::interrupted_at());
    println!("{}: fault: still running after {used} time slices, {PC}{pc:08x}", program::name());
    call::exit(FAULTED)
}

/// What is called when a panic has been reported.
static PANIC_HOOK: Shared<Option<fn()>> = Shared::new(None);

/// Sets what is called when a panic has been reported, on the stack of what panicked. If it returns the program ends.
pub fn set_panic_hook(hook: fn()) {
    PANIC_HOOK.set(Some(hook));
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    match info.location() {
        Some(place) => println!("{}: panic: {} ({}:{})", program::name(), info.message(), place.file(), place.line()),
        None => println!("{}: panic: {}", program::name(), info.message()),
    }
    if let Some(hook) = PANIC_HOOK.get() {
        hook();
    }
    match EXIT.get() {
        Some(exit) => exit(PANICKED),
        None => call::exit(PANICKED),
    }
}
