//! Table 7: telling for which of ten TCP/IP filters a packet is, in user space; and the tables of the DPF paper.
//!
//! Three ways: dynamic packet filters, whose code this program has generated and calls; the same trie interpreted; and
//! classic BPF, each filter run by itself until one accepts. Packets are for each of the filters in turn, equally often.
//! Counted is one call, the call itself included; timed is a loop.
//!
//! The filters are those of the DPF paper: TCP/IP headers of fixed length from a host's ports to port 80. BPF's are as
//! libpcap compiles them: it looks for fragments and allows headers of any length, too, as `classify_variable` does.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::dpf::{
    BUCKETS, CODE, HOST, PORT, TABLES, code_at, engine, fixed, flush, flush_part, insert, install, renew,
};
use aegis_bench::{ALONE, LOOPS, ROUNDS, describe, loop_of};
use aegis_bpf::{Instruction, parse};
use asm_lines::naked_asm;
use core::cell::UnsafeCell;
use exos_rt::abi::filter::Atom;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::println;

exos_rt::program!(main);

/// What the program works with beside an engine.
struct Space {
    bpf: UnsafeCell<[[Instruction; 16]; PORTS as usize]>,
    checked: UnsafeCell<[Option<aegis_bpf::Filter<'static>>; PORTS as usize]>,
    scratch: UnsafeCell<aegis_bpf::Scratch>,
}

// SAFETY: there is one thread, and no handler uses it.
unsafe impl Sync for Space {}

static SPACE: Space = {
    // Zeros are good values of all of them.
    const fn zeros<T>() -> UnsafeCell<T> {
        // SAFETY: only used for arrays of numbers and of structures of numbers.
        UnsafeCell::new(unsafe { core::mem::zeroed() })
    }
    Space { bpf: zeros(), checked: UnsafeCell::new([None; PORTS as usize]), scratch: zeros() }
};

// --- Filters and packets. --------------------------------------------------------------------------------------------

const PORTS: u32 = 10;

/// The same, with an IP header of any length and no fragments: what libpcap's do.
fn variable(port: u32) -> [Atom; 8] {
    [
        Atom::equal(12, 16, 0x0800),
        Atom::shift(14),
        Atom::masked(6, 16, 0x1fff, 0),
        Atom::equal(9, 8, 6),
        Atom::equal(12, 32, HOST),
        Atom::shift_by(0, 8, 0x0f, 2),
        Atom::equal(0, 16, port),
        Atom::equal(2, 16, 80),
    ]
}

/// Two comparisons for each protocol.
fn deep(depth: u32) -> ([Atom; 21], usize) {
    let atoms = core::array::from_fn(|n| match n % 3 {
        0 => Atom::equal(12, 16, 0x800 + n as u32),
        1 => Atom::equal(15, 8, 6),
        _ => Atom::shift(4),
    });
    (atoms, 3 * depth as usize - 1)
}

/// A packet, at 2 modulo 4.
#[repr(C, align(4))]
struct Packet {
    before: [u8; 2],
    bytes: [u8; 64],
    behind: [u8; 2],
}

static PACKET: PacketCell = PacketCell(UnsafeCell::new(Packet { before: [0; 2], bytes: [0; 64], behind: [0; 2] }));

struct PacketCell(UnsafeCell<Packet>);

// SAFETY: as for `Space`.
unsafe impl Sync for PacketCell {}

/// The packet that is classified.
fn packet() -> &'static mut [u8; 64] {
    // SAFETY: nobody keeps what this gives while it is called again.
    unsafe { &mut (*PACKET.0.get()).bytes }
}

/// Makes the packet one of TCP/IP from a port of the host.
fn set_packet(port: u32) {
    let bytes = packet();
    *bytes = [0; 64];
    bytes[12] = 8;
    bytes[14] = 0x45;
    bytes[23] = 6;
    bytes[26..30].copy_from_slice(&HOST.to_be_bytes());
    bytes[34..36].copy_from_slice(&(port as u16).to_be_bytes());
    bytes[37] = 80;
}

/// Makes the packet one that a filter of [`deep`] accepts.
fn set_deep_packet(depth: u32) {
    let (atoms, count) = deep(depth);
    let bytes = packet();
    *bytes = [0; 64];
    let mut base = 0;
    for atom in &atoms[..count] {
        let at = (base + atom.offset) as usize;
        match atom.bits {
            0 => base += atom.offset,
            8 => bytes[at] = atom.value as u8,
            _ => bytes[at..at + 2].copy_from_slice(&(atom.value as u16).to_be_bytes()),
        }
    }
}

// --- Ways to classify: functions of the packet and its length. -------------------------------------------------------

type Way = extern "C" fn(*const u8, u32) -> u32;

extern "C" fn trie(message: *const u8, length: u32) -> u32 {
    // SAFETY: it is the packet.
    let message = unsafe { core::slice::from_raw_parts(message, length as usize) };
    engine().interpret(message).into()
}

extern "C" fn bpf(message: *const u8, length: u32) -> u32 {
    // SAFETY: it is the packet; nobody changes the filters, and nobody else uses the scratch memory.
    let (message, filters, scratch) = unsafe {
        (core::slice::from_raw_parts(message, length as usize), &*SPACE.checked.get(), &mut *SPACE.scratch.get())
    };
    let accepts = |filter: &Option<aegis_bpf::Filter>| filter.is_some_and(|filter| filter.run(message, scratch) != 0);
    filters.iter().position(accepts).map_or(0, |place| place as u32 + 1)
}

/// The generated code, as it is now.
fn generated() -> Way {
    // SAFETY: the code is such a function, and the cache has been told.
    unsafe { core::mem::transmute(engine().entry()) }
}

/// Defines a function that classifies once between the marks of operation `$id`, and one that does so in a loop.
macro_rules! classify {
    ($($id:tt $alone:ident $looped:ident;)*) => {$(
        #[unsafe(naked)]
        unsafe extern "C" fn $alone(message: *const u8, length: u32, way: Way) -> u32 {
            naked_asm!(
                ".set noreorder",
                "addiu $sp, $sp, -24",
                "sw    $ra, 20($sp)",
                "move  $t9, $a2",
                ".word {begin}",
                "jalr  $t9",
                " nop",
                ".word {end}",
                "lw    $ra, 20($sp)",
                "addiu $sp, $sp, 24",
                "jr    $ra",
                " nop",
                begin = const WORD | $id,
                end = const WORD | END | $id,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped(message: *const u8, length: u32, way: Way, rounds: u32) {
            naked_asm!(
                ".set noreorder",
                "addiu $sp, $sp, -40",
                "sw    $ra, 36($sp)",
                "sw    $s0, 32($sp)",
                "sw    $s1, 28($sp)",
                "sw    $s2, 24($sp)",
                "sw    $s3, 20($sp)",
                "move  $s0, $a3",
                "move  $s1, $a0",
                "move  $s2, $a1",
                "move  $s3, $a2",
                ".word {begin}",
                "1:",
                "move  $t9, $s3",
                "move  $a0, $s1",
                "jalr  $t9",
                " move $a1, $s2",
                "addiu $s0, $s0, -1",
                "bne   $s0, $zero, 1b",
                " nop",
                ".word {end}",
                "lw    $ra, 36($sp)",
                "lw    $s0, 32($sp)",
                "lw    $s1, 28($sp)",
                "lw    $s2, 24($sp)",
                "lw    $s3, 20($sp)",
                "addiu $sp, $sp, 40",
                "jr    $ra",
                " nop",
                begin = const WORD | loop_of($id),
                end = const WORD | END | loop_of($id),
            )
        }
    )*};
}

const DPF: u32 = 1;
const DPF_COLD: u32 = 2;
const TRIE: u32 = 3;
const BPF: u32 = 4;
const DPF_VARIABLE: u32 = 5;
const TRIE_VARIABLE: u32 = 6;

classify! {
    DPF dpf_alone dpf_looped;
    DPF_COLD cold_alone cold_looped;
    TRIE trie_alone trie_looped;
    BPF bpf_alone bpf_looped;
    DPF_VARIABLE variable_alone variable_looped;
    TRIE_VARIABLE trie_variable_alone trie_variable_looped;
}

type Alone = unsafe extern "C" fn(*const u8, u32, Way) -> u32;
type Looped = unsafe extern "C" fn(*const u8, u32, Way, u32);

/// Defines a list of what a way is measured on: mark, number, and the functions.
macro_rules! series {
    ($name:ident: $($id:literal $number:literal $alone:ident $looped:ident;)*) => {
        classify! { $($id $alone $looped;)* }
        const $name: &[(u32, u32, Alone, Looped)] = &[$(($id, $number, $alone, $looped)),*];
    };
}

series! {
    COUNTS:
    11 1 one_alone one_looped;
    12 2 two_alone two_looped;
    13 3 three_alone three_looped;
    14 10 ten_alone ten_looped;
    15 100 hundred_alone hundred_looped;
    16 1000 thousand_alone thousand_looped;
    17 10000 ten_thousand_alone ten_thousand_looped;
}

series! {
    DEPTHS:
    21 1 depth_1_alone depth_1_looped;
    22 2 depth_2_alone depth_2_looped;
    23 3 depth_3_alone depth_3_looped;
    24 4 depth_4_alone depth_4_looped;
    25 5 depth_5_alone depth_5_looped;
    26 6 depth_6_alone depth_6_looped;
    27 7 depth_7_alone depth_7_looped;
}

/// The length of the packet.
const LENGTH: u32 = 64;

/// Rounds of the loops around what is measured cold, or once.
const ONCE: u32 = 1;

fn describe_loop(id: u32, rounds: u32, how: &str) {
    println!("loop {} of={id} rounds={rounds} how={how}", loop_of(id));
}

/// Which of `packets` packets comes as the `n`-th: each equally often, but one in the middle twice as often if their number
/// is even, so that the median is what one of them takes and not the boundary between two.
fn turn(n: u32, packets: u32) -> u32 {
    let odd = packets | 1;
    let turn = n % odd;
    if odd > packets && turn > packets / 2 { turn - 1 } else { turn }
}

/// Measures a way with the packets that `set` makes of the numbers below `packets`.
fn measure(alone: Alone, looped: Looped, way: Way, packets: u32, set: impl Fn(u32)) {
    for n in 0..ALONE {
        set(turn(n, packets));
        // SAFETY: the way is a function of the packet.
        let found = unsafe { alone(packet().as_ptr(), LENGTH, way) };
        assert!(found != 0, "packet {n} is nobody's");
    }
    for n in 0..LOOPS.next_multiple_of(packets | 1) {
        set(turn(n, packets));
        // SAFETY: as above.
        unsafe { looped(packet().as_ptr(), LENGTH, way, ROUNDS) };
    }
}

/// The same of the generated code when none of it is in the instruction cache.
fn measure_cold() {
    let way = generated();
    let code = code_at();
    for n in 0..2 * ALONE / 10 {
        set_packet(PORT + n % PORTS);
        for page in (0..4 * CODE as u32).step_by(PAGE_BYTES as usize) {
            flush_part(code + page, PAGE_BYTES);
        }
        // SAFETY: the way is a function of the packet.
        unsafe {
            match n % 2 {
                0 => assert!(cold_alone(packet().as_ptr(), LENGTH, way) != 0),
                _ => cold_looped(packet().as_ptr(), LENGTH, way, ONCE),
            }
        }
    }
}

fn main() {
    let loops = "the call with its arguments, and the loop's three instructions";
    describe(DPF, "7", format_args!("classify_warm"), "dpf", "generated code, one call");
    describe_loop(DPF, ROUNDS, loops);
    describe(
        DPF_COLD,
        "7",
        format_args!("classify_cold"),
        "dpf",
        "the same, with the code not in the instruction cache",
    );
    describe_loop(DPF_COLD, ONCE, loops);
    describe(TRIE, "7", format_args!("classify_warm"), "trie", "the same trie, interpreted");
    describe_loop(TRIE, ROUNDS, loops);
    describe(BPF, "7", format_args!("classify_warm"), "bpf", "classic BPF, run once for each filter until one accepts");
    describe_loop(BPF, ROUNDS, loops);
    let how = "the filters that BPF has: IP headers of any length, no fragments";
    describe(DPF_VARIABLE, "7", format_args!("classify_variable"), "dpf", how);
    describe_loop(DPF_VARIABLE, ROUNDS, loops);
    describe(TRIE_VARIABLE, "7", format_args!("classify_variable"), "trie", how);
    describe_loop(TRIE_VARIABLE, ROUNDS, loops);
    for &(id, number, ..) in COUNTS {
        describe(
            id,
            "dpf-filters",
            format_args!("filters_{number}"),
            "dpf",
            "one call, for one of so many TCP/IP filters",
        );
        describe_loop(id, ROUNDS, loops);
    }
    for &(id, number, ..) in DEPTHS {
        describe(
            id,
            "dpf-depth",
            format_args!("depth_{number}"),
            "dpf",
            "one call; one filter, two comparisons a level",
        );
        describe_loop(id, ROUNDS, loops);
    }
    exos_rt::console::flush();

    install(|port| fixed(HOST, port), PORTS);
    let set = |n| set_packet(PORT + n);
    measure(dpf_alone, dpf_looped, generated(), PORTS, set);
    measure_cold();
    measure(trie_alone, trie_looped, trie, PORTS, set);
    read_bpf();
    measure(bpf_alone, bpf_looped, bpf, PORTS, set);
    install(variable, PORTS);
    measure(variable_alone, variable_looped, generated(), PORTS, set);
    measure(trie_variable_alone, trie_variable_looped, trie, PORTS, set);
    for &(_, count, alone, looped) in COUNTS {
        install(|port| fixed(HOST, port), count);
        // Packets for filters from the first to the last.
        let packets = count.min(PORTS);
        measure(alone, looped, generated(), packets, |n| set_packet(PORT + n * (count / packets)));
    }
    for &(_, depth, alone, looped) in DEPTHS {
        renew(TABLES / 16, BUCKETS / 8);
        let (atoms, length) = deep(depth);
        insert(1, &atoms[..length]);
        flush();
        measure(alone, looped, generated(), 1, |_| set_deep_packet(depth));
    }
}

/// Reads the filters that libpcap compiled.
fn read_bpf() {
    let mut text = include_str!("../../bpf/data/tcp-ten.ddd");
    // SAFETY: nobody else uses them now.
    let (codes, checked) = unsafe { (&mut *SPACE.bpf.get(), &mut *SPACE.checked.get()) };
    for (code, checked) in codes.iter_mut().zip(checked) {
        let (filter, rest) = parse(text, code).expect("they are good filters");
        *checked = Some(filter);
        text = rest;
    }
}
