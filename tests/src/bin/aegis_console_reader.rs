//! What is typed belongs to one program at a time, which may hand it on; a dead one's is anybody's.
//@ run: aegis_console_reader aegis_console_reader,second
//@ expect: aegis_console_reader: reads, gives, and takes from the dead
//@ expect: aegis: 3 programs ended, 0 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;

use child::{NOBODY, wait_for_end};
use exos_rt::abi::Error;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program};

static READ: Shared<u32> = Shared::new(0);

fn main() {
    if program::arguments().any(|argument| argument == "second") {
        // Only the first program that was started is the reader, for as long as it lives and keeps it.
        assert_eq!(call::console_read(), Err(Error::Denied));
        assert_eq!(call::console_give(call::self_id()), Err(Error::Denied));
        return;
    }
    let me = call::self_id();
    assert_eq!(call::console_read(), Err(Error::Busy), "nothing was typed");
    assert_eq!(call::console_give(NOBODY), Err(Error::NoSuchEnvironment));
    assert_eq!(call::console_read(), Err(Error::Busy), "it is still the reader");
    let (reader, _) = spawn(reads, 0, Some(10)).expect("there is memory for a child");
    call::console_give(reader).unwrap();
    assert_eq!(call::console_read(), Err(Error::Denied));
    assert_eq!(call::console_give(me), Err(Error::Denied));
    wait_for_end(reader);
    assert_eq!(READ.get(), 1);
    assert_eq!(call::console_read(), Err(Error::Denied), "it is nobody's");
    call::console_give(me).unwrap();
    assert_eq!(call::console_read(), Err(Error::Busy));
    println!("{}: reads, gives, and takes from the dead", program::name());
}

extern "C" fn reads(_: u32) -> ! {
    while call::console_read() == Err(Error::Denied) {
        call::yield_slice();
    }
    READ.set(1);
    call::exit(0)
}
