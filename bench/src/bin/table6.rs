//! Table 6: protected control transfer, one way; and the two other ways to hand the processor to a named environment.
//!
//! Counted is from the `syscall` of one environment, itself included, to the first instruction of the other. Timed is a
//! call and its reply, halved: no registers are saved; a round has, beside the two transfers, one increment of a counter,
//! and one decrement and branch with its empty slot.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{ALONE, ROUNDS, loop_of};
use asm_lines::naked_asm;
use exos_rt::abi::EnvId;
use exos_rt::abi::call::{TRANSFER, TRANSFER_ASYNC, YIELD_TO};
use exos_rt::abi::frame::Capability;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::program::{ProgramHeader, ProtectedEntries};
use exos_rt::environment::spawn;
use exos_rt::{call, println, public, sequences};

exos_rt::program!(main);

const SYNCHRONOUS: u32 = 1;
const ASYNCHRONOUS: u32 = 2;
const YIELD: u32 = 3;

/// Defines the two environments' code for a way to hand the processor over: `$alone` and `$looped` in the parent, called with the child's id
/// in `$a0`, are entered again at `$back` and `$again`; the child is entered at `$there` and `$echo`.
///
/// All registers but `$v1`, and for a yield `$v0`, go through.
macro_rules! transfer {
    ($id:expr, $number:expr, [$alone:ident, $there:ident, $back:ident], [$looped:ident, $echo:ident, $again:ident]) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $alone(child: u32) {
            naked_asm!(
                ".set noreorder",
                "move  $v1, $a0",
                "addiu $v0, $zero, {number}",
                ".word {begin}",
                "syscall",
                number = const $number,
                begin = const WORD | $id,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $there() {
            naked_asm!(
                ".set noreorder",
                ".word {end}",
                "addiu $v0, $zero, {number}",
                "syscall",
                number = const $number,
                end = const WORD | END | $id,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $back() {
            naked_asm!(".set noreorder", "jr    $ra", " nop")
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped(child: u32) {
            naked_asm!(
                ".set noreorder",
                "move  $v1, $a0",
                "addiu $t0, $zero, {rounds}",
                "addiu $v0, $zero, {number}",
                ".word {begin}",
                "j     {again} + 8",            // to the call, past the count
                " nop",
                again = sym $again,
                rounds = const ROUNDS + 1,
                number = const $number,
                begin = const WORD | loop_of($id),
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $again() {
            naked_asm!(
                ".set noreorder",
                "1:",
                "beq   $t0, $zero, 2f",
                " addiu $t0, $t0, -1",
                "addiu $v0, $zero, {number}",
                "syscall",
                "2:",
                ".word {end}",
                "jr    $ra",
                " nop",
                number = const $number,
                end = const WORD | END | loop_of($id),
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $echo() {
            naked_asm!(
                ".set noreorder",
                "addiu $t2, $t2, 1",
                "addiu $v0, $zero, {number}",
                "syscall",
                number = const $number,
            )
        }
    };
}

transfer!(SYNCHRONOUS, TRANSFER, [call_alone, call_there, call_back], [call_looped, call_echo, call_again]);
transfer!(ASYNCHRONOUS, TRANSFER_ASYNC, [send_alone, send_there, send_back], [send_looped, send_echo, send_again]);
transfer!(YIELD, YIELD_TO, [yield_alone, yield_there, yield_back], [yield_looped, yield_echo, yield_again]);

/// A function of assembly that is called with the child's id.
type Assembly = unsafe extern "C" fn(u32);
/// Where an environment is entered.
type Entry = unsafe extern "C" fn();

/// A way to hand the processor over.
struct Way {
    /// What is measured alone: the function, and where child and parent are entered.
    alone: (Assembly, Entry, Entry),
    /// What is measured in a loop.
    looped: (Assembly, Entry, Entry),
}

/// The header of a program that is entered at one place, whatever the way.
fn entered_at(entry: Entry) -> ProgramHeader {
    let entry = entry as *const () as u32;
    let mut header = *sequences::header();
    header.protected_entries = ProtectedEntries { synchronous: entry, asynchronous: entry };
    header.start_of_slice = entry;
    header.resume.start = entry;
    header.resume.end = entry + 4;
    header
}

/// Runs `work` while parent and child are entered at these places. It must end in the slice in which it begins, for it is not saved; so it
/// begins when the clock has just ticked.
fn with_entries(child: EnvId, control: Capability, there: Entry, back: Entry, work: impl FnOnce()) {
    let me = call::self_id();
    let usual = sequences::header();
    let there = entered_at(there);
    let back = entered_at(back);
    let ticks = public::ticks();
    while public::ticks() == ticks {}
    // SAFETY: the entries are code for this purpose; nothing else is measured meanwhile.
    unsafe {
        call::env_setup(child, control, &there, there.start_of_slice).expect("the child is ours");
        call::env_setup(me, call::NO_CAPABILITY, &back, back.start_of_slice).expect("its own entries");
        work();
        call::env_setup(me, call::NO_CAPABILITY, usual, usual.start_of_slice).expect("its own entries");
    }
}

/// The child never runs by itself.
extern "C" fn nothing(_: u32) -> ! {
    call::exit(1)
}

/// Each loop waits for a tick, so there are few of them.
const LOOPS: u32 = 3;

fn main() {
    println!(
        "mark {SYNCHRONOUS} table=6 op=pct system=aegis how=from the syscall, itself counted, to the callee's first instruction"
    );
    println!("mark {ASYNCHRONOUS} table=6 op=pct_async system=aegis how=likewise, asynchronous");
    println!("mark {YIELD} table=6 op=yield_to system=aegis how=likewise, a yield to a named environment");
    for id in [SYNCHRONOUS, ASYNCHRONOUS, YIELD] {
        println!(
            "loop {} of={id} rounds={} how=half of there and back, which have a counter's increment and a loop's three between them, and the number loaded twice",
            loop_of(id),
            2 * ROUNDS
        );
    }
    exos_rt::console::flush();
    let (child, control) = spawn(nothing, 0, None).expect("there is memory for a child");
    let ways = [
        Way { alone: (call_alone, call_there, call_back), looped: (call_looped, call_echo, call_again) },
        Way { alone: (send_alone, send_there, send_back), looped: (send_looped, send_echo, send_again) },
        Way { alone: (yield_alone, yield_there, yield_back), looped: (yield_looped, yield_echo, yield_again) },
    ];
    for Way { alone: (alone, there, back), looped: (looped, echo, again) } in ways {
        // SAFETY: the child hands the processor back at once.
        with_entries(child, control, there, back, || unsafe { (0..ALONE).for_each(|_| alone(child.0)) });
        for _ in 0..LOOPS {
            // SAFETY: as above.
            with_entries(child, control, echo, again, || unsafe { looped(child.0) });
        }
    }
    call::env_destroy(child, control).expect("the child is ours");
}
