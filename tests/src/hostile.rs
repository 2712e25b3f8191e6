//! What the hostile programs share: an instruction that must not be executed is, and what became of it is looked at.
//!
//! The instructions stand in data, which a program may execute as it may execute all that it can read. So no compiler
//! has to know them, and the hazard checker does not refuse them.

use core::arch::global_asm;
use exos_rt::abi::exception::{Code, OWN_WORDS, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::call;

/// `jr $ra` and what is in its delay slot.
pub const RETURN: [u32; 2] = [0x03e0_0008, 0];

/// An instruction, and the way back should it be executed.
pub type Stub = [u32; 4];

/// A stub of an instruction that may use `$a0` and may change `$v0`.
pub const fn stub(word: u32) -> Stub {
    [word, RETURN[0], RETURN[1], 0]
}

/// What the program's handler was told of an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// EPC.
    pub pc: u32,
    /// BadVAddr.
    pub address: u32,
    /// Cause.
    pub cause: u32,
}

impl Seen {
    /// The exception's code.
    pub fn code(self) -> u32 {
        self.cause >> 2 & 0x1f
    }
}

/// The last words of the save page's own part: the runtime uses the first.
const SEEN: usize = SAVE_PAGE as usize + core::mem::offset_of!(SavePage, own) + 4 * (OWN_WORDS - 4);

/// Bytes of a handler.
const HANDLER_BYTES: u32 = 24;

// A handler for each code: a0 = EPC, a1 = BadVAddr, a2 = Cause. Each notes them and returns to where the stub would
// have.
global_asm!(
    ".set noreorder",
    ".set noat",
    "hostile_handlers:",
    ".set code, 0",
    ".rept 16",
    "    sw    $a0, {seen}($zero)",
    "    sw    $a1, {seen} + 4($zero)",
    "    sw    $a2, {seen} + 8($zero)",
    "    sw    $ra, {pc} + 4*code($zero)",
    "    j     exos_return + 32*code",
    "     nop",
    "    .set code, code + 1",
    ".endr",
    seen = const SEEN,
    pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc),
);

unsafe extern "C" {
    fn hostile_handlers();
}

/// From here on every exception is noted.
#[allow(dead_code, reason = "not every program needs it")]
pub fn note_exceptions() {
    Code::HANDLED.into_iter().for_each(note);
}

/// From here on exceptions of this code are noted.
pub fn note(code: Code) {
    let handler = hostile_handlers as *const () as u32 + HANDLER_BYTES * code as u32;
    // SAFETY: the handlers do what handlers must.
    unsafe { call::set_handler(code, Some(handler)).expect("a handler for it may be set") };
}

/// Executes a stub with `$a0` = `argument`, and tells what exception there was, if there was one.
pub fn execute(stub: &'static Stub, argument: u32) -> Option<Seen> {
    let seen = SEEN as *mut Seen;
    // SAFETY: the words in the save page are nobody else's. The stub is a function that changes no more than a function
    // may; if it is not, that is the test.
    unsafe {
        seen.write_volatile(Seen { pc: 0, address: 0, cause: u32::MAX });
        // The compiler is not to know which stub it is: it would jump to what the hazard checker knows to be no code.
        let function: extern "C" fn(u32) -> u32 = core::mem::transmute(core::hint::black_box(stub.as_ptr()));
        function(argument);
        Some(seen.read_volatile()).filter(|seen| seen.cause != u32::MAX)
    }
}
