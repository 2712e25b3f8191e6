//! A program that ends at once: what the benchmarks execute.

#![no_std]
#![no_main]

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    aegis_bench_linux::system::exit(0)
}
