//! The interpreter of Lua as it is published, its program an argument.
//@ run: lua_test,-e,s=0;i=1;repeat;s=s+i/2;i=i+1;until(i>1000)print(s)print(("%x"):format(2748):upper())print(pcall(error))
//@ expect: 250250.0
//@ expect: ABC
//@ expect: false
//@ timeout: 120

#![no_std]
#![no_main]
exos_c::program!();
