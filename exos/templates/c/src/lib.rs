//! Nothing: the programs are in C, in the directory `c`.

#![no_std]
