//! A process whose page table is another form than the usual one: two levels.
//@ run: init,exos_process_two_level
//@ archive: exos_process_two_level true
//@ expect: exos_process_two_level: a process as any other
//@ timeout: 120

#![no_std]
#![no_main]

#[path = "../process_table.rs"]
mod process_table;

exos::process!(process_table::run, page_table: exos::page_table::TwoLevel);
