//! Coprocessor 0: the system control registers, exceptions, and the translation of addresses.

use crate::insn::{Insn, Op, decode};
use crate::machine::{Machine, Stop};
use crate::strict::Rule;
use crate::tlb::{self, Match, TlbEntry};
use borsh::{BorshDeserialize, BorshSerialize};

/// Status: current interrupt enable.
pub const SR_IEC: u32 = 0x1;
/// Status: user mode.
pub const SR_KUC: u32 = 0x2;
/// Status: the three pairs of mode and interrupt enable.
pub const SR_STACK: u32 = 0x3f;
/// Status: interrupt mask.
pub const SR_IM: u32 = 0xff00;
/// Status: isolate cache.
pub const SR_ISC: u32 = 0x1_0000;
/// Status: swap caches.
pub const SR_SWC: u32 = 0x2_0000;
/// Status: the last load with isolated caches missed.
pub const SR_CM: u32 = 0x8_0000;
/// Status: a cache parity error was seen; writing 1 clears it.
pub const SR_PE: u32 = 0x10_0000;
/// Status: TLB shutdown.
pub const SR_TS: u32 = 0x20_0000;
/// Status: bootstrap exception vectors.
pub const SR_BEV: u32 = 0x40_0000;
/// Status: coprocessor 0 usable in user mode; the other units' bits follow.
pub const SR_CU0: u32 = 0x1000_0000;
/// Status bits that software can write: CU, RE, BEV, PZ, SwC, IsC, IM and the stack.
const SR_WRITABLE: u32 = 0xf247_ff3f;

/// Cause: the exception was in a branch delay slot.
pub const CAUSE_BD: u32 = 0x8000_0000;
/// Cause: interrupts pending.
pub const CAUSE_IP: u32 = 0xff00;
/// Cause: the two software interrupts, which software can write.
pub const CAUSE_SOFTWARE: u32 = 0x0300;

/// Exception codes, as Cause holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Exception {
    /// Interrupt.
    Int = 0,
    /// TLB modification.
    Mod = 1,
    /// TLB miss or invalid entry, load or fetch.
    TlbL = 2,
    /// The same, store.
    TlbS = 3,
    /// Address error, load or fetch.
    AdEL = 4,
    /// Address error, store.
    AdES = 5,
    /// Bus error, fetch.
    Ibe = 6,
    /// Bus error, load.
    Dbe = 7,
    /// System call.
    Sys = 8,
    /// Breakpoint.
    Bp = 9,
    /// Reserved instruction.
    Ri = 10,
    /// Coprocessor unusable.
    CpU = 11,
    /// Arithmetic overflow.
    Ov = 12,
}

/// The registers.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Cp0 {
    /// Index: P in bit 31, the entry in bits 13..8.
    pub index: u32,
    /// EntryLo.
    pub entry_lo: u32,
    /// Context.
    pub context: u32,
    /// BadVAddr.
    pub bad_vaddr: u32,
    /// EntryHi.
    pub entry_hi: u32,
    /// Status, as `mfc0` reads it.
    pub status: u32,
    /// The Status that the pipeline obeys: `mtc0` reaches it two instructions later.
    pub effective: u32,
    /// The instruction count at which it does.
    pub effective_at: u64,
    /// Cause; the hardware interrupt bits follow their lines.
    pub cause: u32,
    /// EPC.
    pub epc: u32,
    /// When each register was last written by `mtc0`, for strict mode.
    written_at: [u64; 16],
    /// When the TLB or the address space was last changed, for strict mode.
    pub(crate) mapping_at: u64,
}

/// Long ago, for events that have not happened. Adding a small number to it does not overflow.
pub(crate) const NEVER: u64 = u64::MAX / 2;

impl Default for Cp0 {
    fn default() -> Self {
        Cp0 {
            index: 0,
            entry_lo: 0,
            context: 0,
            bad_vaddr: 0,
            entry_hi: 0,
            status: 0,
            effective: 0,
            effective_at: u64::MAX,
            cause: 0,
            epc: 0,
            written_at: [NEVER; 16],
            mapping_at: NEVER,
        }
    }
}

/// Names of the registers, for messages.
pub const NAMES: [&str; 16] = [
    "Index", "Random", "EntryLo", "$3", "Context", "$5", "$6", "$7", "BadVAddr", "$9", "EntryHi", "$11", "Status",
    "Cause", "EPC", "PRId",
];

/// What a reference is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An instruction fetch.
    Fetch,
    /// A load.
    Load,
    /// A store.
    Store,
}

/// A translated address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Physical {
    /// The physical address.
    pub pa: u32,
    /// Whether the reference goes through the cache.
    pub cached: bool,
    /// Whether the TLB translated it.
    pub mapped: bool,
    /// Whether a store may follow without a further check.
    pub writable: bool,
}

/// Why a reference can't be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Privilege or alignment.
    Address,
    /// No entry matches.
    Miss,
    /// The entry is not valid.
    Invalid,
    /// The entry is not writable.
    Modified,
}

impl Machine {
    /// Whether the CPU is in user mode.
    pub fn user_mode(&self) -> bool {
        self.cp0.effective & SR_KUC != 0
    }

    /// Random: counts down from 63 to 8 with every cycle.
    pub(crate) fn random(&self) -> u32 {
        63 - (self.cycles() % u64::from(64 - tlb::WIRED)) as u32
    }

    /// Makes the address translation that the interpreter remembers follow Status and EntryHi.
    pub(crate) fn set_context(&mut self) {
        let effective = self.cp0.effective;
        self.context = if effective & (SR_ISC | SR_SWC) != 0 {
            crate::memory::CONTEXT_NONE
        } else {
            self.cp0.entry_hi & tlb::HI_ASID
                | crate::memory::CONTEXT_VALID
                | if effective & SR_KUC != 0 { crate::memory::CONTEXT_USER } else { 0 }
        };
        if self.config.strict && self.cpu.instructions.wrapping_sub(self.cp0.mapping_at) < 2 {
            // Every access in the next two instructions takes the long way, which checks the distance.
            self.context = crate::memory::CONTEXT_NONE;
            self.cp0.effective_at = self.cp0.effective_at.min(self.cp0.mapping_at + 2);
            self.attention();
        }
        self.forget_fetch();
    }

    /// The Status that `mtc0` wrote reaches the pipeline.
    pub(crate) fn settle_status(&mut self) {
        let was_user = self.user_mode();
        self.cp0.effective = self.cp0.status;
        if !was_user && self.user_mode() {
            self.enter_user();
        }
        self.cp0.effective_at = u64::MAX;
        self.set_context();
        self.check_interrupts();
    }

    /// Makes the interpreter look up when an interrupt is due.
    pub(crate) fn check_interrupts(&mut self) {
        if self.interrupt_due() {
            self.attention();
        }
    }

    /// Whether an enabled interrupt is pending.
    pub(crate) fn interrupt_due(&self) -> bool {
        self.cp0.effective & SR_IEC != 0 && self.cp0.effective & self.cp0.cause & SR_IM != 0
    }

    /// Whether the instruction to be executed next will raise an exception of its own, which comes before an interrupt.
    pub(crate) fn has_exception(&mut self) -> bool {
        let pc = self.cpu.pc;
        if pc & 3 != 0 || self.translate(pc, Access::Fetch).is_err() {
            return true;
        }
        let Some(word) = self.peek_word(pc) else { return false };
        let Insn { op, s1, s2, d, imm } = decode(word);
        let (a, b) = (self.cpu.regs[usize::from(s1)], self.cpu.regs[usize::from(s2)]);
        let unusable = |unit: u32| self.cp0.effective & SR_CU0 << unit == 0;
        let privileged = self.cp0.effective & (SR_KUC | SR_CU0) == SR_KUC;
        let address = a.wrapping_add(imm);
        let (access, alignment) = match op {
            Op::Syscall | Op::Break | Op::Reserved | Op::Cop0Reserved => return true,
            Op::Add => return (a as i32).checked_add(b as i32).is_none(),
            Op::Addi => return (a as i32).checked_add(imm as i32).is_none(),
            Op::Sub => return (a as i32).checked_sub(b as i32).is_none(),
            Op::Mfc0 | Op::Mtc0 | Op::Tlbr | Op::Tlbwi | Op::Tlbwr | Op::Tlbp | Op::Rfe => return privileged,
            Op::Cop | Op::CopRead => return unusable(imm >> 26 & 3),
            Op::CopBranch => return unusable(u32::from(d & 3)),
            Op::CopLoad | Op::CopStore if d & 3 == 0 || unusable(u32::from(d & 3)) => return true,
            Op::Lb | Op::Lbu | Op::Lwl | Op::Lwr => (Access::Load, 1),
            Op::Lh | Op::Lhu => (Access::Load, 2),
            Op::Lw | Op::CopLoad => (Access::Load, 4),
            Op::Sb | Op::Swl | Op::Swr => (Access::Store, 1),
            Op::Sh => (Access::Store, 2),
            Op::Sw | Op::CopStore => (Access::Store, 4),
            _ => return false,
        };
        !address.is_multiple_of(alignment) || self.translate(address, access).is_err()
    }

    /// Enters an exception: `pc` is the instruction's address, `slot` says that it is in a branch delay slot.
    pub(crate) fn exception(&mut self, code: Exception, pc: u32, slot: bool) {
        self.raise(code, pc, slot, 0, false);
    }

    fn raise(&mut self, code: Exception, pc: u32, slot: bool, unit: u32, refill: bool) {
        self.cpu.commit_load();
        if let Some(fpu) = &mut self.fpu {
            fpu.settle();
        }
        if self.user_mode() {
            self.leave_user(code, pc);
        }
        self.cp0.epc = if slot { pc.wrapping_sub(4) } else { pc };
        self.cp0.cause = self.cp0.cause & CAUSE_IP | if slot { CAUSE_BD } else { 0 } | unit << 28 | (code as u32) << 2;
        let status = self.cp0.status;
        self.cp0.status = status & !SR_STACK | status << 2 & 0x3c;
        self.cp0.effective = self.cp0.status;
        self.cp0.effective_at = u64::MAX;
        // The pipeline is empty: nothing that came before is still on its way.
        self.cp0.mapping_at = NEVER;
        self.cp0.written_at = [NEVER; 16];
        let base = if status & SR_BEV != 0 { 0xbfc0_0100 } else { 0x8000_0000 };
        let vector = base + if refill { 0 } else { 0x80 };
        self.cpu.jump(vector);
        self.set_context();
        self.counts.exceptions[code as usize] += 1;
        // An exception on a vector's first instruction that leads back to it will never end.
        if pc == vector && self.cp0.epc == vector && code != Exception::Int {
            self.loops += 1;
            if self.loops > 16 {
                self.halt(Stop::Stuck { pc });
            }
        } else {
            self.loops = 0;
        }
    }

    /// Coprocessor unusable.
    pub(crate) fn unusable(&mut self, unit: u32, pc: u32, slot: bool) {
        self.raise(Exception::CpU, pc, slot, unit, false);
    }

    /// The exception that a failed translation causes.
    pub(crate) fn translation_exception(&mut self, fault: Fault, va: u32, access: Access, pc: u32, slot: bool) {
        self.cp0.bad_vaddr = va;
        if fault != Fault::Address {
            self.cp0.context = self.cp0.context & 0xffe0_0000 | va >> 10 & 0x001f_fffc;
            self.cp0.entry_hi = va & tlb::HI_VPN | self.cp0.entry_hi & tlb::HI_ASID;
        }
        let code = match (fault, access) {
            (Fault::Address, Access::Store) => Exception::AdES,
            (Fault::Address, _) => Exception::AdEL,
            (Fault::Modified, _) => Exception::Mod,
            (_, Access::Store) => Exception::TlbS,
            (_, _) => Exception::TlbL,
        };
        let refill = fault == Fault::Miss && va < 0x8000_0000;
        self.raise(code, pc, slot, 0, refill);
    }

    /// Translates an address as the CPU would now; finds duplicates by shutting the TLB down, as the R3000 does.
    pub(crate) fn translate(&mut self, va: u32, access: Access) -> Result<Physical, Fault> {
        let user = self.user_mode();
        if va >= 0x8000_0000 {
            if user {
                return Err(Fault::Address);
            }
            if va < 0xc000_0000 {
                let cached = va < 0xa000_0000;
                return Ok(Physical { pa: va & 0x1fff_ffff, cached, mapped: false, writable: true });
            }
        }
        if self.cp0.status & SR_TS != 0 {
            return Err(Fault::Miss);
        }
        let entry = match self.tlb.lookup(va, self.cp0.entry_hi) {
            Match::One(i) => self.tlb.read(i),
            Match::None => return Err(Fault::Miss),
            Match::Several => {
                self.shut_down_tlb();
                return Err(Fault::Miss);
            }
        };
        if entry.lo & tlb::LO_V == 0 {
            return Err(Fault::Invalid);
        }
        if access == Access::Store && entry.lo & tlb::LO_D == 0 {
            return Err(Fault::Modified);
        }
        Ok(Physical {
            pa: entry.lo & tlb::HI_VPN | va & 0xfff,
            cached: entry.lo & tlb::LO_N == 0,
            mapped: true,
            writable: entry.lo & tlb::LO_D != 0,
        })
    }

    /// Two entries matched: the TLB translates nothing until reset.
    fn shut_down_tlb(&mut self) {
        self.cp0.status |= SR_TS;
        self.cp0.effective |= SR_TS;
        self.forget_translations();
    }

    /// `mfc0`.
    pub(crate) fn read_cp0(&mut self, register: u32, pc: u32) -> u32 {
        match register {
            0 => self.cp0.index,
            1 => self.random() << 8,
            2 => self.cp0.entry_lo,
            4 => self.cp0.context,
            8 => self.cp0.bad_vaddr,
            10 => self.cp0.entry_hi,
            12 => self.cp0.status,
            13 => {
                self.poll(pc);
                self.cp0.cause
            }
            14 => self.cp0.epc,
            15 => self.config.profile.prid,
            _ => {
                self.violation(Rule::NotMips1, pc, || format!("mfc0 from register {register}, which does not exist"));
                0
            }
        }
    }

    /// `mtc0`.
    pub(crate) fn write_cp0(&mut self, register: u32, value: u32, pc: u32) {
        let count = self.cpu.instructions;
        self.cp0.written_at[register as usize & 15] = count;
        match register {
            0 => self.cp0.index = self.cp0.index & 0x8000_0000 | value & 0x3f00,
            2 => self.cp0.entry_lo = value & tlb::LO_MASK,
            4 => self.cp0.context = value & 0xffe0_0000 | self.cp0.context & 0x001f_fffc,
            10 => {
                let old = std::mem::replace(&mut self.cp0.entry_hi, value & tlb::HI_MASK);
                self.cp0.mapping_at = count;
                if self.config.strict || (old ^ value) & tlb::HI_ASID != 0 {
                    self.set_context();
                }
            }
            12 => {
                let old = self.cp0.status;
                let parity = old & SR_PE & !value;
                self.cp0.status = value & SR_WRITABLE | old & (SR_TS | SR_CM) | parity;
                self.cp0.effective_at = count + 2;
                if (self.cp0.status ^ self.cp0.effective) & (SR_ISC | SR_SWC) != 0 {
                    self.context = crate::memory::CONTEXT_NONE;
                }
                self.attention();
            }
            13 => {
                self.cp0.cause = self.cp0.cause & !CAUSE_SOFTWARE | value & CAUSE_SOFTWARE;
                self.check_interrupts();
            }
            1 | 8 | 14 | 15 => self.violation(Rule::Cp0ReadOnly, pc, || {
                format!("mtc0 to {}, which is read-only on the R3000", NAMES[register as usize])
            }),
            _ => self.violation(Rule::NotMips1, pc, || format!("mtc0 to register {register}, which does not exist")),
        }
    }

    /// Stops a strict run if the instruction just before a TLB instruction wrote Index, EntryLo or EntryHi.
    pub(crate) fn check_tlb_setup(&mut self, what: &str, pc: u32) {
        if !self.config.strict {
            return;
        }
        for register in [0, 2, 10] {
            if self.cp0.written_at[register].wrapping_add(1) == self.cpu.instructions {
                self.violation(Rule::TlbSetup, pc, || {
                    format!("{what} right after mtc0 to {}: one instruction must lie between", NAMES[register])
                });
            }
        }
    }

    /// Stops a strict run if something is used while an `mtc0` to Status that changes what it obeys is still on its way.
    pub(crate) fn check_status_distance(&mut self, bits: u32, what: &str, pc: u32) {
        if self.config.strict && (self.cp0.status ^ self.cp0.effective) & bits != 0 {
            self.violation(Rule::StatusChange, pc, || {
                format!("{what} within two instructions after the mtc0 to Status that it depends on")
            });
        }
    }

    /// Stops a strict run if `mtc0` wrote Status less than two instructions before this one.
    pub(crate) fn check_status_written(&mut self, what: &str, pc: u32) {
        if self.cpu.instructions.wrapping_sub(self.cp0.written_at[12]) <= 2 {
            self.violation(Rule::StatusChange, pc, || format!("{what} within two instructions after mtc0 to Status"));
        }
    }

    /// `tlbr`.
    pub(crate) fn tlb_read(&mut self, pc: u32) {
        self.check_tlb_setup("tlbr", pc);
        let entry = self.tlb.read(self.cp0.index as usize >> 8 & 63);
        let asid_changes = (entry.hi ^ self.cp0.entry_hi) & tlb::HI_ASID != 0;
        self.cp0.entry_hi = entry.hi;
        self.cp0.entry_lo = entry.lo;
        if asid_changes {
            self.set_context();
        }
    }

    /// `tlbwi` and `tlbwr`.
    pub(crate) fn tlb_write(&mut self, index: u32, pc: u32) {
        let index = index as usize & 63;
        let entry = TlbEntry { hi: self.cp0.entry_hi, lo: self.cp0.entry_lo };
        let old = self.tlb.write(index, entry);
        self.forget_page(old.hi);
        self.forget_page(entry.hi);
        self.cp0.mapping_at = self.cpu.instructions;
        if self.config.strict {
            self.set_context();
        }
        if self.config.strict
            && let Some(other) = self.tlb.conflict(index)
        {
            self.violation(Rule::TlbDuplicate, pc, || {
                format!(
                    "TLB entries {other} and {index} both match page {:08x} (address space {})",
                    entry.hi & tlb::HI_VPN,
                    (entry.hi & tlb::HI_ASID) >> 6
                )
            });
        }
    }

    /// `tlbp`.
    pub(crate) fn tlb_probe(&mut self, pc: u32) {
        self.check_tlb_setup("tlbp", pc);
        self.cp0.index = match self.tlb.lookup(self.cp0.entry_hi, self.cp0.entry_hi) {
            Match::One(i) => (i as u32) << 8,
            Match::None => 0x8000_0000,
            Match::Several => {
                self.shut_down_tlb();
                0x8000_0000
            }
        };
    }

    /// `rfe`: pops the stack of modes; effective with the next fetch.
    pub(crate) fn return_from_exception(&mut self, slot: bool, pc: u32) {
        if self.config.strict && !(slot && self.peek_word(self.cpu.last_branch).is_none_or(is_jr)) {
            self.violation(Rule::Rfe, pc, || "rfe outside the delay slot of a jr".into());
        }
        self.check_status_written("rfe", pc);
        let status = self.cp0.status;
        self.cp0.status = status & !0xf | status >> 2 & 0xf;
        self.settle_status();
    }
}

/// Whether an instruction is `jr`.
fn is_jr(word: u32) -> bool {
    word & 0xfc00_003f == 8
}
