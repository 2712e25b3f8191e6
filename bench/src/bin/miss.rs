//! A miss that the program answers (the paper's section 5.4): its page is in neither TLB, but in the program's page table.
//!
//! Counted is one load, the load that fails and its repetition included: the kernel forwards the miss, the program's handler looks its page
//! table of two levels up and asks for the mapping, the kernel checks who owns the frame and installs it, the handler goes back. Before
//! each the mapping is deleted, which is not counted, but is in the loop's time.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{describe_loop, measure, operation};
use exos::vm::{READ, Vm};
use exos_rt::abi::call::TLB_DELETE;
use exos_rt::abi::vm::NORMAL_START;
use exos_rt::{memory, println};

exos_rt::program!(main);

const MISS: u32 = 1;

/// Upper half of the page's address.
const PAGE_HIGH: u32 = NORMAL_START >> 16;

operation!(
    miss, misses, mark MISS,
    prepare ["lui   $a1, {page}", "addiu $v0, $zero, {delete}", "syscall"],
    operation ["lw    $t0, 0($a1)"],
    page = const PAGE_HIGH, delete = const TLB_DELETE
);

fn main() {
    println!(
        "mark {MISS} table=5.4 op=miss system=aegis how=a load that misses both TLBs and is answered from the program's page table, its repetition too"
    );
    describe_loop(MISS, "the mapping deleted, the load, and the loop's three");
    exos_rt::console::flush();
    Vm::install().expect("there is memory for it");
    let frame = memory::allocate().expect("there is a free frame");
    // SAFETY: the frame is new, and nothing else is at this address; it is only read.
    unsafe {
        Vm::own(NORMAL_START, frame, READ).expect("there is room in the table");
        measure(miss, misses);
        Vm::unmap(NORMAL_START, 1);
    }
}
