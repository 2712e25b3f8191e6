//! The system calls that are written in Rust. `aegis_abi::call` says what each is for; gates call these functions.
//!
//! A result that is not negative is a success. The caller's registers are the gates' concern.

use crate::arch::entry::with_caller;
use crate::arch::layout::Record;
use crate::arch::no_handler_address;
use crate::machine;
use aegis_abi::Error;
use aegis_abi::console::WRITE_MAX;
use aegis_abi::exception::Code;
use aegis_core::header::is_entry;

/// What a gate passes: four arguments of the program's and its record.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($kernel:pat, $record:pat, $a0:pat, $a1:pat) -> $result:ty $body:block)*) => {
        $(
            $(#[$doc])*
            pub unsafe extern "C" fn $name(a0: u32, a1: u32, _a2: u32, _a3: u32, record: *mut Record) -> $result {
                // SAFETY: only the call's gate refers to this function, and it passes the caller's record.
                unsafe { with_caller(record, |kernel, record| {
                    let ($kernel, $record, $a0, $a1) = (kernel, record, a0, a1);
                    $body
                }) }
            }
        )*
    };
}

/// See [`aegis_abi::call::NULL`]. It uses nothing, so it takes nothing.
pub extern "C" fn null() -> i32 {
    0
}

calls! {
    /// See [`aegis_abi::call::YIELD`].
    fn yield_(kernel, _, _, _) -> i32 {
        kernel.next_slice()
    }

    /// See [`aegis_abi::call::EXIT`].
    fn exit(kernel, record, status, _) -> i32 {
        kernel.end(record, status == 0)
    }

    /// See [`aegis_abi::call::CONSOLE_WRITE`].
    fn console_write(kernel, record, address, bytes) -> i32 {
        if bytes > WRITE_MAX {
            return Error::BadArgument as i32;
        }
        let Some(pieces) = record.mappings.readable(address, bytes) else { return Error::BadPointer as i32 };
        if !kernel.console.has_room(bytes as usize) {
            return Error::Busy as i32;
        }
        for piece in pieces {
            kernel.console.push(machine::memory(piece));
        }
        kernel.machine.console_start(&mut kernel.console);
        0
    }

    /// See [`aegis_abi::call::CONSOLE_PENDING`].
    fn console_pending(kernel, _, _, _) -> i32 {
        kernel.console.len() as i32
    }

    /// See [`aegis_abi::call::SET_HANDLER`].
    fn set_handler(_, record, code, handler) -> i32 {
        let Some(code) = Code::handled(code).filter(|_| is_entry(handler)) else { return Error::BadArgument as i32 };
        let new = if handler == 0 { no_handler_address() } else { handler };
        let old = core::mem::replace(&mut record.handlers[code as usize], new);
        if old == no_handler_address() { 0 } else { old as i32 }
    }

    /// See [`aegis_abi::call::CLOCK`].
    fn clock(kernel, _, _, _) -> i32 {
        kernel.ticks as i32
    }
}
