//! One environment sends, another adds up: `cargo exo run`.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::EnvId;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println};
use template::Channel;

static NUMBERS: Channel = Channel::new();
static SUM: Shared<u32> = Shared::new(0);

extern "C" fn adds_up(parent: u32) -> ! {
    loop {
        SUM.add(NUMBERS.receive(EnvId(parent)).expect("the parent lives"));
    }
}

fn main() {
    let (child, control) = spawn(adds_up, call::self_id().0, None).expect("there is memory for a child");
    (1..=1000).for_each(|number| NUMBERS.send(child, number).expect("it lives"));
    while NUMBERS.waiting() != Ok(0) {
        call::yield_to(child).expect("it lives");
    }
    println!("template: the numbers from 1 to 1000 are {}", SUM.get());
    call::env_destroy(child, control).expect("it is ours");
}
