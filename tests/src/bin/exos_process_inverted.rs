//! A process whose page table is another form than the usual one: hashed.
//@ run: init,exos_process_inverted
//@ archive: exos_process_inverted true
//@ expect: exos_process_inverted: a process as any other
//@ timeout: 120

#![no_std]
#![no_main]

#[path = "../process_table.rs"]
mod process_table;

exos::process!(process_table::run, page_table: exos::page_table::Inverted);
