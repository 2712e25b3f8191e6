//! LRPC: calls of one function in another environment, as short as can be (the paper's sections 6.1 and 7.2).
//!
//! A server has a single function, of a few instructions, and executes it in the entry itself: no stack, no table of
//! procedures, no rights; who calls is in `$v1`. What makes that hold under preemption is how the function is written:
//! up to its last instruction, a store, nothing of what it does can be seen; so it is begun anew if a slice ends in it,
//! and with the store it is done ([`server!`](crate::lrpc_server)). Such a server is never busy. It makes no calls
//! itself.
//!
//! A caller saves all registers that a function preserves, and takes them back when the answer comes ([`fn@call`]); or
//! it trusts the server to leave them as they are ([`trust`]). While main is out calling, calls of this environment
//! are refused.
//!
//! Any transfer from the callee is taken for the answer. A server of [`mod@crate::transfer`] may be called, too: it
//! finds its own id in the first word of the message, and may refuse.

use crate::sequences::{
    self, ANSWERED, BUSY, CALL, DEAD, OWN, REFUSED, RESUMED, exos_lrpc, exos_trust, exos_trusted_lrpc,
};
use crate::{call, revocation, transfer};
use aegis_abi::exception::Code;
use aegis_abi::program::ProtectedEntries;
use aegis_abi::{EnvId, Error};

/// The entry of a server of LRPC: its code, made by [`server!`](crate::lrpc_server).
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    #[doc(hidden)]
    pub start: unsafe extern "C" fn(),
    #[doc(hidden)]
    pub end: unsafe extern "C" fn(),
}

/// Defines an [`lrpc::Entry`](crate::lrpc::Entry) of a function, which is lines of assembly for an R3000, `.set
/// noreorder` and `.set noat`. The arguments are in `$a1` to `$a3`, the caller's id in `$v1`, the result in `$a0`.
///
/// The lines may change `$a0` and `$t0` to `$t8`, and read besides them only what they have not changed. They make one
/// store, with the last line. They jump nowhere but forward within them.
#[macro_export]
macro_rules! lrpc_server {
    ($(#[$doc:meta])* $visibility:vis static $name:ident = [$($line:literal),* $(,)?]
     $(, $operand:ident = $kind:ident $value:expr)* $(,)?) => {
        core::arch::global_asm!(
            ".set noreorder",
            ".set noat",
            concat!(".globl exos_lrpc_server_", stringify!($name)),
            concat!(".type exos_lrpc_server_", stringify!($name), ", @function"),
            concat!("exos_lrpc_server_", stringify!($name), ":"),
            $($line,)*
            "    syscall",             // v0 = 0, v1 = the caller, as they were: the answer
            "    j     exos_resume",   // the caller is not there any more
            "     nop",
            concat!(".size exos_lrpc_server_", stringify!($name), ", . - exos_lrpc_server_", stringify!($name)),
            concat!(".globl exos_lrpc_server_", stringify!($name), "_end"),
            concat!(".type exos_lrpc_server_", stringify!($name), "_end, @function"),
            concat!("exos_lrpc_server_", stringify!($name), "_end:"),
            "99:",
            // Begun anew, when it was interrupted.
            $($line,)*
            "    j     exos_answer_late",
            "     nop",
            concat!(".size exos_lrpc_server_", stringify!($name), "_end, . - 99b"),
            $($operand = $kind $value,)*
        );

        $(#[$doc])*
        $visibility static $name: $crate::lrpc::Entry = {
            unsafe extern "C" {
                #[link_name = concat!("exos_lrpc_server_", stringify!($name))]
                fn start();
                #[link_name = concat!("exos_lrpc_server_", stringify!($name), "_end")]
                fn end();
            }
            $crate::lrpc::Entry { start, end }
        };
    };
}

/// From now on this environment is a server of LRPC, and takes no other calls. Exception handlers stay.
///
/// # Safety
/// What the entry's function accesses is accessed by the rest of the program in a way that allows for it.
pub unsafe fn serve(entry: &Entry) {
    let (start, end) = (entry.start as *const () as u32, entry.end as *const () as u32);
    // SAFETY: the words are the runtime's; the entry is made for this.
    unsafe {
        (&raw mut (*OWN).late).write_volatile(end);
        enter_at(
            ProtectedEntries { synchronous: start, asynchronous: sequences::exos_asynchronous as *const () as u32 },
            [start, end],
            sequences::exos_served_interrupted as *const () as u32,
        );
    }
}

/// Has transfers enter this environment elsewhere than usual. `range` is code of the program's that they enter; if a
/// slice ends in it, that goes on at `interrupted`.
///
/// # Safety
/// The code is written for it.
pub unsafe fn enter_at(entries: ProtectedEntries, range: [u32; 2], interrupted: u32) {
    let usual = sequences::header();
    let mut header = *usual;
    header.protected_entries = entries;
    for code in Code::HANDLED {
        let default = usual.handlers[code as usize];
        // SAFETY: the handlers are the usual ones, and soon those that they were.
        let set = unsafe { call::set_handler(code, Some(default)) }.expect("a handler for it may be set");
        header.handlers[code as usize] = set.unwrap_or(0);
    }
    // SAFETY: the words are the runtime's; the caller's.
    unsafe {
        (&raw mut (*OWN).entry_interrupted).write_volatile(interrupted);
        (&raw mut (*OWN).entry).write_volatile([range[0], range[1] - range[0]]);
        call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, header.start_of_slice)
            .expect("its own entries are in order");
    }
}

/// Calls `callee` with three words and waits for the answer, a word. By main; the server activity uses
/// [`transfer::call`](crate::transfer::call).
///
/// # Errors
/// [`Error::NoSuchEnvironment`] if it does not live, or dies before it has answered, or takes no calls;
/// [`Error::Busy`] if it refuses, or this is the server activity.
#[inline]
pub fn call(callee: EnvId, [a1, a2, a3]: [u32; 3]) -> Result<u32, Error> {
    // SAFETY: the arguments are a message.
    let (word, kind) = split(unsafe { exos_lrpc(callee.0, a1, a2, a3) });
    if kind == CALL || kind == ANSWERED { Ok(word) } else { other(word, kind) }
}

fn split(answer: u64) -> (u32, u32) {
    (answer as u32, (answer >> 32) as u32)
}

#[cold]
fn other(word: u32, kind: u32) -> Result<u32, Error> {
    match kind.cast_signed() {
        REFUSED => call::check(word.cast_signed()),
        RESUMED => {
            transfer::reclaim();
            revocation::told_late();
            // SAFETY: the words are the runtime's, and main's are this activity's.
            let (kind, [word, _]) = unsafe {
                let main = &raw const (*OWN).activities[0];
                ((&raw const (*main).kind).read_volatile(), (&raw const (*main).answer).read_volatile())
            };
            match kind {
                CALL | ANSWERED => Ok(word),
                DEAD => Err(Error::NoSuchEnvironment),
                _ => Err(Error::Busy),
            }
        }
        _ => Err(Error::Busy),
    }
}

/// A server that is trusted with registers.
#[derive(Clone, Copy, Debug)]
pub struct Trusted(EnvId);

impl Trusted {
    /// As [`fn@call`].
    ///
    /// # Errors
    /// [`Error::NoSuchEnvironment`] if it does not live. If it dies before it has answered, the scope ends.
    #[inline]
    pub fn call(self, [a1, a2, a3]: [u32; 3]) -> Result<u32, Error> {
        // SAFETY: the arguments are a message.
        let (word, kind) = split(unsafe { exos_trusted_lrpc(self.0.0, a1, a2, a3) });
        if kind.cast_signed() >= 0 { Ok(word) } else { call::check(word.cast_signed()) }
    }
}

/// Executes `scope`, by main, in which `server` is trusted to leave all registers as they are that a function
/// preserves, as servers that [`server!`](crate::lrpc_server) makes do. From now on this environment is entered accordingly.
///
/// # Errors
/// [`Error::NoSuchEnvironment`] if the server has died with the registers: then the scope ends where it was;
/// [`Error::Busy`] in the server activity.
///
/// # Safety
/// The server is worth the trust: it could have this program execute anything. The scope may end at any call, so
/// nothing depends on what it has yet to do, its destructors included.
pub unsafe fn trust<R>(server: EnvId, scope: impl FnOnce(Trusted) -> R) -> Result<R, Error> {
    struct Scope<F, R> {
        server: EnvId,
        scope: Option<F>,
        result: Option<R>,
    }
    extern "C" fn execute<F: FnOnce(Trusted) -> R, R>(argument: *mut ()) {
        // SAFETY: it is what `trust` passes on.
        let this = unsafe { &mut *argument.cast::<Scope<F, R>>() };
        this.result = this.scope.take().map(|scope| scope(Trusted(this.server)));
    }
    fn function<F: FnOnce(Trusted) -> R, R>(_: &Scope<F, R>) -> extern "C" fn(*mut ()) {
        execute::<F, R>
    }
    if sequences::current() == sequences::SERVER {
        return Err(Error::Busy);
    }
    let start = sequences::exos_trusted_asynchronous as *const () as u32;
    let synchronous = sequences::exos_trusted_synchronous as *const () as u32;
    let mut this = Scope { server, scope: Some(scope), result: None };
    // SAFETY: the entries are written for it. The function takes this argument.
    unsafe {
        if (&raw const (*OWN).entry).read_volatile()[0] != start {
            enter_at(
                ProtectedEntries { synchronous, asynchronous: start },
                [start, sequences::exos_trusted_end as *const () as u32],
                sequences::exos_trusted_interrupted as *const () as u32,
            );
        }
        let function = function(&this);
        exos_trust(function, (&raw mut this).cast());
    }
    this.result.ok_or(Error::NoSuchEnvironment)
}

const _: () = assert!(BUSY != CALL && BUSY != ANSWERED);
