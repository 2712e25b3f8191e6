//! Tells what a capability is worth: an environment's id and the tag for control over it. A test on the model knows the
//! key by that when it sees it, and looks for it in all memory (`tools/exo/src/key.rs`).
//@ expect: hostile_key: id 0x

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::environment::spawn;
use exos_rt::{call, console, memory, println, program};

extern "C" fn idle(_: u32) -> ! {
    loop {
        call::wait(None);
    }
}

fn main() {
    // Whatever the kernel leaves behind when it makes and compares tags.
    let frame = memory::allocate().unwrap();
    for right in [READ, WRITE] {
        let tag = call::capability(frame, right).unwrap();
        assert!(call::frame_renew(frame).is_ok() && call::capability(frame, right) != Ok(tag));
    }
    let (id, control) = spawn(idle, 0, None).unwrap();
    assert!(call::env_destroy(id, call::NO_CAPABILITY).is_err());
    let Capability([tag0, tag1]) = control;
    println!("{}: id {:#x} tag {tag0:#x} {tag1:#x}", program::name(), id.0);
    console::flush();
    call::env_destroy(id, control).unwrap();
}
