//! The first process: `init` or `init,PROGRAM,ARGUMENT…` boots a world of processes and runs the program in it, a shell
//! if none is named. Its verdict is the program's.

#![no_std]
#![no_main]

use exos::process::init;
use exos_rt::{call, println, program};

exos::process_page_table!(exos::process::leaf::Leaf);
exos_rt::program!(main);

/// Arguments that are passed on.
const ARGUMENTS: usize = 8;

fn main() {
    let mut arguments = ["sh"; ARGUMENTS];
    let mut count = 0;
    for (to, argument) in arguments.iter_mut().zip(program::arguments()) {
        *to = argument;
        count += 1;
    }
    let arguments = &arguments[..count.max(1)];
    // Who boots a shell is at the console.
    let connected = count == 0;
    let variables = ["HOME=bin", "PS1=exos$ "];
    let code = match init::run(arguments[0], arguments, &variables, connected) {
        Ok(status) if status.signal_number() != 0 => {
            println!("init: {}: {}", arguments[0], exos::process::table::signal::text(status.signal_number()));
            status.code()
        }
        Ok(status) => status.code(),
        Err(error) => {
            println!("init: {}: {error}", arguments[0]);
            127
        }
    };
    call::exit(code)
}
