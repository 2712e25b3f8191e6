//! Table 8: what it takes two environments to say a word to each other; and what a call into another one does. All are
//! functions of ExOS, as programs use them.
//!
//! *pipe* and *shm* are one way, a ping-pong halved. Counted is from the beginning of one side's write to the end of
//! the other's read; of *shm*, from one side's increment to the other's seeing it. Timed is a loop of Rust around a write
//! and a read (an increment and a yield) in each of the two environments. *lrpc* is both ways: from before the call to
//! behind the answer.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[path = "../lrpc.rs"]
mod lrpc;

use aegis_bench::{ALONE, LOOPS, ROUNDS, loop_of};
use exos::pipe::{End, Ring};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::vm::{PAGE_SHIFT, SAVE_PAGE};
use exos_rt::environment::spawn_at;
use exos_rt::shared::Shared;
use exos_rt::{call, mark_begin, mark_end, memory, println, public};

exos_rt::program!(main);

const PIPE: u32 = 1;
const INLINED: u32 = 2;
const SHM: u32 = 3;
const CONFLICT: u32 = 4;

/// With so many colours what one round touches can be kept apart.
const ENOUGH: u32 = 16;

static PIPES: [Ring; 2] = [const { Ring::new() }; 2];
static COUNTER: Shared<u32> = Shared::new(0);
static PARENT: Shared<u32> = Shared::new(0);

/// A word through a pipe.
macro_rules! say {
    ($write:ident, $pipe:expr, $word:expr) => {
        assert!(PIPES[$pipe].$write(&Word(u32::to_le_bytes($word)).0) == Ok(4))
    };
}

/// A word from a pipe.
macro_rules! hear {
    ($read:ident, $pipe:expr) => {{
        let mut word = Word([0; 4]);
        assert!(PIPES[$pipe].$read(&mut word.0) == Ok(4));
        u32::from_le_bytes(word.0)
    }};
}

/// A word as bytes, where a word may be.
#[repr(align(4))]
struct Word([u8; 4]);

/// Defines a ping-pong: the child's side and the parent's, of which one way is measured alone, and in a loop.
macro_rules! ping_pong {
    ($id:expr, $answer_alone:ident, $alone:ident, $answer:ident, $looped:ident, $write:ident, $read:ident) => {
        extern "C" fn $answer_alone(_: u32) -> ! {
            loop {
                let word = hear!($read, 0);
                mark_end!($id);
                say!($write, 1, word + 1);
            }
        }

        fn $alone(_: EnvId) {
            let mut word = 0;
            for _ in 0..ALONE {
                mark_begin!($id);
                say!($write, 0, word);
                word = hear!($read, 1);
            }
            assert!(word == ALONE);
        }

        extern "C" fn $answer(_: u32) -> ! {
            loop {
                let word = hear!($read, 0);
                say!($write, 1, word + 1);
            }
        }

        fn $looped(_: EnvId) {
            for _ in 0..LOOPS {
                let mut word = 0;
                mark_begin!(loop_of($id));
                for _ in 0..ROUNDS {
                    say!($write, 0, word);
                    word = hear!($read, 1);
                }
                mark_end!(loop_of($id));
                assert!(word == ROUNDS);
            }
        }
    };
}

ping_pong!(PIPE, pipe_answer_alone, pipe_alone, pipe_answer, pipe_looped, write, read);
ping_pong!(INLINED, inlined_answer_alone, inlined_alone, inlined_answer, inlined_looped, write_inlined, read_inlined);

/// Defines the same for a counter that both increment in turn: the child when it is odd.
macro_rules! count_in_turn {
    ($answer:ident, $here:ident, $times:expr, $rounds:expr, [$($begin:tt)*], [$($seen:tt)*], [$($end:tt)*]) => {
        extern "C" fn $answer(_: u32) -> ! {
            let parent = EnvId(PARENT.get());
            loop {
                let _ = call::yield_to(parent);
                let counter = COUNTER.get();
                if counter & 1 != 0 {
                    $($seen)*
                    COUNTER.set(counter + 1);
                }
            }
        }

        fn $here(child: EnvId) {
            for _ in 0..$times {
                let mut counter = 0;
                COUNTER.set(counter);
                $($begin)*
                while counter != 2 * $rounds {
                    COUNTER.set(counter + 1);
                    loop {
                        let _ = call::yield_to(child);
                        counter = COUNTER.get();
                        if counter & 1 == 0 {
                            break;
                        }
                    }
                }
                $($end)*
            }
        }
    };
}

count_in_turn!(shm_answer_alone, shm_alone, ALONE, 1, [mark_begin!(SHM);], [mark_end!(SHM);], []);
count_in_turn!(conflict_answer_alone, conflict_alone, ALONE, 1, [mark_begin!(CONFLICT);], [mark_end!(CONFLICT);], []);
count_in_turn!(conflict_answer, conflict_looped, LOOPS, ROUNDS, [mark_begin!(loop_of(CONFLICT));], [], [mark_end!(loop_of(CONFLICT));]);
count_in_turn!(shm_answer, shm_looped, LOOPS, ROUNDS, [mark_begin!(loop_of(SHM));], [], [mark_end!(loop_of(SHM));]);

/// Runs one side here, and the other in a child. The child's frames are chosen so that what one round touches does not
/// compete for lines of the data cache; with a `conflict`, so that both environments' save pages do.
fn between(there: extern "C" fn(u32) -> !, here: fn(EnvId), conflict: bool) {
    let me = call::self_id();
    let (child, control) = spawn_where(there, |stack, save_page| {
        let mine = colour_at(SAVE_PAGE);
        if conflict { save_page == mine } else { [stack, save_page, save_page ^ 1].into_iter().all(is_clear) }
    });
    let ends = [(0, End::Write, me), (0, End::Read, child), (1, End::Write, child), (1, End::Read, me)];
    for (pipe, end, id) in ends {
        PIPES[pipe].open(end, id).expect("nobody else holds it");
    }
    // It begins, and finds nothing yet.
    call::yield_to(child).expect("it lives");
    here(child);
    call::env_destroy(child, control).expect("the child is ours");
    for (pipe, end, id) in ends {
        PIPES[pipe].close(end, id);
    }
}

/// Makes children until one has frames of the right colours: its stack's, and its save page's, beside which the
/// kernel's record is. A cache that has few colours leaves no choice.
fn spawn_where(there: extern "C" fn(u32) -> !, right: impl Fn(u32, u32) -> bool) -> (EnvId, Capability) {
    let colours = public::colours();
    for attempt in 0..64 {
        let home = memory::allocate_run(2, 2).expect("there is memory for a child");
        let (child, control) = spawn_at(home, there, 0, None).expect("there is memory for a child");
        let is_stack = |&number: &u32| number != home && memory::frame(number).owner == child.0;
        let stack = (0..public::frames()).find(is_stack).expect("the child has a stack");
        if right(stack % colours, home % colours) || colours < ENOUGH {
            return (child, control);
        }
        call::env_destroy(child, control).expect("the child is ours");
        // The next one gets others, and not always so many further on.
        memory::search_from(memory::next() + attempt % 5);
    }
    panic!("no such frames")
}

/// Whether a colour is none of what a round touches besides the child's: the kernel's own page and the directory, and
/// this environment's record, save page, stack and data.
fn is_clear(colour: u32) -> bool {
    let mine = colour_at(SAVE_PAGE);
    let stack = 0;
    let data =
        [&raw const PIPES[0] as u32, &raw const PIPES[1] as u32, &raw const COUNTER as u32, &raw const stack as u32];
    ![0, 3, mine, mine ^ 1].contains(&colour) && data.iter().all(|&address| colour_at(address) != colour)
}

/// The colour of the frame that a page of this program is mapped to.
fn colour_at(address: u32) -> u32 {
    loop {
        // SAFETY: the page is mapped.
        unsafe { (address as *const u8).read_volatile() };
        if let Some(entry_lo) = call::tlb_probe(address) {
            return (entry_lo >> PAGE_SHIFT) % public::colours();
        }
    }
}

fn main() {
    println!(
        "mark {PIPE} table=8 op=pipe system=exos how=from the write of a word to the end of the other side's read"
    );
    println!("mark {INLINED} table=8 op=pipe_inlined system=exos how=likewise, both inlined into the application");
    println!("mark {SHM} table=8 op=shm system=exos how=from the increment to the other side's seeing it");
    println!("mark {CONFLICT} table=8 op=shm_conflict system=exos how=likewise, with both save pages of one colour");
    for id in [PIPE, INLINED, SHM, CONFLICT] {
        println!(
            "loop {} of={id} rounds={} how=half of there and back, a loop of Rust on each side",
            loop_of(id),
            2 * ROUNDS
        );
    }
    lrpc::describe("8");
    exos_rt::console::flush();
    PARENT.set(call::self_id().0);
    between(pipe_answer_alone, pipe_alone, false);
    between(pipe_answer, pipe_looped, false);
    between(inlined_answer_alone, inlined_alone, false);
    between(inlined_answer, inlined_looped, false);
    between(shm_answer_alone, shm_alone, false);
    between(shm_answer, shm_looped, false);
    between(conflict_answer_alone, conflict_alone, true);
    between(conflict_answer, conflict_looped, true);
    let server = lrpc::Server::start();
    server.measure();
    server.stop();
}
