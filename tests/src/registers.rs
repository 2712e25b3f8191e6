//! What the programs that look at all registers share: fill them, make a call, see which have changed.

use core::arch::{global_asm, naked_asm};
use exos_rt::abi::exception::{OWN_WORDS, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;

/// All registers by number; `$zero`, `$k0` and `$k1` are not used. Then HI and LO.
pub type Registers = [u32; 34];

/// Numbers of registers.
pub const V0: usize = 2;
#[allow(dead_code, reason = "not every program needs it")]
pub const V1: usize = 3;
#[allow(dead_code, reason = "not every program needs it")]
pub const A0: usize = 4;

/// Near the end of the save page's own part, where offsets from `$zero` reach them: the registers before and after.
const BEFORE: usize = SAVE_PAGE as usize + core::mem::offset_of!(SavePage, own) + 4 * (OWN_WORDS - 84);
const AFTER: usize = BEFORE + size_of::<Registers>();
/// The stack pointer of who called.
const STACK: usize = AFTER + size_of::<Registers>();

/// Registers that are all different, and different from other seeds'.
pub fn different(seed: u32) -> Registers {
    core::array::from_fn(|number| 0x9e37_79b9_u32.wrapping_mul(number as u32 + 1).wrapping_add(seed))
}

/// Fills all registers, makes the call that they say, and returns what they are afterwards, or when control is
/// transferred to [`arrived`].
///
/// # Safety
/// The call does no harm.
pub unsafe fn make_call(registers: &Registers) -> Registers {
    // SAFETY: the words in the save page are nobody else's; the assembly keeps what a function must keep.
    unsafe {
        (BEFORE as *mut Registers).write_volatile(*registers);
        fill_and_call();
        (AFTER as *const Registers).read_volatile()
    }
}

/// The numbers of the registers that differ.
pub fn changed(before: &Registers, after: &Registers) -> impl Iterator<Item = usize> {
    let used = (1..34).filter(|number| !matches!(number, 26 | 27));
    used.filter(move |&number| before[number] != after[number])
}

unsafe extern "C" {
    /// A synchronous entry for who waits in `make_call`.
    #[allow(dead_code, reason = "not every program needs it")]
    pub fn arrived();
}

#[unsafe(naked)]
unsafe extern "C" fn fill_and_call() {
    naked_asm!(
        ".set noreorder",
        ".set noat",
        "addiu $sp, $sp, -48",
        ".set place, 0",
        ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
        "sw    $\\n, place($sp)",
        ".set place, place + 4",
        ".endr",
        "sw    $sp, {stack}($zero)",
        "lw    $t0, {before} + 4*32($zero)",
        "lw    $t1, {before} + 4*33($zero)",
        "mthi  $t0",
        "mtlo  $t1",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
        "lw    $\\n, {before} + 4*\\n($zero)",
        ".endr",
        "nop",
        "syscall",
        "j     registers_arrived",
        " nop",
        stack = const STACK,
        before = const BEFORE,
    )
}

global_asm!(
    ".set noreorder",
    ".set noat",
    ".globl arrived",
    "arrived:",
    "registers_arrived:",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, {after} + 4*\\n($zero)",
    ".endr",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t0, {after} + 4*32($zero)",
    "    sw    $t1, {after} + 4*33($zero)",
    "    lw    $sp, {stack}($zero)",
    "    nop",
    ".set place, 0",
    ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
    "    lw    $\\n, place($sp)",
    ".set place, place + 4",
    ".endr",
    "    addiu $sp, $sp, 48",
    "    jr    $ra",
    "     nop",
    stack = const STACK,
    after = const AFTER,
);

const _: () = assert!(STACK + 4 <= SAVE_PAGE as usize + core::mem::offset_of!(SavePage, own) + 4 * (OWN_WORDS - 8));
