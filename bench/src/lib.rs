//! What the benchmark programs share: an operation measured once between marks, and in a loop between marks.

#![no_std]
#![feature(asm_experimental_arch)]

pub mod counter;
pub mod dpf;

#[doc(hidden)]
pub use asm_lines::naked_asm;

/// The mark of the loop around the operation of mark `id`.
#[must_use]
pub const fn loop_of(id: u32) -> u32 {
    id + 100
}

/// Rounds of a loop.
pub const ROUNDS: u32 = 1000;
/// How often each loop is run: the median is taken.
pub const LOOPS: u32 = 9;
/// How often each operation is measured alone.
pub const ALONE: u32 = 1000;

/// Says on the console what an operation is that is measured under mark `id`.
pub fn describe(id: u32, table: &str, op: core::fmt::Arguments, system: &str, how: &str) {
    exos_rt::println!("mark {id} table={table} op={op} system={system} how={how}");
}

/// Says on the console what the loop around mark `id` is.
pub fn describe_loop(id: u32, how: &str) {
    exos_rt::println!("loop {} of={id} rounds={ROUNDS} how={how}", loop_of(id));
}

/// Defines two functions of assembly: `$alone` executes the operation once between its marks, `$looped` many times in a
/// loop between the loop's marks.
///
/// `prepare` is executed before each round, outside of the marks of a single one. Both may change what a function may
/// change, and `$ra`. The loop's own are two instructions and the empty slot of its branch.
#[macro_export]
macro_rules! operation {
    ($alone:ident, $looped:ident, mark $id:expr, prepare [$($prepare:literal),*], operation [$($line:literal),*]
     $(, $name:ident = $kind:ident $value:expr)*) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $alone() {
            $crate::naked_asm!(
                ".set noreorder",
                "addiu $sp, $sp, -8",
                "sw    $ra, 0($sp)",
                $($prepare,)*
                ".word {begin}",
                $($line,)*
                ".word {end}",
                "lw    $ra, 0($sp)",
                "addiu $sp, $sp, 8",
                "jr    $ra",
                " nop",
                begin = const exos_rt::abi::mark::WORD | $id,
                end = const exos_rt::abi::mark::WORD | exos_rt::abi::mark::END | $id,
                $($name = $kind $value,)*
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped() {
            $crate::naked_asm!(
                ".set noreorder",
                "addiu $sp, $sp, -8",
                "sw    $ra, 0($sp)",
                "sw    $s0, 4($sp)",
                "addiu $s0, $zero, {rounds}",
                ".word {begin}",
                "1:",
                $($prepare,)*
                $($line,)*
                "addiu $s0, $s0, -1",
                "bne   $s0, $zero, 1b",
                " nop",
                ".word {end}",
                "lw    $ra, 0($sp)",
                "lw    $s0, 4($sp)",
                "addiu $sp, $sp, 8",
                "jr    $ra",
                " nop",
                begin = const exos_rt::abi::mark::WORD | $crate::loop_of($id),
                end = const exos_rt::abi::mark::WORD | exos_rt::abi::mark::END | $crate::loop_of($id),
                rounds = const $crate::ROUNDS,
                $($name = $kind $value,)*
            )
        }
    };
}

/// Runs an operation's functions as often as they are to be measured.
///
/// # Safety
/// The functions are those that `operation!` defines, and their operation does no harm.
pub unsafe fn measure(alone: unsafe extern "C" fn(), looped: unsafe extern "C" fn()) {
    // SAFETY: the caller's.
    unsafe {
        (0..ALONE).for_each(|_| alone());
        (0..LOOPS).for_each(|_| looped());
    }
}
