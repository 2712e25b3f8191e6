//! Page faults in both activities of an environment: main is interrupted while it handles its own, and the server
//! activity has some meanwhile. A test on the model ends a slice at each instruction between the marks.
//@ expect: aegis_faults_and_calls: both found what they had written

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::vm::{self, READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::{self, Stack, call};
use exos_rt::{call, mark_begin, mark_end, println, program, public};

const MAINS: u32 = NORMAL_START;
const SERVERS: u32 = NORMAL_START + 0x40_0000;
const PAGES: u32 = 2000;

static STACK: Stack<2048> = Stack::new();
static NEXT: Shared<u32> = Shared::new(0);
static STOP: Shared<bool> = Shared::new(false);
static CALLS: Shared<u32> = Shared::new(0);

/// Touches a page for the first time, then takes the right to store away, stores, and sees what is there.
fn use_page(address: u32, value: u32) {
    let word = address as *mut u32;
    // SAFETY: the page is the caller's own, and data.
    unsafe {
        assert_eq!(word.read_volatile(), 0);
        word.write_volatile(value);
        Vm::take(address, 1, WRITE);
        word.write_volatile(word.read_volatile() + 1);
        assert_eq!(word.read_volatile(), value + 1);
    }
}

fn hook(address: u32, code: Code) -> bool {
    assert_eq!(code, Code::Modified);
    Vm::give(address, 1, READ | WRITE);
    true
}

extern "C" fn serve(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    let number = NEXT.get();
    NEXT.set(number + 1);
    use_page(SERVERS + number % PAGES * PAGE_BYTES, number + 5000);
    u64::from(number)
}

extern "C" fn client(_: u32) -> ! {
    let server = EnvId(public::slice(0).owner);
    while !STOP.get() {
        match call(server, [0; 4]) {
            Ok(_) => CALLS.add(1),
            Err(error) => assert_eq!(error, Error::Busy),
        }
        call::yield_slice();
    }
    call::exit(0)
}

fn main() {
    let rounds = program::number("rounds").unwrap_or(1000);
    Vm::install().unwrap();
    vm::set_hook(Some(hook));
    // SAFETY: nothing else is there; the stack is for this alone; main and server use no page in common.
    unsafe {
        Vm::zeros(MAINS, rounds, READ | WRITE).unwrap();
        Vm::zeros(SERVERS, program::number("pages").unwrap_or(PAGES), READ | WRITE).unwrap();
        transfer::serve(serve, &STACK);
    }
    let (client, _) = spawn(client, 0, Some(1)).unwrap();
    mark_begin!(1);
    for round in 0..rounds {
        use_page(MAINS + round * PAGE_BYTES, round);
        if round % 64 == 0 {
            call::yield_slice();
        }
    }
    mark_end!(1);
    STOP.set(true);
    while call::wake(client).is_ok() {
        call::yield_slice();
    }
    assert_eq!(CALLS.get(), NEXT.get());
    println!("aegis_faults_and_calls: both found what they had written");
}
