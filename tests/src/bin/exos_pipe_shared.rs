//! A pipe between two environments that do not trust each other: its frame is one's, and the other maps it by a
//! capability. When the owner takes it back, the other finds a pipe that nobody holds.
//@ expect: exos_pipe_shared: 1000 words through a frame of another's, and then it was taken back

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::pipe::{End, Ring};
use exos::vm::{READ, Vm, WRITE, set_hook};
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::{self, Capability};
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT, entry_lo};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println};

/// Where the owner has it, and the other.
const OURS: u32 = NORMAL_START - 0x20_0000;
const THEIRS: u32 = NORMAL_START + 0x30_0000;

/// What the owner tells the other.
static FRAME: Shared<u32> = Shared::new(0);
static SHOWN: Shared<Capability> = Shared::new(Capability([0; 2]));
static SUM: Shared<u32> = Shared::new(0);
static ENDED: Shared<bool> = Shared::new(false);

/// The pipe was taken back: a page of the program's own comes in its place.
fn missed(address: u32, _: Code) -> bool {
    // SAFETY: nothing else is at the address.
    address >> PAGE_SHIFT == THEIRS >> PAGE_SHIFT
        && unsafe {
            Vm::unmap(THEIRS, 1);
            Vm::zeros(THEIRS, 1, READ | WRITE).is_ok()
        }
}

extern "C" fn reader(_: u32) -> ! {
    Vm::install().unwrap();
    set_hook(Some(missed));
    // SAFETY: nothing else is at the address.
    unsafe { Vm::shared(THEIRS, FRAME.get(), Some(SHOWN.get()), READ | WRITE) }.unwrap();
    // SAFETY: the page is mapped whenever it is missed.
    let pipe = unsafe { Ring::at(THEIRS) };
    let mut word = [0; 4];
    while pipe.read(&mut word) == Ok(4) {
        SUM.add(u32::from_le_bytes(word));
    }
    ENDED.set(true);
    call::exit(0)
}

fn main() {
    let me = call::self_id();
    let frame = memory::allocate().unwrap();
    // SAFETY: nothing else is at the address, and the frame is new.
    let pipe = unsafe {
        call::env_map(me, call::NO_CAPABILITY, OURS, frame << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap();
        Ring::at(OURS)
    };
    SHOWN.set(call::capability(frame, frame::WRITE).unwrap());
    FRAME.set(frame);
    let (id, _) = spawn(reader, 0, None).unwrap();
    pipe.open(End::Write, me).unwrap();
    pipe.open(End::Read, id).unwrap();
    call::slice_allocate(20).and_then(|()| call::slice_give(20, id)).unwrap();
    for n in 1..=1000_u32 {
        assert_eq!(pipe.write(&n.to_le_bytes()), Ok(4));
    }
    while SUM.get() != 500_500 {
        call::yield_slice();
    }
    assert!(!ENDED.get());
    // SAFETY: it is not used here any more.
    unsafe { call::frame_free(frame).unwrap() };
    while call::wake(id).is_ok() {
        call::yield_slice();
    }
    assert!(ENDED.get(), "it has gone on");
    println!("exos_pipe_shared: 1000 words through a frame of another's, and then it was taken back");
}
