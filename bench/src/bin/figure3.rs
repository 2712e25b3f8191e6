//! Figure 3: an application-level stride scheduler. Three processes that increment counters, with shares of 3:2:1, for 100 quanta.
//!
//! The scheduler has the only slice. After each quantum it reads all counters; what it has read it prints in the end. The loop of a process
//! is a load, an addition, a store and a jump back, on a counter of its own. What deciding who is next takes is counted between marks.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use exos_policy::schedule::Policy;
use exos_policy::stride::Stride;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, mark_begin, mark_end, println};

exos_rt::program!(main);

const DECIDE: u32 = 1;

const QUANTA: usize = 100;
/// As the paper's figure has them: of those with equal passes the first is next.
const PROCESSES: [(&str, u16); 3] = [("A", 3), ("C", 1), ("B", 2)];

static COUNTERS: [Shared<u32>; 3] = [const { Shared::new(0) }; 3];

extern "C" fn process(number: u32) -> ! {
    let counter = &COUNTERS[number as usize];
    loop {
        counter.add(1);
    }
}

fn main() {
    println!(
        "mark {DECIDE} table=figure3 op=decide system=exos how=the policy says who is next of three, in Rust; the yield to it is not counted"
    );
    for (name, share) in PROCESSES {
        println!(
            "figure 3 series={name} system=exos unit=iterations how=a process with a share of {share} of 6 increments a counter; its value after each quantum"
        );
    }
    exos_rt::console::flush();
    let mut policy = Stride::new();
    let processes = [0, 1, 2].map(|number| spawn(process, number, None).expect("an environment can be made"));
    for ((id, _), (_, share)) in processes.into_iter().zip(PROCESSES) {
        policy.add(id.0, share).expect("it has a share");
    }
    let mut counts = [[0; 3]; QUANTA];
    for counts in &mut counts {
        mark_begin!(DECIDE);
        let next = policy.next();
        mark_end!(DECIDE);
        let next = processes.iter().find(|(id, _)| Some(id.0) == next).expect("there are three").0;
        call::yield_to(next).expect("it lives");
        *counts = COUNTERS.each_ref().map(Shared::get);
    }
    for (id, control) in processes {
        call::env_destroy(id, control).expect("it lives");
    }
    for (quantum, counts) in (1..).zip(counts) {
        for ((name, _), count) in PROCESSES.into_iter().zip(counts) {
            println!("point 3 series={name} x={quantum} y={count}");
        }
    }
}
