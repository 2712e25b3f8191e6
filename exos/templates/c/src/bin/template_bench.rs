//! The program in `c/template_bench`.

#![no_std]
#![no_main]
exos_c::program!();
