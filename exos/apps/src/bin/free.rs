//! Who has the machine's memory, from the public table of frames.

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::world;
use exos_rt::abi::frame::{FREE, FREEING, KERNEL, PUBLIC};
use exos_rt::{environment, memory, public};

exos::process!(main);

fn main() -> u32 {
    let (mut free, mut dead, mut kernel, mut shown) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut living = [0_u32; 256];
    for number in 0..public::frames() {
        match memory::frame(number).owner {
            FREE => free += 1,
            KERNEL => kernel += 1,
            PUBLIC => shown += 1,
            owner => {
                let id = exos_rt::abi::EnvId(owner & !FREEING);
                if environment::seems_alive(id) { living[usize::from(id.index())] += 1 } else { dead += 1 }
            }
        }
    }
    println!("     KB");
    for (frames, what) in
        [(free, "free"), (dead, "left by the dead: free"), (kernel, "the kernel's, and no memory"), (shown, "public")]
    {
        println!("{:7} {what}", frames * 4);
    }
    for (index, &frames) in living.iter().enumerate().filter(|&(_, &frames)| frames != 0) {
        let same = |env: u32| usize::from(exos_rt::abi::EnvId(env).index()) == index;
        let process = world().processes.iter().find(|process| process.state.get() == 2 && same(process.env.get()));
        match process {
            Some(process) => process.name(|name| println!("{:7} {name}, process {}", frames * 4, process.pid.get())),
            None => println!("{:7} environment {index}, no process", frames * 4),
        }
    }
    0
}
