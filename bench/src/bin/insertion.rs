//! What inserting a packet filter costs: filters of the DPF paper, and the worst that programs may bring.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::dpf::{BUCKETS, HOST, PORT, TABLES, engine, fixed, flush, flush_part, insert, install, nobody, renew};
use aegis_bench::{LOOPS, describe, loop_of};
use exos_rt::abi::filter::Atom;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::{mark_begin, mark_end, println};

exos_rt::program!(main);

/// Rounds of the loops around what is measured once.
const ONCE: u32 = 1;

fn describe_loop(id: u32, rounds: u32, how: &str) {
    println!("loop {} of={id} rounds={rounds} how={how}", loop_of(id));
}

/// Defines what inserts a filter between marks.
macro_rules! insertions {
    ($($id:literal $op:literal $installed:literal $host:expr, $how:literal;)*) => {
        fn describe_insertions() {
            $(
                describe($id, "dpf-insert", format_args!($op), "dpf", $how);
                describe_loop($id, ONCE, "the same");
            )*
        }

        fn measure_insertions() {
            $(for _ in 0..LOOPS {
                install(|port| fixed(HOST, port), $installed);
                let filter = fixed($host, PORT + $installed);
                mark_begin!($id);
                mark_begin!(loop_of($id));
                let inserted = engine().insert(1, &filter, nobody);
                mark_end!(loop_of($id));
                mark_end!($id);
                assert!(inserted.is_ok(), "{}", $op);
                mark_begin!(FLUSH + $id);
                mark_begin!(loop_of(FLUSH + $id));
                flush();
                mark_end!(loop_of(FLUSH + $id));
                mark_end!(FLUSH + $id);
            })*
        }

        fn describe_flushes() {
            $(
                describe(FLUSH + $id, "dpf-insert", format_args!("{}_flush", $op), "dpf",
                    "the instruction cache made coherent after it: a call for each range and page that has changed");
                describe_loop(FLUSH + $id, ONCE, "the same");
            )*
        }
    };
}

/// Added to the mark of an insertion: the instruction cache after it.
const FLUSH: u32 = 10;

insertions! {
    31 "insert_first" 0 HOST, "there is no other: code for all of it";
    32 "insert_second" 1 HOST, "another value of the last comparison: its code again";
    33 "insert_ninth" 8 HOST, "the ninth value: a table is made, and code that looks into it";
    34 "insert_eleventh" 10 HOST, "10 are installed: the table gets another value";
    35 "insert_host" 10 HOST + 1, "10 are installed: from another host, so the path forks, code before and behind the fork";
}

/// Inserts a filter among `count` and removes it again. The first times are not marked: the rest find TLB and caches as they
/// left them.
macro_rules! repeated {
    ($($id:literal $op:literal $count:literal $filter:expr, $how:literal;)*) => {
        fn describe_repeated() {
            $(
                describe($id, "dpf-insert", format_args!($op), "dpf", concat!($count, " are installed: ", $how, "; repeated"));
                describe_loop($id, ONCE, "the same");
            )*
        }

        fn measure_repeated() {
            $(
                install(|port| fixed(HOST, port), $count);
                let filter = $filter;
                for n in 0..2 * LOOPS {
                    let inserted = if n < LOOPS {
                        insert(1, &filter)
                    } else {
                        mark_begin!($id);
                        mark_begin!(loop_of($id));
                        let inserted = engine().insert(1, &filter, nobody);
                        mark_end!(loop_of($id));
                        mark_end!($id);
                        inserted.expect("there is room, and they are disjoint")
                    };
                    assert!(engine().remove(inserted));
                    // None of it is executed.
                    let _ = engine().take_changes();
                }
            )*
        }
    };
}

/// The same for UDP.
fn udp(port: u32) -> [Atom; 8] {
    let mut filter = fixed(HOST, port);
    filter[3] = Atom::equal(9, 8, 17);
    filter
}

repeated! {
    36 "insert_10" 10 fixed(HOST, PORT + 10), "the table gets another value";
    37 "insert_1000" 1000 fixed(HOST, PORT + 1000), "the table gets another value";
    52 "insert_10_host" 10 fixed(HOST + 1, PORT), "from another host, so the path forks";
    53 "insert_1000_host" 1000 fixed(HOST + 1, PORT), "from another host, so the path forks";
    54 "insert_10_udp" 10 udp(PORT), "of another protocol, so the path forks earlier";
    55 "insert_1000_udp" 1000 udp(PORT), "of another protocol, so the path forks earlier";
}

// --- The worst. ------------------------------------------------------------------------------------------------------

const LONG: u32 = 38;
const PROOF: u32 = 39;
const GROWING: u32 = 40;
const BYTES: u32 = 51;

/// As many steps as a filter may have, with neither bytes nor atoms in order. At 204 there is `last`.
fn long(last: u32) -> [Atom; 13] {
    core::array::from_fn(|n| match n {
        12 => Atom::equal(204, 8, last),
        n => Atom::equal(8 * (11 - n as u32), 32, 0x0102_0304 + n as u32),
    })
}

/// Neither cache has anything that was used before.
fn empty_caches() {
    let other = aegis_bench::dpf::tables_at();
    for page in 0..64 {
        flush_part(other + page * PAGE_BYTES, PAGE_BYTES);
    }
    for word in (0..64 * PAGE_BYTES).step_by(4) {
        // SAFETY: it is memory of the engine's tables, of which there are more.
        unsafe { ((other + word) as *const u32).read_volatile() };
    }
}

/// Inserts a filter between marks.
macro_rules! marked {
    ($id:expr, $owner:expr, $atoms:expr) => {{
        mark_begin!($id);
        mark_begin!(loop_of($id));
        let inserted = engine().insert($owner, $atoms, nobody);
        mark_end!(loop_of($id));
        mark_end!($id);
        inserted
    }};
}

fn measure_worst() {
    for _ in 0..LOOPS {
        renew(TABLES, BUCKETS);
        empty_caches();
        let inserted = marked!(LONG, 1, &long(1)[1..]);
        assert!(inserted.is_ok());
    }
    for _ in 0..LOOPS {
        renew(TABLES, BUCKETS);
        // Of others, each to be looked at: it is disjoint by its second comparison alone.
        for n in 0..OTHERS {
            insert(2, &[Atom::equal(208 + 2 * n, 8, 1), Atom::equal(400, 8, 2)]);
        }
        let mut filter = long(1);
        filter[0] = Atom::equal(400, 8, 1);
        empty_caches();
        let inserted = marked!(PROOF, 1, &filter[..12]);
        assert!(inserted.is_ok(), "{inserted:?}");
    }
    renew(TABLES, BUCKETS);
    for n in 0..2000 {
        let filter = fixed(HOST, PORT + n);
        if n >= 1000 {
            empty_caches();
            assert!(marked!(GROWING, 1, &filter).is_ok());
        } else {
            insert(1, &filter);
        }
    }
    renew(TABLES, BUCKETS);
    for n in 0..256 {
        let filter = [Atom::equal(12, 16, 0x800), Atom::equal(20, 8, n)];
        empty_caches();
        assert!(marked!(BYTES, 1, &filter).is_ok());
    }
}

/// So many can be looked at by a proof.
const OTHERS: u32 = 12;

fn describe_worst() {
    for (id, op, how) in [
        (LONG, "insert_long", "24 steps, none of which is there; caches empty"),
        (PROOF, "insert_proof", "24 steps, and 12 filters of others are looked at; caches empty"),
        (GROWING, "insert_growing", "1000 values more of a table, which grows; caches empty"),
        (BYTES, "insert_bytes", "256 values of a byte; caches empty"),
    ] {
        describe(id, "dpf-insert", format_args!("{op}"), "dpf", how);
        describe_loop(id, ONCE, "the same");
    }
}

fn main() {
    describe_worst();
    describe_insertions();
    describe_flushes();
    describe_repeated();
    exos_rt::console::flush();
    measure_insertions();
    measure_repeated();
    measure_worst();
}
