//! A compressor: see `exos/c/tests/lz4`.
//@ expect: lz4: 1048576 bytes in
//@ expect: and back
//@ timeout: 120

#![no_std]
#![no_main]
exos_c::program!();
