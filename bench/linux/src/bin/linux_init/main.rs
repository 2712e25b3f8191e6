//! The first process of Linux: does everything that ours are measured on, in a process of its own, and switches the machine off.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod calls;
mod ipc;
#[path = "../../../../src/matrix.rs"]
mod matrix;
mod memory;
mod processes;
mod traps;

use aegis_bench_linux::meter::{Clock, Meter};
use aegis_bench_linux::{naked_asm, println, system};

/// Where Linux starts: `$sp` points to the number of arguments, them, and the variables.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn start() -> ! {
    naked_asm!(
        ".set noreorder",
        "move  $a0, $sp",
        "jal   {begin}",
        " addiu $sp, $sp, -16",
        begin = sym begin,
    )
}

unsafe extern "C" fn begin(stack: *const u32) -> ! {
    system::silence_kernel();
    // The first process is no place to measure in: the kernel says a word about each of its signals.
    match system::fork().expect("there is memory") {
        None => {
            // SAFETY: the kernel made the stack.
            let clock = unsafe { clock(stack) };
            measure(clock);
            system::exit(0);
        }
        Some(pid) => {
            let status = system::wait(pid).expect("it is a child");
            println!("ended with status {status}");
            system::drain();
            system::power_off();
        }
    }
    // Only a kernel that can't switch the machine off comes here.
    loop {
        system::sched_yield();
    }
}

/// The clock that the variable `meter` names.
///
/// # Safety
/// The stack is as the kernel made it.
unsafe fn clock(stack: *const u32) -> Clock {
    // SAFETY: pointers to arguments come first, then a null pointer, then pointers to variables and another one.
    unsafe {
        let mut variable = stack.add(*stack as usize + 2);
        while *variable != 0 {
            let text = core::ffi::CStr::from_ptr(*variable as *const _).to_bytes();
            if let Some(name) = text.strip_prefix(b"meter=") {
                return Clock::of(name);
            }
            variable = variable.add(1);
        }
    }
    panic!("the kernel's command line has no meter=")
}

fn measure(clock: Clock) {
    // Processes that only yield to each other would be stopped for a while.
    system::mount(c"proc", c"/proc").expect("the kernel has /proc");
    let limit = system::open(c"/proc/sys/kernel/sched_rt_runtime_us").expect("the kernel has real-time processes");
    assert_eq!(system::write(limit, b"-1\n"), Ok(3));
    processes::describe();
    calls::describe();
    traps::describe();
    ipc::describe();
    memory::describe();
    // What was printed is to be on its way before something is counted.
    system::drain();
    let meter = Meter::new(clock);
    // First, while the process is small.
    processes::measure(&meter);
    calls::measure(&meter);
    traps::measure(&meter);
    ipc::measure(&meter);
    memory::measure(&meter);
    println!("all is measured");
    system::drain();
}
