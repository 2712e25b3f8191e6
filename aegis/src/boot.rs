//! How the kernel starts: from the loader's jump to the first program.

use crate::arch::layout::{self, Pages, Record, SAVE_DISTANCE, STLB};
use crate::arch::{cp0, enter, entry};
use crate::console::Console;
use crate::kernel::{Environment, Kernel};
use crate::{arch, machine};
use aegis_abi::boot::{self, BootInfo, MEMORY_FREE, Program};
use aegis_abi::exception::{CODES, Code, SavePage};
use aegis_abi::vm::SAVE_PAGE;
use aegis_abi::{EnvId, program};
use aegis_core::header;
use aegis_core::mappings::{Mapping, Mappings};
use aegis_core::slices::Slices;
use asm_lines::naked_asm;

/// The note by which the loader knows which interface this kernel has.
#[repr(C)]
struct Note {
    owner_bytes: u32,
    descriptor_bytes: u32,
    kind: u32,
    owner: [u8; 8],
    version: u32,
}

#[used]
#[unsafe(link_section = ".note.aegis")]
static NOTE: Note = Note {
    owner_bytes: program::NOTE_OWNER.len() as u32 + 1,
    descriptor_bytes: 4,
    kind: program::KERNEL_NOTE_TYPE,
    owner: *b"Aegis\0\0\0",
    version: aegis_abi::VERSION,
};

const _: () = assert!(program::NOTE_OWNER.len() == 5);

/// Entered by the loader: kernel mode, interrupts off, a0 = the boot-info block, a1 = its magic number, memory of the kernel's data zeroed.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        ".set noreorder",
        "mtc0  $zero, $12",            // Status: interrupts off, vectors in memory, no coprocessor
        "lui   $sp, {pages}",
        "j     {start}",
        " addiu $sp, $sp, -16",        // room for four register arguments
        pages = const layout::KERNEL_PAGES_HIGH,
        start = sym start,
    )
}

/// Sets everything up and runs the first slice.
unsafe extern "C" fn start(info: *const BootInfo, magic: u32) -> ! {
    // Until the vectors and records are in place a fault would go nowhere, so that comes first.
    cp0::initialise();
    clear_software_tlb();
    // SAFETY: the kernel is starting.
    let own = unsafe { entry::kernel_record() };
    own.handlers = [arch::kernel_fault_address(); CODES];
    arch::make_current(own);
    assert!(magic == boot::MAGIC, "not started by the loader");
    // SAFETY: by the magic number the loader passed it, and nothing is written where it lies until its last use here.
    let info = unsafe { &*info };
    assert!(info.magic == boot::MAGIC && info.version == aegis_abi::VERSION, "started by another version's loader");
    let machine = machine::Machine::new(info);
    let kernel = Kernel {
        slices: Slices::new(),
        environments: heapless::Vec::new(),
        console: Console::new(),
        machine,
        ticks: 0,
        failed: 0,
        ended: 0,
    };
    // SAFETY: the first and only time, and no program runs.
    let kernel = unsafe { entry::install(kernel) };
    let programs = info.programs.iter().take(info.program_count as usize);
    let mut memory = FreeMemory::new(info);
    for (index, program) in programs.enumerate() {
        start_program(kernel, &mut memory, index as u8, program);
    }
    kernel.machine.start_clock();
    kernel.next_slice()
}

/// Every entry stands for a page of kseg0, which no miss is ever about.
fn clear_software_tlb() {
    for index in 0..=layout::STLB_INDEX_MASK / 4 {
        // SAFETY: the linker script keeps this memory for the table, and nobody reads it yet.
        unsafe { (STLB as *mut u32).add(index as usize).write_volatile(layout::KERNEL_PAGES) };
    }
}

/// Gives an environment to a program that the loader placed, and a slice to the environment.
fn start_program(kernel: &mut Kernel, memory: &mut FreeMemory, index: u8, program: &Program) {
    let checked = header::check(program.entry, &program.header);
    let pages = match checked.and_then(|()| memory.pages().ok_or("no memory is left for its environment")) {
        Ok(pages) => pages,
        Err(reason) => {
            kernel.ended += 1;
            kernel.failed += 1;
            kernel.report(format_args!("{}: refused: {reason}", crate::console::text(&program.name)));
            return;
        }
    };
    let mut mappings = Mappings::new();
    let segments = program.segments.iter().take(program.segment_count as usize);
    let save_page = Mapping {
        virtual_start: SAVE_PAGE,
        physical_start: machine::physical(pages) + SAVE_DISTANCE,
        bytes: size_of::<SavePage>() as u32,
        writable: true,
    };
    let ranges = segments.map(|segment| Mapping {
        virtual_start: segment.virtual_start,
        physical_start: segment.physical_start,
        bytes: segment.bytes,
        writable: segment.writable != 0,
    });
    for range in ranges.chain([save_page]) {
        mappings.insert(range).expect("the loader places segments on pages of their own");
    }
    let header = &program.header;
    let mut handlers = [arch::no_handler_address(); CODES];
    for code in Code::HANDLED {
        match header.handlers[code as usize] {
            0 => {}
            handler => handlers[code as usize] = handler,
        }
    }
    handlers[Code::Interrupt as usize] = arch::interrupt_address();
    let context_id = u32::from(index) + 1;
    let record = Record {
        handlers,
        id: EnvId::new(index, 1).0,
        status: machine::user_status().bits(),
        entry_hi: context_id << cp0::CONTEXT_ID_SHIFT,
        // Spreads the environments over the table: programs use the same addresses. The multiplier is odd, so that no two
        // contexts share a start.
        stlb: STLB | (context_id.wrapping_mul(0x9e5) << 2 & layout::STLB_INDEX_MASK),
        next_entry: program.entry,
        start_of_slice: header.start_of_slice,
        end_of_slice: header.end_of_slice,
        protected_entries: header.protected_entries,
        return_sequences: header.return_sequences,
        resume: header.resume,
        mappings,
        name: program.name,
    };
    let save = SavePage { name: program.name, arguments: program.arguments, ..EMPTY_SAVE_PAGE };
    // SAFETY: the pages are free memory that nothing else has been given.
    let record = unsafe {
        pages.write(Pages { record, save });
        &raw mut (*pages).record
    };
    let pushed = kernel.environments.push(Environment { index, record });
    assert!(pushed.is_ok() && kernel.slices.allocate(usize::from(index), index), "more programs than the table holds");
}

const EMPTY_SAVE_PAGE: SavePage = SavePage {
    a0: [0; CODES],
    a1: [0; CODES],
    a2: [0; CODES],
    pc: [0; CODES],
    own: [0; 832],
    name: [0; boot::NAME_BYTES],
    arguments: [0; boot::ARGUMENT_BYTES],
    reserved: [0; 96],
};

/// Free memory, given out from the beginning.
struct FreeMemory<'a> {
    info: &'a BootInfo,
    range: usize,
    used: u32,
}

impl<'a> FreeMemory<'a> {
    fn new(info: &'a BootInfo) -> Self {
        Self { info, range: 0, used: 0 }
    }

    /// Two pages side by side for an environment, or `None` if there are none left.
    fn pages(&mut self) -> Option<*mut Pages> {
        let bytes = size_of::<Pages>() as u32;
        while self.range < (self.info.memory_count as usize).min(self.info.memory.len()) {
            let range = &self.info.memory[self.range];
            if range.kind == MEMORY_FREE && range.bytes - self.used >= bytes {
                let start = range.start + self.used;
                self.used += bytes;
                return Some(machine::cached(start));
            }
            self.range += 1;
            self.used = 0;
        }
        None
    }
}

/// Enters `record`'s environment, for which `pc` was checked.
pub fn enter_environment(record: *const Record, pc: u32) -> ! {
    // SAFETY: records in the kernel's table are initialised, have their save page behind them and are never freed while there.
    unsafe { enter::enter(record, pc) }
}
