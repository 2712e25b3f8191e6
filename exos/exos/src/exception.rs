//! Exceptions (the paper's section 5.3): handlers for each cause, written in Rust or in assembly.
//!
//! A handler in assembly is what the kernel enters ([`set_handler`](exos_rt::call::set_handler)): nothing is saved for
//! it but what the kernel saves. A handler in Rust ([`handle`]) is called with a [`Context`] on the exception stack, in
//! which those registers are that a function may change; what a function preserves it leaves in the registers. When it
//! returns, the program goes on where the context says, by the return sequence, without the kernel.
//!
//! Exceptions nest, those of the same cause, too: the kernel's save slots are in the context before a handler runs.
//!
//! For the three causes that are about translation ([`Code::Modified`], [`Code::TlbLoad`], [`Code::TlbStore`]) the page
//! table goes first, and a handler is called for what it does not allow. One for stores to read-only pages is called by
//! a shorter way than the others.

use crate::page_table::{STACK_TOP, START};
use crate::state::{State, get, set};
use asm_lines::global_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::{PAGE_SHIFT, SAVE_PAGE};
use exos_rt::sequences::{CURRENT, FAULT_STACK_WORD, HANDLER_SCRATCH, Resume};
use exos_rt::{call, fault, sequences};

/// What is saved of the program that was interrupted. A handler may change it.
#[repr(C)]
pub struct Context {
    /// What the way back loads: `$a0` to `$a2`, where the program goes on, its stack.
    pub resume: Resume,
    /// `$at`.
    pub at: u32,
    /// `$v0` and `$v1`.
    pub v: [u32; 2],
    /// `$a3`.
    pub a3: u32,
    /// `$t0` to `$t9`.
    pub t: [u32; 10],
    /// `$ra`.
    pub ra: u32,
    /// HI.
    pub hi: u32,
    /// LO.
    pub lo: u32,
    /// The exception's code.
    pub code: u32,
    /// What it is about, if it is about an address.
    pub address: u32,
    /// Cause, for other exceptions than those about translation.
    pub cause: u32,
    /// The stack for exceptions, or 0 if this was it already.
    stack: u32,
    /// For who has a copy; and a word that makes the size a multiple of 8, which stacks are.
    reserved: [u32; 2],
}

impl Context {
    /// The exception's code.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::handled(self.code).unwrap_or(Code::Reserved)
    }

    /// Where it happened: the instruction, or the branch before it if [`in_delay_slot`](Self::in_delay_slot).
    #[must_use]
    pub fn pc(&self) -> u32 {
        self.resume.pc
    }

    /// Whether the instruction stands in the delay slot of a branch. Not known of exceptions about translation.
    #[must_use]
    pub fn in_delay_slot(&self) -> bool {
        self.cause >> 31 != 0
    }

    /// A word for who has a copy of the context.
    pub(crate) fn reserved(&self) -> bool {
        self.reserved[0] != 0
    }

    /// Sets it.
    pub(crate) fn set_reserved(&mut self, set: bool) {
        self.reserved[0] = set.into();
    }

    /// Goes on behind the instruction. Not for one in a delay slot.
    pub fn skip(&mut self) {
        self.resume.pc = self.resume.pc.wrapping_add(4);
    }

    /// Ends the program as if there were no handler.
    pub fn report(&self) -> ! {
        fault::report(self.resume.pc, self.address, self.code())
    }
}

/// A handler. When it returns, the context is installed: the instruction is executed again unless it says otherwise.
pub type Handler = extern "C" fn(&mut Context);

/// Sets what handles exceptions of a code, `None` for nobody: then they end the program with a report.
///
/// # Errors
/// [`Error::Full`] if there is no memory for the exception stack.
///
/// # Safety
/// The handler does nothing that what it interrupts can't bear: it may run between any two instructions.
pub unsafe fn handle(code: Code, handler: Option<Handler>) -> Result<(), Error> {
    crate::page_table::prepare()?;
    set!(handlers[code as usize], handler.map_or(0, |handler| handler as *const () as u32));
    let entry = match code {
        // The page table's handlers are there, or will be.
        Code::Modified | Code::TlbLoad | Code::TlbStore => return Ok(()),
        code => exos_exception as *const () as u32 + code as u32 * ENTRY_BYTES,
    };
    // SAFETY: it does what handlers must.
    unsafe { call::set_handler(code, Some(entry)) }.map(drop)
}

/// The handler in Rust for a code.
pub(crate) fn handler(code: Code) -> Option<Handler> {
    let handler = get!(handlers[code as usize]);
    // SAFETY: nothing but `handle` sets it.
    (handler != 0).then(|| unsafe { core::mem::transmute::<usize, Handler>(handler as usize) })
}

/// Called by assembly for an exception that is not about translation.
extern "C" fn other(context: &mut Context) {
    match handler(context.code()) {
        Some(handler) => handler(context),
        None => context.report(),
    }
}

/// Bytes of an entry below.
const ENTRY_BYTES: u32 = 16;

unsafe extern "C" {
    fn exos_exception();
}

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // --- Handlers, one for each code: a0 = EPC, a1 = BadVAddr, a2 = Cause. -------------------------------------------
    ".globl exos_exception",
    ".type exos_exception, @function",
    "exos_exception:",
    ".set code, 0",
    ".rept 13",
    "    sw    $a0, {pc} + 4*code($zero)",
    "    sw    $v0, {scratch}($zero)",
    "    j     exos_other_exception",
    "     addiu $v0, $zero, code",
    ".set code, code + 1",
    ".endr",
    // v0 = the code, a2 = Cause; v0 and EPC are saved.
    "exos_other_exception:",
    "    lui   $a0, %hi({other})",
    "    sw    $a2, {scratch_cause}($zero)",
    "    move  $a2, $v0",
    "    addiu $v0, $a0, %lo({other})",
    // Falls into:
    ".size exos_exception, . - exos_exception",
    "",
    // --- A handler in Rust is called, also from those of a page table: a1 = BadVAddr, a2 = the code, v0 = the function.
    // v0 and EPC are saved; every other register is the program's. ----------------------------------------------------
    ".globl exos_call_handler",
    ".type exos_call_handler, @function",
    "exos_call_handler:",
    "    lw    $a0, {CURRENT}($zero)",
    "    sw    $v1, {scratch_v1}($zero)",
    "    lw    $v1, {fault_stack}($a0)",
    "    sw    $at, {scratch_at}($zero)",
    "    beq   $v1, $zero, 2f",        // in use: below what is there
    "     sw   $zero, {fault_stack}($a0)",
    "1:  addiu $a0, $v1, -{frame}",
    "    sw    $v1, {stack}($a0)",
    "3:  sw    $sp, {sp}($a0)",
    "    move  $sp, $a0",
    "    sw    $a1, {address}($sp)",
    "    sw    $a2, {code}($sp)",
    "    sw    $a3, {a3}($sp)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    sw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    sw    $ra, {ra}($sp)",
    "    sll   $t0, $a2, 2",
    "    lw    $t1, {saved_a0}($t0)",
    "    lw    $t2, {saved_a1}($t0)",
    "    lw    $t3, {saved_a2}($t0)",
    "    lw    $t4, {pc}($t0)",
    "    lw    $t5, {scratch}($zero)",
    "    lw    $t6, {scratch_v1}($zero)",
    "    lw    $t7, {scratch_at}($zero)",
    "    lw    $t8, {scratch_cause}($zero)",
    "    sw    $t1, {resume_a0}($sp)",
    "    sw    $t2, {resume_a1}($sp)",
    "    sw    $t3, {resume_a2}($sp)",
    "    sw    $t4, {resume_pc}($sp)",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t5, {v}($sp)",
    "    sw    $t6, {v} + 4($sp)",
    "    sw    $t7, {at}($sp)",
    "    sw    $t8, {cause}($sp)",
    "    sw    $t0, {hi}($sp)",
    "    sw    $t1, {lo}($sp)",
    "    jalr  $v0",
    "     move $a0, $sp",
    // --- The way back from the context at sp. ------------------------------------------------------------------------
    "    lw    $t0, {hi}($sp)",
    "    lw    $t1, {lo}($sp)",
    "    lw    $at, {at}($sp)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    lw    $v0, {v}($sp)",
    "    lw    $v1, {v} + 4($sp)",
    "    lw    $a3, {a3}($sp)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    lw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    lw    $ra, {ra}($sp)",
    "    lw    $a0, {CURRENT}($zero)",
    "    lw    $a2, {stack}($sp)",
    "    j     exos_return",           // the one that loads from the stack
    "     sw   $a2, {fault_stack}($a0)",
    // Has it overflowed? Then nothing can be saved there; the runtime has a stack for the report.
    "2:  srl   $a0, $a1, 12",
    "    lui   $v1, {guard_page} >> 16",
    "    ori   $v1, $v1, {guard_page} & 0xffff",
    "    bne   $a0, $v1, 4f",
    "     sll  $v1, $a2, 2",
    "    lw    $a0, {pc}($v1)",
    "    j     exos_unhandled",
    "     move $a2, $v1",
    "4:  addiu $a0, $sp, -{frame}",
    "    srl   $a0, $a0, 3",
    "    sll   $a0, $a0, 3",
    "    j     3b",
    "     sw   $zero, {stack}($a0)",
    ".size exos_call_handler, . - exos_call_handler",
    "",
    // --- The shorter way, for a store to a page that the program protects: v0 = the handler, t0 = $a0 of the program, sp =
    // main's stack for exceptions, which is free. The context is in the save page, so no register is needed to reach it.
    // $at, $v0, $v1, $a3, $t0, $t7 to $t9, $ra, $sp and the address are there already. The stores, which memory takes one
    // in two cycles, stand between others where they can. -------------------------------------------------------------
    ".globl exos_protected",
    ".type exos_protected, @function",
    "exos_protected:",
    "    sw    $t1, {kept} + {t} + 4($zero)",
    "    lw    $t1, {saved_a1} + 4($zero)",
    "    sw    $zero, {main_stack}($zero)", // in use
    "    sw    $t2, {kept} + {t} + 8($zero)",
    "    lw    $t2, {saved_a2} + 4($zero)",
    "    sw    $t3, {kept} + {t} + 12($zero)",
    "    lw    $t3, {pc} + 4($zero)",
    "    sw    $t0, {kept} + {resume_a0}($zero)",
    "    mfhi  $t0",
    "    sw    $t1, {kept} + {resume_a1}($zero)",
    "    mflo  $t1",
    "    sw    $t2, {kept} + {resume_a2}($zero)",
    "    sw    $t3, {kept} + {resume_pc}($zero)",
    "    .irp n, 4,5,6",
    "    sw    $t\\n, {kept} + {t} + 4*\\n($zero)",
    "    .endr",
    "    addiu $a0, $zero, {kept}",
    "    sw    $t0, {kept} + {hi}($zero)",
    "    jalr  $v0",
    "     sw   $t1, {kept} + {lo}($zero)",
    "    lw    $t0, {kept} + {hi}($zero)",
    "    lw    $t1, {kept} + {lo}($zero)",
    "    lw    $at, {kept} + {at}($zero)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    lw    $v0, {kept} + {v}($zero)",
    "    lw    $v1, {kept} + {v} + 4($zero)",
    "    lw    $a3, {kept} + {a3}($zero)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    lw    $t\\n, {kept} + {t} + 4*\\n($zero)",
    "    .endr",
    "    lw    $ra, {kept} + {ra}($zero)",
    "    sw    $sp, {main_stack}($zero)",
    "    j     exos_return",           // the one that loads from the stack
    "     addiu $sp, $zero, {kept}",
    ".size exos_protected, . - exos_protected",
    pc = const SAVE_PAGE + offset_of!(SavePage, pc) as u32,
    kept = const KEPT,
    main_stack = const FAULT_STACK_WORD,
    saved_a0 = const SAVE_PAGE + offset_of!(SavePage, a0) as u32,
    saved_a1 = const SAVE_PAGE + offset_of!(SavePage, a1) as u32,
    saved_a2 = const SAVE_PAGE + offset_of!(SavePage, a2) as u32,
    CURRENT = const CURRENT,
    fault_stack = const FAULT_STACK_WORD,
    scratch = const HANDLER_SCRATCH,
    scratch_v1 = const SCRATCH_V1,
    scratch_at = const SCRATCH_AT,
    scratch_cause = const SCRATCH_CAUSE,
    frame = const size_of::<Context>(),
    at = const offset_of!(Context, at),
    v = const offset_of!(Context, v),
    a3 = const offset_of!(Context, a3),
    t = const offset_of!(Context, t),
    ra = const offset_of!(Context, ra),
    hi = const offset_of!(Context, hi),
    lo = const offset_of!(Context, lo),
    code = const offset_of!(Context, code),
    address = const offset_of!(Context, address),
    cause = const offset_of!(Context, cause),
    stack = const offset_of!(Context, stack),
    resume_a0 = const offset_of!(Context, resume.a0),
    resume_a1 = const offset_of!(Context, resume.a1),
    resume_a2 = const offset_of!(Context, resume.a2),
    resume_pc = const offset_of!(Context, resume.pc),
    sp = const offset_of!(Context, resume.sp),
    guard_page = const (START >> PAGE_SHIFT) - 1,
    other = sym other,
);

/// More words as [`HANDLER_SCRATCH`]: the other slots of the code that no exception has.
pub(crate) const SCRATCH_V1: u32 = HANDLER_SCRATCH + (offset_of!(SavePage, a1) - offset_of!(SavePage, a0)) as u32;
pub(crate) const SCRATCH_AT: u32 = HANDLER_SCRATCH + (offset_of!(SavePage, a2) - offset_of!(SavePage, a0)) as u32;
pub(crate) const SCRATCH_CAUSE: u32 = HANDLER_SCRATCH + (offset_of!(SavePage, pc) - offset_of!(SavePage, a0)) as u32;

/// Where the context of the shorter way is, as an offset from `$zero`.
pub(crate) const KEPT: u32 = sequences::FREE + offset_of!(State, protected) as u32;

/// Where the handlers' words are, as an offset from `$zero`.
pub const HANDLERS: u32 = sequences::FREE + offset_of!(State, handlers) as u32;

const _: () = assert!(STACK_TOP > START && size_of::<Context>().is_multiple_of(8));
