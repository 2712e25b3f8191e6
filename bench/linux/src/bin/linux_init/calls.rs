//! Table 4: null procedure call and null system call.

use aegis_bench_linux::meter::{ALONE, LOOPS, Meter, ROUNDS, describe as line};
use aegis_bench_linux::naked_asm;
use aegis_bench_linux::system::number::GETPID;

const PROCEDURE: u32 = 10;
const SYSCALL: u32 = 11;
const EMPTY: u32 = 12;

/// Defines two functions of assembly: an operation once between its marks, and in a loop of three instructions. `$a0` has
/// the rounds.
macro_rules! operation {
    ($alone:ident, $looped:ident, $id:expr, [$($prepare:literal),*], [$($line:literal),*] $(, $name:ident = $kind:ident $value:expr)*) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $alone() {
            naked_asm!(
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
                begin = const aegis_bench_linux::mark::WORD | $id,
                end = const aegis_bench_linux::mark::WORD | aegis_bench_linux::mark::END | $id,
                $($name = $kind $value,)*
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped(_rounds: u32) {
            naked_asm!(
                ".set noreorder",
                "addiu $sp, $sp, -8",
                "sw    $ra, 0($sp)",
                "sw    $s0, 4($sp)",
                "move  $s0, $a0",
                "1:",
                $($prepare,)*
                $($line,)*
                "addiu $s0, $s0, -1",
                "bne   $s0, $zero, 1b",
                " nop",
                "lw    $ra, 0($sp)",
                "lw    $s0, 4($sp)",
                "addiu $sp, $sp, 8",
                "jr    $ra",
                " nop",
                $($name = $kind $value,)*
            )
        }
    };
}

#[unsafe(naked)]
unsafe extern "C" fn null_procedure() {
    naked_asm!(".set noreorder", "jr $ra", " nop")
}

operation!(procedure, procedures, PROCEDURE, [], ["jal {null}", " nop"], null = sym null_procedure);
operation!(getpid, getpids, SYSCALL, ["addiu $v0, $zero, {number}"], ["syscall"], number = const GETPID);
operation!(nothing, nothings, EMPTY, [], []);

pub fn describe() {
    let around = "the same, and the loop's three instructions";
    line(PROCEDURE, "4", "procedure_call", "call and return of an empty procedure", ROUNDS, around);
    let how = "getpid, from syscall to behind it";
    line(SYSCALL, "4", "syscall", how, ROUNDS, "the number loaded, the call, and the loop's three instructions");
    line(EMPTY, "4", "empty_loop", "nothing", ROUNDS, "the loop's three instructions");
}

pub fn measure(meter: &Meter) {
    macro_rules! measure {
        ($id:ident, $alone:ident, $looped:ident) => {
            // SAFETY: the procedure and the call change no more than a function may.
            (0..ALONE).for_each(|_| unsafe { $alone() });
            // SAFETY: as above.
            meter.time::<$id>(LOOPS, ROUNDS, || (), |rounds| unsafe { $looped(rounds) });
        };
    }
    measure!(PROCEDURE, procedure, procedures);
    measure!(SYSCALL, getpid, getpids);
    measure!(EMPTY, nothing, nothings);
}
