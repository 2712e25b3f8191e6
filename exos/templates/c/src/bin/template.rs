//! The program in `c/template`.

#![no_std]
#![no_main]
exos_c::program!();
