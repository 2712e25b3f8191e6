//! A program of mini's that fails is reported and ends; who called it gets an error.
//@ run: mini_counter mini_fails
//@ verdict: fail
//@ expect: mini: fault: exception 2, address=0x00000010, pc=0x
//@ expect: mini_fails: the call was not answered
//@ expect: aegis: 2 programs ended, 1 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../mini.rs"]
mod mini;

use exos_rt::abi::Error;
use exos_rt::println;

const FAIL: u32 = 4;

fn main() {
    let id = mini::find();
    assert_eq!(mini::ask(id, FAIL, 0x10), Err(Error::NoSuchEnvironment));
    println!("mini_fails: the call was not answered");
}
