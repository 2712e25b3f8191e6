//! Application-specific safe handlers (ASHs; the paper's section 6.3): code of a program that the kernel executes in
//! its place when a message for it arrives.
//!
//! A handler is MIPS I object code that branches only within itself. The kernel copies it, checks it, and executes what
//! it makes of it; what it may do and what not is told by [`Rule`]. It has
//!
//! - *its registers*, [`USABLE`]: at the entry `$a0` is the message's length in bytes, all others are 0
//! - *the message*: loads at fixed offsets from [`MESSAGE`]; it lies at 2 modulo 4, so that what follows an Ethernet
//!   header is aligned. If the message is shorter than what is read so, the handler does not run
//! - *a region* of its owner's memory, a power of two of contiguous frames aligned to its size, and [`GUARD`] bytes
//!   behind it. A load or store by any other register goes to the address modulo the region's size, rounded down to
//!   what is accessed. So a pointer means the same to the handler and to a program that has the region mapped at a multiple
//!   of its size. Loads and stores at fixed offsets from [`REGION`] cost nothing more than others
//! - *calls*: `jal` to one of [`LOAD`] to [`ABORT`]. They change all registers but `$s0` to `$s4`
//! - *a return*: `jr $ra` with one of [`PASSED`] and [`CONSUMED`] in `$v0`
//!
//! What is installed for a filter's messages is a *chain* of handlers: for each of its layers one that looks at the message, and, if the
//! layer wants them, one for when all layers have consumed it and one for when a later layer has not ([`Part`]). All of them are one
//! owner's and work on one region. Most chains are one layer with a body.

use core::mem::offset_of;

/// The most words of a chain's handlers, and one for each of them but the first: what becomes of them fits a frame.
pub const WORDS_MAX: usize = 255;
/// The most layers of a chain.
pub const LAYERS_MAX: usize = 4;

/// What a handler is for its layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Part {
    /// It looks at the message, and consumes it or does not. At the entry `$a1` is what the body of the layer below had in `$v1`: how many
    /// bytes the layers below have consumed, if they keep to that. In the lowest layer it is 0.
    Body = 0,
    /// All layers have consumed the message. `$a1` is what the layer's body got.
    Commit = 1,
    /// A later layer has not. Likewise.
    Abort = 2,
}

impl Part {
    /// Every part, by its number.
    pub const ALL: [Self; 3] = [Self::Body, Self::Commit, Self::Abort];
}

/// The most handlers of a chain. Those of a layer have the numbers `3 * layer + part`.
pub const HANDLERS_MAX: usize = LAYERS_MAX * Part::ALL.len();

/// The most bytes of a message: an Ethernet frame of the greatest size, its checksum included.
pub const MESSAGE_MAX: u32 = 1518;

/// The least size of a region in bytes.
pub const REGION_MIN: u32 = 4096;
/// The largest: whether all of it is still its owner's is asked when a message comes.
pub const REGION_MAX: u32 = 1 << 16;
/// Bytes behind a region that its owner gives, too: offsets from a register reach so far, and no transfer is longer.
pub const GUARD: u32 = 4096;

/// Where the message is, `$s5`: only the base of loads.
pub const MESSAGE: u8 = 21;
/// Where the region is, `$gp`: only a base.
pub const REGION: u8 = 28;
/// The registers, as bits, that a handler computes with: `$v0`, `$v1`, `$a0` to `$a3`, `$t0` to `$t7`, `$s0` to `$s4`.
pub const USABLE: u32 = 0x001f_fffc;
/// Those that calls leave alone: `$s0` to `$s4`.
pub const KEPT: u32 = 0x001f_0000;

// --- Calls: what `jal` jumps to, in words. ---------------------------------------------------------------------------

/// `$v0` becomes the word of the message at the offset `$a0`, which need not be aligned.
pub const LOAD: u32 = 0;
/// `$a2` bytes of the message at the offset `$a1` go to the address `$a0`, through the pipes with the number `$a3`, or
/// 0. `$v0` becomes the Internet checksum's sum, `$v1` the state of the program's own pipe, if there are such.
pub const COPY: u32 = 1;
/// Sends the message of `$a1` bytes at the address `$a0`, from the Ethernet header on, as
/// [`NETWORK_SEND`](crate::call::NETWORK_SEND) does, for the handler's owner. `$v0` becomes 1, or 0 if the controller has no room.
pub const SEND: u32 = 2;
/// Wakes the owner with the number `$a0`.
pub const WAKE: u32 = 3;
/// Ends the handler; the message is delivered the ordinary way. Does not return.
pub const ABORT: u32 = 4;
/// How many calls there are.
pub const CALLS: usize = 5;

// --- Results. --------------------------------------------------------------------------------------------------------

/// In `$v0` at the return: the message is to be delivered the ordinary way.
pub const PASSED: u32 = 0;
/// In `$v0` at the return: the message is dealt with.
pub const CONSUMED: u32 = 1;

/// How a handler ended. How a chain did is how the first of its handlers did that kept the message from being dealt with: a body that did not
/// consume it, or a commit handler that did not return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// It did not run: the message is shorter than what it reads, or its owner owes too much.
    Skipped = 0,
    /// It returned [`PASSED`], or anything but [`CONSUMED`].
    Passed = 1,
    /// It returned [`CONSUMED`].
    Consumed = 2,
    /// It called [`ABORT`].
    Aborted = 3,
    /// Its time was up.
    Overrun = 4,
    /// It divided by zero.
    DivideByZero = 5,
    /// It called with bytes that are not in the message, more than a message has, or pipes that there are not.
    BadTransfer = 6,
    /// It sent in another's name.
    Denied = 7,
}

/// How many outcomes there are.
pub const OUTCOMES: usize = 8;

impl Outcome {
    /// Every outcome, by its number.
    pub const ALL: [Self; OUTCOMES] = [
        Self::Skipped,
        Self::Passed,
        Self::Consumed,
        Self::Aborted,
        Self::Overrun,
        Self::DivideByZero,
        Self::BadTransfer,
        Self::Denied,
    ];

    /// Whether a handler that ended so returned.
    #[must_use]
    pub const fn returned(self) -> bool {
        matches!(self, Self::Passed | Self::Consumed)
    }
}

/// What a handler must not do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Rule {
    /// It has no word, or more than [`WORDS_MAX`], or the region has a size that none has.
    Size = 1,
    /// Every word is a MIPS I instruction.
    Undefined = 2,
    /// No coprocessor 0, no `syscall`, no `break`.
    Privileged = 3,
    /// No floating point and no other coprocessor.
    Coprocessor = 4,
    /// No arithmetic that traps: `add`, `addi`, `sub`.
    Trapping = 5,
    /// No jump to where a register says, but for the return, `jr $ra`.
    Indirect = 6,
    /// No jump but branches, which have targets relative to themselves, and no branch that leaves a return address.
    Jump = 7,
    /// `jal` goes to a call that there is.
    Call = 8,
    /// A branch goes to a word of the handler that is no delay slot.
    Target = 9,
    /// A delay slot has no branch, no load or store, no multiplication or division, and nothing of HI and LO; and it is
    /// there.
    Slot = 10,
    /// Only registers in [`USABLE`], and [`MESSAGE`] and [`REGION`] as bases.
    Reserved = 11,
    /// The message is not written.
    MessageStore = 12,
    /// What is read relative to [`MESSAGE`] is not before it, nor behind any message's end.
    MessageBounds = 13,
    /// What is accessed relative to [`REGION`] lies in the region or the [`GUARD`] bytes behind it.
    RegionBounds = 14,
    /// What is accessed relative to [`MESSAGE`] or [`REGION`] is aligned.
    Alignment = 15,
    /// The instruction behind a load does not read what it loads.
    LoadDelay = 16,
    /// HI and LO are not written within two instructions after one of them is read.
    HiLo = 17,
    /// Nothing falls off the end: the last instructions are a return or an unconditional branch, and its slot.
    End = 18,
    /// What is executed again costs too much for one round.
    Loop = 19,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 19] = [
        Self::Size,
        Self::Undefined,
        Self::Privileged,
        Self::Coprocessor,
        Self::Trapping,
        Self::Indirect,
        Self::Jump,
        Self::Call,
        Self::Target,
        Self::Slot,
        Self::Reserved,
        Self::MessageStore,
        Self::MessageBounds,
        Self::RegionBounds,
        Self::Alignment,
        Self::LoadDelay,
        Self::HiLo,
        Self::End,
        Self::Loop,
    ];
}

/// Why a handler is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Refusal {
    /// The index of a word that breaks a rule.
    pub word: u16,
    /// The rule.
    pub rule: Rule,
}

// --- Installation: what `HANDLER_INSTALL` is passed, and what everybody can see. --------------------------------------

/// Sets of pipes of a handler, the numbers of which begin with 1; 0 copies and does nothing else.
pub const SETS: usize = 3;

/// The most cycles that a chain may take: what its handlers' budgets, one round of the dearest loop of each, and all of their code once
/// cost together, of commit and abort handlers those that cost more. As much as the kernel can do without being interrupted.
pub const CYCLES_MAX: u32 = 14_000;
/// A chain that may take more cycles than this is run in an interrupt of its own, behind that in which its message was told
/// apart.
pub const CYCLES_AT_ONCE: u32 = 9000;

/// What costs, in the cycles of the slowest of the machines when nothing is in its caches, beyond one for each instruction. A test
/// measures it all.
pub mod cost {
    /// [`LOAD`](super::LOAD): once, and what it adds when it is in a loop, for instructions of the handler's that are to be fetched
    /// again.
    pub const LOAD_CALL: [u16; 2] = [210, 120];
    /// [`COPY`](super::COPY), beside what it moves and what its pipes do.
    pub const COPY_CALL: [u16; 2] = [750, 520];
    /// [`SEND`](super::SEND), beside what each byte does.
    pub const SEND_CALL: [u16; 2] = [6500, 2300];
    /// [`WAKE`](super::WAKE).
    pub const WAKE_CALL: [u16; 2] = [150, 100];
    /// [`ABORT`](super::ABORT).
    pub const ABORT_CALL: [u16; 2] = [90, 0];
    /// What a message that was sent is charged in place of the first of [`SEND_CALL`], for which all caches are empty: as a rule
    /// they are not.
    pub const SENT: u32 = 1200;
    /// A byte that is sent. A power of two.
    pub const SENT_BYTE: u32 = 8;
    /// A byte that is copied from or to where it is not aligned.
    pub const UNALIGNED_BYTE: u32 = 48;
    /// A load, from the message or from memory.
    pub const LOAD: u32 = 30;
    /// A load of a transfer, from the message,
    pub const MESSAGE: u32 = 20;
    /// and a store of one, to the word behind the last.
    pub const MOVED: u32 = 5;
    /// A store.
    pub const STORE: u32 = 9;
    /// The first execution of an instruction.
    pub const FETCH: u32 = 8;
    /// The way from a handler to its end.
    pub const END: u32 = 40;
    /// The kernel's way to each handler of a chain but the lowest layer's body, from the end of the one before it,
    pub const CHAINED: u32 = 2450;
    /// and once more than that for a chain.
    pub const CHAIN: u32 = 900;
}

/// A set of pipes, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Set {
    /// For each pipe one of [`NO_PIPE`] to [`OWN`]; those behind the first `NO_PIPE` must be that, too.
    pub pipes: [u8; PIPES_MAX],
    /// The address of the words of the program's own pipe,
    pub own: u32,
    /// and how many there are.
    pub own_words: u32,
}

/// In [`Set::pipes`]: no pipe.
pub const NO_PIPE: u8 = 0;
/// [`Pipe::Checksum`].
pub const CHECKSUM: u8 = 1;
/// [`Pipe::Swap16`].
pub const SWAP16: u8 = 2;
/// [`Pipe::Swap32`].
pub const SWAP32: u8 = 3;
/// [`Pipe::Own`].
pub const OWN: u8 = 4;

/// A handler of a chain, as its owner gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Code {
    /// How many words it has; 0 if there is none.
    pub words: u16,
    /// How many cycles its loops and transfers may cost.
    pub budget: u16,
}

/// What a program passes to install a chain of handlers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Request {
    /// The number of the first of two frames in a row, which nothing maps. They are public while the handler is there: the
    /// first has its code, the second begins with [`Installed`] and has the loops of its pipes.
    pub frame: u32,
    /// The number of the region's first frame. Behind the region is the frame of the guard.
    pub region: u32,
    /// The region's size in bytes.
    pub region_bytes: u32,
    /// The address of the words of all handlers, which stand there one behind the other. Each is entered at its first.
    pub words: u32,
    /// The handlers, by their numbers. Layers are there from the lowest on, each with a body.
    pub handlers: [Code; HANDLERS_MAX],
    /// The sets of pipes.
    pub sets: [Set; SETS],
}

impl Request {
    /// Its words.
    pub const WORDS: usize = size_of::<Self>() / 4;
    /// Nothing.
    pub const NONE: Self = Self::from_words([0; Self::WORDS]);

    /// The one that these words are, as the machine has them in memory.
    #[must_use]
    pub const fn from_words(words: [u32; Self::WORDS]) -> Self {
        let [frame, region, region_bytes, at, .., a, b, c, d, e, f, g, h, i] = words;
        let mut handlers = [Code { words: 0, budget: 0 }; HANDLERS_MAX];
        let mut number = 0;
        while number < HANDLERS_MAX {
            let word = words[offset_of!(Self, handlers) / 4 + number];
            handlers[number] = Code { words: word as u16, budget: (word >> 16) as u16 };
            number += 1;
        }
        const fn set(pipes: u32, own: u32, own_words: u32) -> Set {
            Set { pipes: pipes.to_le_bytes(), own, own_words }
        }
        let sets = [set(a, b, c), set(d, e, f), set(g, h, i)];
        Self { frame, region, region_bytes, words: at, handlers, sets }
    }
}

/// A loop that pipes were made into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Loop {
    /// Where it begins, an address of the kernel's; 0 if there is none.
    pub code: u32,
    /// One less than what the number of bytes must be a multiple of.
    pub unit: u32,
    /// What a transfer costs beside
    pub cost: u32,
    /// what 32 bytes do.
    pub block_cost: u32,
}

/// A handler of a chain that is installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// Where in the first of the frames it is entered, in bytes; 0 if there is none.
    pub at: u16,
    /// How many cycles its loops and transfers may cost.
    pub budget: u16,
    /// What it costs if it uses all of that up.
    pub cost: u16,
}

/// A chain that is installed: the beginning of the second of the frames that its owner gave. Counters are modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Installed {
    /// The number of the filter whose messages it gets.
    pub filter: u32,
    /// The id of the environment whose it is.
    pub owner: u32,
    /// Where the lowest layer's body is entered, an address of the kernel's; 0 as long as not all is made.
    pub entry: u32,
    /// The number of the region's first frame.
    pub region: u32,
    /// The region's size in bytes.
    pub region_bytes: u32,
    /// What that one's loops and transfers may cost, in cycles.
    pub budget: u32,
    /// Bytes that a message must have for any to run.
    pub message_bytes: u32,
    /// The same if they run in the interrupt that brings the message, else the largest number: they may take too long for that, or are not made.
    pub at_once_bytes: u32,
    /// The most cycles that the lowest layer's body takes without loops and transfers.
    pub straight: u32,
    /// The most that all take together.
    pub most: u32,
    /// The region was found to be its owner's, who lives, last at this count of frames unbound and environments ended: low and high word.
    pub stamp: [u32; 2],
    /// Copying, and its sets of pipes.
    pub loops: [Loop; SETS + 1],
    /// How it ended, by [`Outcome`]: one for each message.
    pub outcomes: [u32; OUTCOMES],
    /// Messages that were sent.
    pub sent: u32,
    /// How often its owner was told,
    pub wakes: u32,
    /// and with which number last.
    pub number: u32,
    /// Cycles that were charged to its owner and not yet paid for with a slice.
    pub charged: u32,
    /// Slices that its owner has to pay, or has paid.
    pub slices: u32,
    /// Why it was refused: the word, and the rule, 0 if it was not.
    pub refused: [u16; 2],
    /// How many layers there are; 0 if there is nothing but the lowest one's body.
    pub layers: u32,
    /// The handlers, by their numbers.
    pub handlers: [Entry; HANDLERS_MAX],
    /// How often a handler of several did not return, by [`Part`].
    pub stopped: [u32; Part::ALL.len()],
    /// The last of these: its number, and its [`Outcome`].
    pub last_stopped: [u16; 2],
}

impl Installed {
    /// Nothing.
    pub const NONE: Self = Self {
        filter: 0,
        owner: 0,
        entry: 0,
        region: 0,
        region_bytes: 0,
        budget: 0,
        message_bytes: 0,
        at_once_bytes: u32::MAX,
        straight: 0,
        most: 0,
        stamp: [0; 2],
        loops: [Loop { code: 0, unit: 0, cost: 0, block_cost: 0 }; SETS + 1],
        outcomes: [0; OUTCOMES],
        sent: 0,
        wakes: 0,
        number: 0,
        charged: 0,
        slices: 0,
        refused: [0; 2],
        layers: 0,
        handlers: [Entry { at: 0, budget: 0, cost: 0 }; HANDLERS_MAX],
        stopped: [0; _],
        last_stopped: [0; 2],
    };
}

const _: () = assert!(size_of::<Loop>() == 16 && size_of::<Installed>() <= 272);

// --- Pipes: what is done to data on its way. -------------------------------------------------------------------------

/// The most pipes of one transfer.
pub const PIPES_MAX: usize = 4;
/// The most instructions that the pipes of a set may take for a word: [`Pipe::Checksum`] takes 3, [`Pipe::Swap16`] 5,
/// [`Pipe::Swap32`] 8, and a program's own as many as it has.
pub const PIPES_COST_MAX: usize = 16;
/// The most words of a program's own pipe.
pub const PIPE_WORDS_MAX: usize = 16;

/// One step of what is done to each word of data that is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pipe<'a> {
    /// The Internet checksum's sum: the 32-bit ones' complement sum of the words as they come, that is, of the message
    /// filled up with zeros. Leaves the data as it is.
    Checksum,
    /// Swaps the bytes of each 16 bits.
    Swap16,
    /// Swaps the bytes of each 32 bits.
    Swap32,
    /// A program's own: instructions that compute, with the word in `$t0`, before and after; `$t1` and `$t2` as
    /// temporary registers; and a state in `$v1` that stays from word to word. At most one in a transfer.
    Own(&'a [u32]),
}

/// What pipes have left: given to a transfer, and got back from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct PipeState {
    /// The checksum's sum.
    pub sum: u32,
    /// The state of the program's own pipe.
    pub own: u32,
}

const _: () = assert!(size_of::<PipeState>() == 8);
const _: () = assert!(MESSAGE_MAX <= GUARD);
