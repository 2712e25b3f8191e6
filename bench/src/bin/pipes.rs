//! What integrated layer processing saves: a message's data copied, and its Internet checksum computed, in one loop that
//! pipes were compiled into, against a loop for each (the paper's section 6.3; the ASH paper's Table 5 and VCODE's Table 4).
//!
//! All loops are made by the same compiler of pipes, so the separate ones are as good as it makes them. The message has 4096
//! bytes. *Uncached* means that no loop finds its source in the cache, *cold* that the first does not; nor is the destination there.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_ash::{Composition, LOOP_WORDS_MAX, compose};
use aegis_bench::{LOOPS, loop_of};
use core::cell::UnsafeCell;
use core::hint::black_box;
use exos_rt::abi::ash::{Pipe, PipeState};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::{call, mark_begin, mark_end, println};

exos_rt::program!(main);

const BYTES: usize = 4096;
/// Twice what the data cache has, so that whichever frames these are, it is full of them.
const OTHER_WORDS: usize = 2 * 64 * 1024 / 4;

/// A loop that pipes were compiled into.
type Loop = extern "C" fn(*const u8, *mut u8, u32, *mut PipeState);

const COPY: usize = 0;
const CHECKSUM: usize = 1;
const SWAP: usize = 2;
const COPY_CHECKSUM: usize = 3;
const COPY_CHECKSUM_SWAP: usize = 4;

/// What the loops do, and whether they copy.
const KINDS: [(&[Pipe], bool); 5] = [
    (&[], true),
    (&[Pipe::Checksum], false),
    (&[Pipe::Swap32], true),
    (&[Pipe::Checksum], true),
    (&[Pipe::Checksum, Pipe::Swap32], true),
];

#[repr(C, align(4096))]
struct Space {
    code: UnsafeCell<[[u32; LOOP_WORDS_MAX]; KINDS.len()]>,
    source: UnsafeCell<[u8; BYTES]>,
    source_again: UnsafeCell<[u8; BYTES]>,
    destination: UnsafeCell<[u8; BYTES]>,
    other: UnsafeCell<[u32; OTHER_WORDS]>,
}

// SAFETY: there is one thread, and no handler uses it.
unsafe impl Sync for Space {}

static SPACE: Space = Space {
    code: UnsafeCell::new([[0; LOOP_WORDS_MAX]; KINDS.len()]),
    source: UnsafeCell::new([0; BYTES]),
    source_again: UnsafeCell::new([0; BYTES]),
    destination: UnsafeCell::new([0; BYTES]),
    other: UnsafeCell::new([0; OTHER_WORDS]),
};

/// The loop of a kind, which has been compiled.
fn compiled(kind: usize) -> Loop {
    // Where the code is, is not to be known before: there is none in the program.
    let code = black_box(SPACE.code.get() as u32) + (4 * LOOP_WORDS_MAX * kind) as u32;
    // SAFETY: the code is such a function, and the cache has been told.
    unsafe { core::mem::transmute(code) }
}

fn compile_all() {
    // SAFETY: nobody else uses it now.
    let code = unsafe { &mut *SPACE.code.get() };
    for (code, (pipes, copies)) in code.iter_mut().zip(KINDS) {
        let at = code.as_ptr() as u32;
        compose(&Composition { pipes, copies }, code, at).expect("they are good pipes");
    }
    let bytes = size_of::<[[u32; LOOP_WORDS_MAX]; KINDS.len()]>();
    for page in (0..bytes).step_by(PAGE_BYTES as usize) {
        let address = SPACE.code.get() as u32 + page as u32;
        // SAFETY: the code is there to be read; now the TLB holds its page.
        unsafe { (address as *const u32).read_volatile() };
        let frame = call::tlb_probe(address).expect("the page was just read") >> PAGE_SHIFT;
        call::icache_flush(frame << PAGE_SHIFT, PAGE_BYTES).expect("the page is memory");
    }
}

/// Runs a loop from a source: what the checksum is.
fn run(kind: usize, source: &UnsafeCell<[u8; BYTES]>) -> u32 {
    let mut state = PipeState::default();
    // Source and destination are as long as it is told.
    compiled(kind)(source.get().cast(), SPACE.destination.get().cast(), BYTES as u32, &raw mut state);
    state.sum
}

/// Empties the data cache of what is measured.
fn evict() {
    // SAFETY: nobody writes it.
    let other = unsafe { &*SPACE.other.get() };
    for word in other {
        black_box(word);
        // SAFETY: as above.
        unsafe { (&raw const *word).read_volatile() };
    }
}

/// Defines what runs loops between marks: once with everything in the cache that fits, once with nothing.
macro_rules! loops {
    ($($id:literal $cold_id:literal $op:literal $cold_op:literal [$($kind:ident $source:ident),*] $how:literal;)*) => {
        fn main() {
            $(
                println!("mark {} table=ash-pipes op={} system=exos_ash how={}", $id, $op, $how);
                println!("loop {} of={} rounds=1 how=the same", loop_of($id), $id);
                println!("mark {} table=ash-pipes op={} system=exos_ash how=the same, neither source nor destination in the cache", $cold_id, $cold_op);
                println!("loop {} of={} rounds=1 how=the same", loop_of($cold_id), $cold_id);
            )*
            exos_rt::console::flush();
            compile_all();
            // SAFETY: nobody else uses them now.
            for (n, byte) in unsafe { (*SPACE.source.get()).iter_mut().enumerate() } {
                *byte = (n * 7 + n / 256) as u8;
            }
            $(
                $(run($kind, &SPACE.$source);)*
                for _ in 0..LOOPS {
                    mark_begin!($id);
                    mark_begin!(loop_of($id));
                    $(run($kind, &SPACE.$source);)*
                    mark_end!(loop_of($id));
                    mark_end!($id);
                }
                for _ in 0..LOOPS {
                    evict();
                    mark_begin!($cold_id);
                    mark_begin!(loop_of($cold_id));
                    $(run($kind, &SPACE.$source);)*
                    mark_end!(loop_of($cold_id));
                    mark_end!($cold_id);
                }
            )*
            check();
        }
    };
}

loops! {
    1 21 "copy" "copy_cold" [COPY source] "one loop that copies 4096 bytes";
    2 22 "checksum" "checksum_cold" [CHECKSUM source] "one loop that computes the checksum of 4096 bytes";
    3 23 "separate" "separate_cold" [CHECKSUM source, COPY source] "the checksum in one loop, then the copy in another";
    4 24 "separate_two" "separate_uncached" [CHECKSUM source, COPY source_again] "the same, the second loop of another source";
    5 25 "integrated" "integrated_cold" [COPY_CHECKSUM source] "copy and checksum in one loop";
    6 26 "separate_swap" "separate_swap_cold" [CHECKSUM source, SWAP source]
        "the checksum in one loop, then the copy with bytes swapped in another";
    7 27 "integrated_swap" "integrated_swap_cold" [COPY_CHECKSUM_SWAP source] "checksum, bytes swapped, and copy in one loop";
}

/// The loops do what they are to.
fn check() {
    let sum = run(CHECKSUM, &SPACE.source);
    assert_eq!(run(COPY_CHECKSUM_SWAP, &SPACE.source), sum);
    // SAFETY: nobody else uses them now.
    let (source, destination) = unsafe { (&*SPACE.source.get(), &*SPACE.destination.get()) };
    assert!(source.chunks(4).zip(destination.chunks(4)).all(|(from, to)| from.iter().eq(to.iter().rev())));
    assert_eq!(run(COPY_CHECKSUM, &SPACE.source), sum);
    // SAFETY: as above.
    let destination = unsafe { &*SPACE.destination.get() };
    assert!(source == destination);
}
