//! Exceptions: what a program is told, and where its registers are.
//!
//! Every exception but a system call goes to the program that caused it (the paper's section 5.3). The kernel saves
//! `$a0`, `$a1` and `$a2` in the program's *save page*, in the slots of that exception's code, and enters the program's
//! handler for the code, in user mode with interrupts on:
//!
//! | register | on entry |
//! |---|---|
//! | `$a0` | EPC: the instruction to go back to; if Cause.BD is set it is the branch before the one that failed |
//! | `$a1` | BadVAddr: the address, if the exception is about one |
//! | `$a2` | Cause |
//! | `$k0`, `$k1` | undefined |
//! | all others | as they were |
//!
//! Slots are by code, so that exceptions of different codes nest. Going back needs no kernel: a *return sequence*
//! (see [`ProgramHeader`](crate::program::ProgramHeader)) loads the three registers and jumps.
//!
//! A handler that can't even be fetched, and an exception that has no handler, destroy the environment.

/// Exception codes (Cause.ExcCode) as the R3000 manual numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Code {
    /// An interrupt. Not for a program: the kernel takes it.
    Interrupt = 0,
    /// A store to a page that is mapped read-only (TLB modification).
    Modified = 1,
    /// A load or fetch from a page that has no mapping.
    TlbLoad = 2,
    /// A store to a page that has no mapping.
    TlbStore = 3,
    /// A load or fetch from an address that is misaligned or the kernel's.
    AddressLoad = 4,
    /// A store to an address that is misaligned or the kernel's.
    AddressStore = 5,
    /// A fetch that the bus did not answer.
    BusFetch = 6,
    /// A load that the bus did not answer.
    BusLoad = 7,
    /// A system call. Not for a program.
    Syscall = 8,
    /// A breakpoint.
    Breakpoint = 9,
    /// An instruction that is none.
    Reserved = 10,
    /// A coprocessor that the program may not use; Cause.CE tells which.
    Coprocessor = 11,
    /// Signed overflow in `add`, `addi` or `sub`.
    Overflow = 12,
}

impl Code {
    /// Every code that a program may handle.
    pub const HANDLED: [Code; 11] = [
        Code::Modified,
        Code::TlbLoad,
        Code::TlbStore,
        Code::AddressLoad,
        Code::AddressStore,
        Code::BusFetch,
        Code::BusLoad,
        Code::Breakpoint,
        Code::Reserved,
        Code::Coprocessor,
        Code::Overflow,
    ];

    /// The code with the number `code`, if it is one that a program may handle.
    #[must_use]
    pub const fn handled(code: u32) -> Option<Self> {
        let mut at = 0;
        while at < Self::HANDLED.len() {
            if Self::HANDLED[at] as u32 == code {
                return Some(Self::HANDLED[at]);
            }
            at += 1;
        }
        None
    }

    /// Whether the exception is about an address, which BadVAddr then holds.
    #[must_use]
    pub const fn has_address(self) -> bool {
        matches!(self, Code::Modified | Code::TlbLoad | Code::TlbStore | Code::AddressLoad | Code::AddressStore)
    }

    /// What happened, in words for a report.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Code::Interrupt => "interrupt",
            Code::Modified => "store to a read-only page",
            Code::TlbLoad => "load or fetch from an unmapped page",
            Code::TlbStore => "store to an unmapped page",
            Code::AddressLoad => "load or fetch from a misaligned or kernel address",
            Code::AddressStore => "store to a misaligned or kernel address",
            Code::BusFetch => "fetch from where nothing answers",
            Code::BusLoad => "load from where nothing answers",
            Code::Syscall => "system call",
            Code::Breakpoint => "breakpoint",
            Code::Reserved => "reserved instruction",
            Code::Coprocessor => "coprocessor unusable",
            Code::Overflow => "arithmetic overflow",
        }
    }
}

/// How many values Cause.ExcCode can have: entries of the kernel's table of handlers, and of the header's.
pub const CODES: usize = 32;

/// Words in each array of the save page. Codes from this on are no program's: they destroy it.
pub const SLOTS: usize = 16;

/// The most time slices by which a program may overrun its end-of-slice handler before it is destroyed.
pub const EXCESS_MAX: u32 = 8;

/// The slot of the save page's `a0` that holds `$a0` at the end of a slice: no exception has this code, so that none
/// disturbs it.
pub const END_OF_SLICE_SLOT: usize = 14;

/// Words of the save page that are the program's own.
pub const OWN_WORDS: usize = 835;

/// The save page: one writable page of every program, mapped at [`vm::SAVE_PAGE`](crate::vm::SAVE_PAGE).
///
/// The kernel reaches it by its physical address and so never misses the TLB on it. It reads nothing back but
/// [`SavePage::capability`], in calls that say so, and, where frames are taken, the reserve and the vector in
/// [`SavePage::revocation`]. Its frame is pinned: it can't be freed or taken while the environment lives.
#[repr(C)]
pub struct SavePage {
    /// The program's own, zero at the start. A library keeps the context of a slice here.
    pub own: [u32; OWN_WORDS],
    /// What is asked of the program, what was taken, and what it has said about that beforehand.
    pub revocation: crate::revocation::Revocation,
    /// The program's name; zero bytes fill it up.
    pub name: [u8; crate::boot::NAME_BYTES],
    /// The program's arguments, separated by commas; zero bytes fill it up.
    pub arguments: [u8; crate::boot::ARGUMENT_BYTES],
    /// The tag of a capability: of the caller's for a call that needs one, and that a call has made.
    pub capability: crate::frame::Capability,
    /// `$a0` when the exception of each code was taken, or in [`END_OF_SLICE_SLOT`] when the slice ended.
    pub a0: [u32; SLOTS],
    /// `$a1` when the exception of each code was taken.
    pub a1: [u32; SLOTS],
    /// `$a2` likewise.
    pub a2: [u32; SLOTS],
    /// Where each return sequence goes back to: the program's own, the kernel does not touch it.
    pub pc: [u32; SLOTS],
}

const _: () = assert!(size_of::<SavePage>() == crate::vm::PAGE_BYTES as usize);
