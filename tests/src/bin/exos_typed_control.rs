//! Keys of the shell's editor that are control characters, and stand for others: begin, end, back, delete, forth.
//@ run: init
//@ archive: sh echo
//@ ignore-machine: gxemul it takes Ctrl-B for Ctrl-C
//@ when: exos$
//@ type: cho twox^Ae^E^B^D!^B^B^FZ
//@ when: exos$
//@ type: ^D^
//@ expect: twoZ!

#![no_std]
#![no_main]

exos_rt::program!(main);

fn main() {}
