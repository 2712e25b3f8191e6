//! The program in `c/template_test`.
//@ run: template_test,one,two
//@ expect: template_test: all is well
#![no_std]
#![no_main]
exos_c::program!();
