//! The loader on the machine: from the PROM to the kernel.
//!
//! What differs from one machine to the other is in `entry` and `prom`: the DECstation's here, a Malta's in the
//! directory `malta`. The feature `malta` chooses them.

mod console;
#[cfg_attr(feature = "malta", path = "malta/entry.rs")]
mod entry;
mod physical;
#[cfg_attr(feature = "malta", path = "malta/prom.rs")]
mod prom;

use core::fmt;
use core::panic::PanicInfo;

use aegis_abi::boot::{ArchiveHeader, BootInfo, COMMAND_LINE_BYTES, MEMORY_KERNEL, MEMORY_PROGRAM};
use aegis_abi::console::{LOADER_ERROR, VERDICT_FAIL};
use aegis_loader::arguments;
use aegis_loader::memory::{Extent, VECTORS_END};
use aegis_loader::plan::{self, Inputs, Operation, Plan, Refusal};
use heapless::String;

use console::say;

/// Where the assembly of [`entry`] goes on, with what the PROM passed. It has a stack, and the statics have their
/// values.
#[unsafe(no_mangle)]
extern "C" fn loader_main(argument_count: usize, argument_vector: u32) -> ! {
    if let Err(other) = prom::check_machine() {
        refuse(format_args!("{other}"));
    }
    let Some(memory) = prom::memory() else { refuse(format_args!("{}", Refusal::Memory)) };
    let mut line = String::<COMMAND_LINE_BYTES>::new();
    for index in prom::FIRST_ARGUMENT..argument_count {
        let separated = index == prom::FIRST_ARGUMENT || line.push(' ').is_ok();
        if !separated || prom::argument(argument_vector, index, &mut line).is_none() {
            refuse(format_args!("{}", arguments::Error::TooLong));
        }
    }

    let (header, archive_start) = physical::archive_header();
    let archive = match plan::archive_bytes(header, archive_start, &memory) {
        Ok(bytes) => physical::archive(bytes),
        Err(refusal) => refuse(format_args!("{refusal}")),
    };
    let archive_start = archive_start + size_of::<ArchiveHeader>() as u32;
    let loader = Extent { start: physical::loader_start(), end: archive_start + archive.len() as u32 };
    let inputs = Inputs {
        machine: prom::MACHINE,
        prom: prom::call_vector(),
        memory: &memory,
        loader,
        archive,
        archive_start,
        arguments: &line,
    };
    let mut plan = Plan::empty();
    if let Err(refusal) = plan.make(&inputs) {
        refuse(format_args!("{refusal}"));
    }
    let kilobytes = memory.iter().map(|extent| (extent.end - extent.start) / 1024).sum::<u32>();
    say(format_args!("loader: programs to start: {}, memory: {kilobytes} KB\n", plan.info.program_count));

    for operation in &plan.operations {
        match *operation {
            Operation::Copy { from, to, bytes } => physical::copy(archive, from, to, bytes),
            Operation::Zero { start, bytes } => physical::zero(start, bytes),
        }
    }
    make_coherent(&plan.info);
    entry::enter_kernel(plan.entry, &plan.info)
}

/// Makes instructions that were written as data visible to the processor.
fn make_coherent(info: &BootInfo) {
    prom::drain_write_buffer();
    prom::clear_cache(0, VECTORS_END);
    for range in info.memory.iter().take(info.memory_count as usize) {
        if let MEMORY_KERNEL | MEMORY_PROGRAM = range.kind {
            prom::clear_cache(range.start, range.bytes);
        }
    }
}

/// Says what is wrong, gives the verdict and stops the machine.
fn refuse(why: fmt::Arguments<'_>) -> ! {
    say(format_args!("{LOADER_ERROR}{why}\n{VERDICT_FAIL}\n"));
    prom::halt()
}

/// A bug of the loader's: nothing that it is given leads here.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => refuse(format_args!("internal: {} ({}:{})", info.message(), at.file(), at.line())),
        None => refuse(format_args!("internal: {}", info.message())),
    }
}
