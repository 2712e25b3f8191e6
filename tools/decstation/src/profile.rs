//! The machines: every timing parameter of the model, in one place.
//!
//! Each field says where its value comes from; `docs/model.md` lists the sources in full with the date on which the
//! values were frozen. A value changes when a source is found, never because of a result.
//!
//! All profiles have the same KN02 devices and run the same image: a profile is a clock, two caches' refill, a write
//! buffer and what lies behind them.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;

/// A cycle count of one action.
pub type Cycles = u32;

/// How the write buffer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct WriteBufferTiming {
    /// Entries; a store stalls the CPU while all are taken.
    pub depth: usize,
    /// A store to the word of the newest entry, if that has not begun, joins it instead of taking one of its own.
    pub merge: bool,
    /// Memory cycles for a write to the same 4 KB page as the memory access before it.
    pub page_write: Cycles,
    /// Memory cycles for any other write.
    pub other_write: Cycles,
    /// Extra memory cycles for a write of less than a word (an ECC memory reads, merges and writes back).
    pub partial_write: Cycles,
    /// A read waits until the whole buffer is empty. Otherwise reads go first and wait only for a write that has begun,
    /// and for the queue up to a write to the words being read.
    pub drain_before_read: bool,
}

/// Cycles after the issue of a floating-point operation before its result can be used; its unit is busy as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatTiming {
    /// Additions and subtractions.
    pub add: Cycles,
    /// Comparisons.
    pub compare: Cycles,
    /// Moves, absolute values and negations.
    pub sign: Cycles,
    /// Multiplications.
    pub multiply_single: Cycles,
    /// Multiplications of doubles.
    pub multiply_double: Cycles,
    /// Divisions.
    pub divide_single: Cycles,
    /// Divisions of doubles.
    pub divide_double: Cycles,
    /// Conversions.
    pub convert: Cycles,
}

/// Time of the Ethernet controller. What is not a stall of the CPU is in nanoseconds: it has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EtherTiming {
    /// Stall of a read of its buffer memory, in CPU cycles. A write takes as long as one to a register.
    pub read: Cycles,
    /// From INIT until the initialisation block is read.
    pub init: u64,
    /// Between two looks for a frame to send.
    pub poll: u64,
    /// From the look that finds one until its preamble begins, if nobody else is sending.
    pub transmit: u64,
    /// From its last bit until its descriptor and CSR0 say so.
    pub status: u64,
    /// From the last bit of a frame that is received until its descriptor and CSR0 say so; less than a shortest frame.
    pub receive: u64,
}

/// Everything that makes one machine's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name on the command line.
    pub name: &'static str,
    /// The machine it stands for.
    pub machine: &'static str,
    /// CPU clock in Hz.
    pub hz: u64,
    /// The processor identity register.
    pub prid: u32,
    /// Words fetched by a cached read miss, aligned; a power of two.
    pub refill_words: u32,
    /// Stall of one cached read miss, instruction or data.
    pub read_miss: Cycles,
    /// The write buffer.
    pub write_buffer: WriteBufferTiming,
    /// Stall of an uncached read of main memory.
    pub uncached_read: Cycles,
    /// Stall of a read of a device register.
    pub device_read: Cycles,
    /// Bus cycles of a write to a device register, through the write buffer.
    pub device_write: Cycles,
    /// Extra cycles of a sub-word store that hits in the data cache (it reads, merges and writes the cached word).
    pub partial_store: Cycles,
    /// Cycles after the issue of `mult`/`multu` before `mfhi`/`mflo` can read.
    pub mult: Cycles,
    /// The same for `div`/`divu`.
    pub div: Cycles,
    /// Cycles lost by an exception, with that of the instruction that caused it.
    pub exception: Cycles,
    /// Further cycles lost by an interrupt (the synchroniser).
    pub interrupt: Cycles,
    /// Stall of a fetch from a mapped page that is not in the instruction micro-TLB.
    pub micro_tlb_miss: Cycles,
    /// Entries of the instruction micro-TLB.
    pub micro_tlb: usize,
    /// The floating-point unit's identity register, FCR0, where there is one.
    pub fpu_identity: u32,
    /// Its time.
    pub float: FloatTiming,
    /// The Ethernet controller's, where there is one.
    pub ether: EtherTiming,
}

/// What the four machines share: the core.
const CORE: Profile = Profile {
    name: "",
    machine: "",
    hz: 0,
    prid: 0,
    refill_words: 4,
    read_miss: 0,
    write_buffer: WriteBufferTiming {
        depth: 0,
        merge: false,
        page_write: 0,
        other_write: 0,
        partial_write: 0,
        drain_before_read: false,
    },
    uncached_read: 0,
    device_read: 0,
    device_write: 0,
    // Guess: the R3000 with StorePartial; which mode the boards strap is not known. Range 0..1.
    partial_store: 1,
    // Sourced: GCC's R3000 pipeline description and MAME agree.
    mult: 12,
    div: 35,
    // Guess, range 2..5.
    exception: 3,
    // Guess, range 1..2.
    interrupt: 1,
    // Guess: two entries, one cycle.
    micro_tlb_miss: 1,
    micro_tlb: 2,
    // Implementation sourced: R3010. Guess: the revision.
    fpu_identity: 0x0000_0340,
    float: FloatTiming {
        // Sourced: GCC's R3000 pipeline description. That a unit takes no new operation meanwhile is a guess.
        add: 2,
        compare: 2,
        sign: 1,
        multiply_single: 4,
        multiply_double: 5,
        divide_single: 12,
        divide_double: 19,
        // Guess, range 1..3.
        convert: 2,
    },
    ether: EtherTiming {
        read: 0,
        // Guess: twelve reads of 600 ns, the chip's bus cycle, and a little.
        init: 10_000,
        // Memory: the data sheet of the chip.
        poll: 1_600_000,
        // Guess: descriptor and first bursts. With `receive` 25.5 us, which is half of the 51 us of controller latency that
        // Thekkath and Levy have in the 253 us of a round trip; if they mean one way, twice as much. Range 12..24.
        transmit: 12_000,
        // Guess: two or three bus cycles and their arbitration.
        status: 3_000,
        // Guess: the last bursts and the descriptor. Range 13..27.
        receive: 13_500,
    },
};

/// KN01: the DECstation 2100 and 3100 differ in nothing but the clock.
const KN01: Profile = Profile {
    // R2000A.
    prid: 0x0000_0210,
    // Implementation sourced: R2010. Guess: the revision.
    fpu_identity: 0x0000_0210,
    // Sourced: Bershad, Draves and Forin resolve one miss in 5 cycles, a word at a time.
    refill_words: 1,
    read_miss: 5,
    write_buffer: WriteBufferTiming {
        // Sourced: R2020/LR3020, 4 entries, gathers writes to one word. That only the newest entry gathers follows from the
        // same paper's two store loops (8 and 12 cycles): if any entry did, the second would take 9.
        depth: 4,
        merge: true,
        // Sourced: one write retired every 6 cycles, no page mode.
        page_write: 6,
        other_write: 6,
        // Parity memory, byte parity: no read-modify-write.
        partial_write: 0,
        // Sourced: reads bypass writes, the memory controller resolves conflicts.
        drain_before_read: false,
    },
    // Guess, range 5..6: a miss without the refill.
    uncached_read: 5,
    // Guess, range 8..16.
    device_read: 10,
    // Guess.
    device_write: 6,
    // Guess, range 16..28: two halfwords of 8 to 14 cycles, since these machines' buffer is 16 bits wide.
    ether: EtherTiming { read: 22, ..CORE.ether },
    ..CORE
};

/// DECstation 2100, PMIN: R2000A at 12.5 MHz on the KN01 board.
pub const DEC2100: Profile =
    Profile { name: "dec2100", machine: "DECstation 2100 (KN01, 12.5 MHz)", hz: 12_500_000, ..KN01 };

/// DECstation 3100, PMAX: R2000A at 16.67 MHz on the KN01 board.
pub const DEC3100: Profile =
    Profile { name: "dec3100", machine: "DECstation 3100 (KN01, 16.67 MHz)", hz: 16_666_667, ..KN01 };

/// DECstation 5000/200, 3MAX: R3000 at 25 MHz on the KN02 board.
pub const DEC5000_200: Profile = Profile {
    name: "dec5000_200",
    machine: "DECstation 5000/200 (KN02, 25 MHz)",
    hz: 25_000_000,
    prid: 0x0000_0220,
    // Sourced: Chen and Bershad; a second paper's flush test gives 15.2.
    refill_words: 4,
    read_miss: 15,
    write_buffer: WriteBufferTiming {
        // Sourced: R3220, 6 entries, 1 cycle in page mode, else 5; a read ends page mode and goes first.
        depth: 6,
        // Guess: merging is not described.
        merge: false,
        page_write: 1,
        other_write: 5,
        // Guess, range 3..5: 5 cycles become 8 to 10 in ECC memory.
        partial_write: 4,
        drain_before_read: false,
    },
    // Guess: as a miss, less the three further words at one cycle.
    uncached_read: 12,
    // Sourced for a simple TURBOchannel option; a guess (8..16) for the clock and the CSR.
    device_read: 8,
    // Sourced for a TURBOchannel option.
    device_write: 3,
    // Derived, range 20..24: Maeda and Bershad's copy out of the buffer takes 27 cycles a word, loop and store included.
    ether: EtherTiming { read: 22, ..CORE.ether },
    ..CORE
};

/// DECstation 5000/125, 3MIN: R3000A at 25 MHz, memory and TURBOchannel at 12.5 MHz (KN02-BA).
pub const DEC5000: Profile = Profile {
    name: "dec5000",
    machine: "DECstation 5000/125 (KN02-BA, 25 MHz)",
    hz: 25_000_000,
    prid: 0x0000_0230,
    // Derived, range 27..38: the 5000/200's 15 memory clocks at half the clock.
    refill_words: 4,
    read_miss: 30,
    write_buffer: WriteBufferTiming {
        // Guess, range 4..6.
        depth: 4,
        // Guess.
        merge: false,
        // Guess: the 5000/200's at half the clock.
        page_write: 2,
        other_write: 10,
        // Sourced: byte parity, no read-modify-write.
        partial_write: 0,
        // Sourced for uncached reads, a guess for cached ones.
        drain_before_read: true,
    },
    // Guess, range 18..22.
    uncached_read: 20,
    // Derived: the 5000/200's at half the clock.
    device_read: 16,
    device_write: 6,
    // Derived: as an uncached read, since this machine's controller has its buffers in main memory. Range 18..22.
    ether: EtherTiming { read: 20, ..CORE.ether },
    ..CORE
};

/// All profiles, slowest first.
pub const PROFILES: [Profile; 4] = [DEC2100, DEC3100, DEC5000, DEC5000_200];

impl Profile {
    /// The profile with this name.
    pub fn by_name(name: &str) -> Option<Profile> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// Microseconds that `cycles` take on this machine.
    pub fn microseconds(&self, cycles: u64) -> f64 {
        cycles as f64 * 1e6 / self.hz as f64
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.machine)
    }
}
