//! An engine of packet filters, and the filters of the DPF paper.

use aegis_dpf::{Block, Edge, Engine, Filter, Memory, Node, buddy};
use core::cell::UnsafeCell;
use core::hint::black_box;
use exos_rt::abi::filter::Atom;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::call;

const FILTERS: usize = 10_240;
const NODES: usize = 128;
const EDGES: usize = FILTERS + NODES;
/// Heads of lists.
pub const BUCKETS: usize = 16_384;
/// Words of code.
pub const CODE: usize = 12 * 1024;
/// Words of tables.
pub const TABLES: usize = 1 << 17;

/// What an engine works in, and what it is given next time.
#[repr(C, align(4096))]
struct Space {
    code: UnsafeCell<[u32; CODE]>,
    tables: UnsafeCell<[u32; TABLES]>,
    filters: UnsafeCell<[Filter; FILTERS]>,
    nodes: UnsafeCell<[Node; NODES]>,
    edges: UnsafeCell<[Edge; EDGES]>,
    buckets: UnsafeCell<[u16; BUCKETS]>,
    code_blocks: UnsafeCell<[Block; CODE / buddy::UNIT]>,
    table_blocks: UnsafeCell<[Block; TABLES / buddy::UNIT]>,
    engine: UnsafeCell<Option<Engine<'static>>>,
}

// SAFETY: there is one thread, and no handler uses it.
unsafe impl Sync for Space {}

static SPACE: Space = {
    // Zeros are good values of all of them.
    const fn zeros<T>() -> UnsafeCell<T> {
        // SAFETY: only used for arrays of numbers and of structures of numbers.
        UnsafeCell::new(unsafe { core::mem::zeroed() })
    }
    Space {
        code: zeros(),
        tables: zeros(),
        filters: zeros(),
        nodes: zeros(),
        edges: zeros(),
        buckets: zeros(),
        code_blocks: zeros(),
        table_blocks: zeros(),
        engine: UnsafeCell::new(None),
    }
};

/// The engine that is there.
///
/// # Panics
/// If [`renew`] was not called.
#[must_use]
pub fn engine() -> &'static mut Engine<'static> {
    // The optimiser must not see which engine it is: it would build the address of each of its fields from two halves.
    let engine = black_box(SPACE.engine.get());
    // SAFETY: nobody keeps what this gives while it is called again, or while the engine is made anew.
    unsafe { (*engine).as_mut() }.expect("there is an engine")
}

/// An engine without filters, in place of the one that was there.
#[inline(never)]
pub fn renew(tables_used: usize, buckets: usize) {
    // SAFETY: the engine is dropped before its memory is used again.
    unsafe {
        *SPACE.engine.get() = None;
        let code = SPACE.code.get();
        let tables = SPACE.tables.get();
        *SPACE.engine.get() = Some(Engine::new(Memory {
            filters: &mut *SPACE.filters.get(),
            nodes: &mut *SPACE.nodes.get(),
            edges: &mut *SPACE.edges.get(),
            buckets: &mut (&mut *SPACE.buckets.get())[..buckets],
            code_at: code as u32,
            code: &mut *code,
            code_blocks: &mut *SPACE.code_blocks.get(),
            tables_at: tables as u32,
            tables: &mut (&mut *tables)[..tables_used],
            table_blocks: &mut (&mut *SPACE.table_blocks.get())[..tables_used / buddy::UNIT],
        }));
    }
}

/// Makes the instruction cache coherent with so many bytes of the program's memory, which lie in one page.
pub fn flush_part(address: u32, bytes: u32) {
    // SAFETY: the code is there to be read; now the TLB holds its page.
    unsafe { (address as *const u32).read_volatile() };
    let entry = call::tlb_probe(address).expect("the page was just read");
    let frame = entry >> PAGE_SHIFT;
    let physical = (frame << PAGE_SHIFT) + address % PAGE_BYTES;
    call::icache_flush(physical, bytes).expect("the page is memory");
}

/// Makes the instruction cache coherent with the generated code.
#[inline(never)]
pub fn flush() {
    let code = SPACE.code.get() as u32;
    for (start, end) in engine().take_changes().ranges() {
        let mut at = code + start;
        while at < code + end {
            let next = ((at / PAGE_BYTES + 1) * PAGE_BYTES).min(code + end);
            flush_part(at, next - at);
            at = next;
        }
    }
}

/// A host.
pub const HOST: u32 = 0xc00c_4501;
/// The first of its ports.
pub const PORT: u32 = 1000;
/// TCP/IP from a port of a host to port 80, as in the paper.
#[must_use]
#[inline(never)]
pub fn fixed(host: u32, port: u32) -> [Atom; 8] {
    [
        Atom::equal(12, 16, 0x0800),
        Atom::shift(14),
        Atom::equal(0, 8, 0x45),
        Atom::equal(9, 8, 6),
        Atom::equal(12, 32, host),
        Atom::shift(20),
        Atom::equal(0, 16, port),
        Atom::equal(2, 16, 80),
    ]
}

/// Who allows an overlap, for [`Engine::insert`]. One function for all callers: each closure would be a copy of the engine's.
#[must_use]
pub fn nobody(_owner: u32) -> bool {
    false
}

/// Inserts a good filter; its number.
#[inline(never)]
pub fn insert(owner: u32, atoms: &[Atom]) -> u16 {
    engine().insert(owner, atoms, nobody).expect("there is room, and they are disjoint")
}

/// An engine with `count` filters, which are of several owners and so have been proven disjoint.
#[inline(never)]
pub fn install(filter: fn(u32) -> [Atom; 8], count: u32) {
    // Clearing more than is used would empty the data cache.
    match count {
        0..200 => renew(TABLES / 16, BUCKETS / 8),
        200..2000 => renew(TABLES / 4, BUCKETS / 8),
        _ => renew(TABLES, BUCKETS),
    }
    for n in 0..count {
        insert(1 + n % 3, &filter(PORT + n));
    }
    flush();
}

/// Where the generated code is.
#[must_use]
pub fn code_at() -> u32 {
    SPACE.code.get() as u32
}

/// Where its tables are.
#[must_use]
pub fn tables_at() -> u32 {
    SPACE.tables.get() as u32
}
