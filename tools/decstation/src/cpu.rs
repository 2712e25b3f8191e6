//! The interpreter: every R3000 instruction, with its delay slots.
//!
//! One loop, compiled for each combination of timed, strict and instrumented. A load's value waits for one instruction
//! before it reaches its register; a branch sets the address after the next.

use crate::cache::index_of;
use crate::cp0::{Exception, NEVER, SR_CU0, SR_KUC};
use crate::fpu::Effect;
use crate::insn::{NOWHERE, Op};
use crate::instruments::{Mark, Passage, Stall, Step};
use crate::machine::{Machine, Stop};
use crate::strict::Rule;
use borsh::{BorshDeserialize, BorshSerialize};

/// The pipeline's registers.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub(crate) struct Cpu {
    /// General registers; 32 is [`NOWHERE`], the rest makes every byte a valid index.
    pub(crate) regs: [u32; 256],
    pub(crate) hi: u32,
    pub(crate) lo: u32,
    /// The instruction to execute next, and the one after it.
    pub(crate) pc: u32,
    pub(crate) next_pc: u32,
    /// The load in flight.
    load_to: u8,
    load_value: u32,
    /// Instructions executed, with those that raised an exception.
    pub(crate) instructions: u64,
    /// Cycles that were not instructions.
    pub(crate) stalls: u64,
    /// The instruction count at which the loop must look up.
    pub(crate) deadline: u64,
    /// The instruction count of the last branch: the next instruction is in its slot.
    branch_at: u64,
    /// Its address.
    pub(crate) last_branch: u32,
    /// When HI or LO was last read, for strict mode.
    hilo_read_at: u64,
    /// The cycle at which HI and LO are ready.
    hilo_ready: u64,
    /// When a coprocessor register was last read, for strict mode.
    moved_at: u64,
}

impl Cpu {
    pub(crate) fn new(pc: u32) -> Cpu {
        Cpu {
            regs: [0; 256],
            hi: 0,
            lo: 0,
            pc,
            next_pc: pc.wrapping_add(4),
            load_to: NOWHERE,
            load_value: 0,
            instructions: 0,
            stalls: 0,
            deadline: 0,
            branch_at: NEVER,
            last_branch: 0,
            hilo_read_at: NEVER,
            hilo_ready: 0,
            moved_at: NEVER,
        }
    }

    /// Starts at an address, outside any delay slot.
    pub(crate) fn jump(&mut self, pc: u32) {
        self.pc = pc;
        self.next_pc = pc.wrapping_add(4);
        self.branch_at = NEVER;
    }

    /// The load in flight reaches its register.
    #[inline(always)]
    pub(crate) fn commit_load(&mut self) {
        self.regs[self.load_to as usize] = self.load_value;
        self.load_to = NOWHERE;
    }

    /// A general register as the next instruction but one sees it: with the load in flight.
    pub(crate) fn landed(&self, register: usize) -> u32 {
        if usize::from(self.load_to) == register { self.load_value } else { self.regs[register & 31] }
    }

    /// The load in flight to this register, if there is one, is lost.
    pub(crate) fn cancel_load(&mut self, register: usize) {
        if usize::from(self.load_to) == register {
            self.load_to = NOWHERE;
        }
    }

    /// Whether the instruction being executed is in a delay slot.
    pub(crate) fn in_slot(&self) -> bool {
        self.branch_at + 1 == self.instructions
    }

    /// Whether the instruction to be executed next is in a delay slot.
    pub(crate) fn next_in_slot(&self) -> bool {
        self.branch_at == self.instructions
    }

    /// The cycle in which the instruction being executed began.
    pub(crate) fn now(&self) -> u64 {
        (self.instructions + self.stalls).saturating_sub(1)
    }
}

impl Machine {
    /// Accounts for cycles in which the CPU stands still.
    #[inline(always)]
    pub(crate) fn stall(&mut self, kind: Stall, cycles: u64) {
        self.counts.stalls.add(kind, cycles);
        self.cpu.stalls += cycles;
        // The deadline counts instructions; standing still brings events nearer.
        self.cpu.deadline = self.cpu.deadline.saturating_sub(cycles);
    }

    /// Makes the loop look up before the next instruction.
    pub(crate) fn attention(&mut self) {
        self.cpu.deadline = 0;
    }

    /// Runs until something stops the machine.
    pub(crate) fn execute<const TIMED: bool, const STRICT: bool, const HOOKS: bool>(&mut self) -> Stop {
        'run: loop {
            if self.cpu.instructions >= self.cpu.deadline
                && let Some(stop) = self.service::<TIMED>()
            {
                return stop;
            }
            if HOOKS && let Some(stop) = self.break_here() {
                return stop;
            }
            let pc = self.cpu.pc;
            let mut word = 0;
            let insn = 'fetch: {
                if (pc ^ self.fetch_page) & !0xffc == 0 {
                    let slot = &self.caches.code[(self.fetch_base | index_of(pc & 0xffc)) & (crate::cache::WORDS - 1)];
                    if slot.tag == self.fetch_tag {
                        if HOOKS || STRICT {
                            word = slot.data;
                        }
                        break 'fetch slot.insn;
                    }
                }
                match self.fetch_slowly::<TIMED, STRICT>(pc) {
                    Some(slot) => {
                        word = slot.data;
                        slot.insn
                    }
                    None => {
                        if TIMED {
                            self.stall(Stall::Exception, self.config.profile.exception.into());
                        }
                        continue 'run;
                    }
                }
            };
            if STRICT {
                self.word = Some(word);
            }
            let a = self.cpu.regs[insn.s1 as usize];
            let b = self.cpu.regs[insn.s2 as usize];
            if STRICT
                && (insn.s1 == self.cpu.load_to
                    || insn.s2 == self.cpu.load_to
                    // A partial load merges with a load in flight, but not with a move from a coprocessor.
                    || self.cpu.moved_at == self.cpu.instructions
                        && insn.d == self.cpu.load_to
                        && matches!(insn.op, Op::Lwl | Op::Lwr))
            {
                let register = self.cpu.load_to;
                self.cpu.instructions += 1;
                self.violation(Rule::LoadDelay, pc, || {
                    format!("${register} is read in the delay slot of the instruction that loads it")
                });
                self.cpu.instructions -= 1;
            }
            self.cpu.commit_load();
            if HOOKS {
                self.observe(pc, word, a.wrapping_add(insn.imm), insn.op);
            }
            self.cpu.pc = self.cpu.next_pc;
            self.cpu.next_pc = self.cpu.pc.wrapping_add(4);
            self.cpu.instructions += 1;

            macro_rules! set {
                ($value:expr) => {
                    self.cpu.regs[insn.d as usize] = $value
                };
            }
            macro_rules! raise {
                ($code:expr) => {{
                    let slot = self.cpu.in_slot();
                    self.exception($code, pc, slot);
                    if TIMED {
                        self.lost_to_exception();
                    }
                    continue;
                }};
            }
            macro_rules! load {
                ($size:expr, $value:ident => $extend:expr) => {{
                    let va = a.wrapping_add(insn.imm);
                    let bytes = ((1 << $size) - 1) << (va & (4 - $size));
                    match self.load::<TIMED, STRICT>(va, va, $size, bytes, pc) {
                        Some($value) => {
                            self.cpu.load_to = insn.d;
                            self.cpu.load_value = $extend;
                        }
                        None => {
                            if TIMED {
                                self.lost_to_exception();
                            }
                        }
                    }
                }};
            }
            macro_rules! store {
                ($va:expr, $address:expr, $size:expr, $value:expr, $bytes:expr) => {{
                    if !self.store::<TIMED, STRICT>($va, $address, $size, $value, $bytes, pc) && TIMED {
                        self.lost_to_exception();
                    }
                }};
            }
            macro_rules! branch {
                ($taken:expr) => {{
                    let taken = $taken;
                    if STRICT {
                        self.check_branch(pc);
                    }
                    self.cpu.branch_at = self.cpu.instructions;
                    self.cpu.last_branch = pc;
                    if taken {
                        self.cpu.next_pc = self.cpu.pc.wrapping_add(insn.imm);
                    }
                }};
            }
            macro_rules! jump {
                ($target:expr) => {{
                    let target = $target;
                    if STRICT {
                        self.check_branch(pc);
                    }
                    self.cpu.branch_at = self.cpu.instructions;
                    self.cpu.last_branch = pc;
                    self.cpu.next_pc = target;
                }};
            }
            macro_rules! hilo {
                ($cycles:expr, $hi:expr, $lo:expr) => {{
                    if STRICT {
                        self.check_hilo(pc);
                    }
                    self.cpu.hi = $hi;
                    self.cpu.lo = $lo;
                    if TIMED {
                        self.cpu.hilo_ready = self.cpu.now() + u64::from($cycles);
                    }
                }};
            }
            macro_rules! read_hilo {
                ($value:expr) => {{
                    if TIMED {
                        let wait = self.cpu.hilo_ready.saturating_sub(self.cpu.now());
                        self.stall(Stall::MultiplyDivide, wait);
                    }
                    if STRICT {
                        self.cpu.hilo_read_at = self.cpu.instructions;
                    }
                    set!($value)
                }};
            }
            macro_rules! privileged {
                () => {
                    if !self.cp0_usable() {
                        let slot = self.cpu.in_slot();
                        self.unusable(0, pc, slot);
                        if TIMED {
                            self.lost_to_exception();
                        }
                        continue;
                    }
                };
            }

            match insn.op {
                Op::Addu => set!(a.wrapping_add(b)),
                Op::Addiu => set!(a.wrapping_add(insn.imm)),
                Op::Subu => set!(a.wrapping_sub(b)),
                Op::And => set!(a & b),
                Op::Andi => set!(a & insn.imm),
                Op::Or => set!(a | b),
                Op::Ori => set!(a | insn.imm),
                Op::Xor => set!(a ^ b),
                Op::Xori => set!(a ^ insn.imm),
                Op::Nor => set!(!(a | b)),
                Op::Lui => set!(insn.imm),
                Op::Slt => set!(((a as i32) < b as i32).into()),
                Op::Sltu => set!((a < b).into()),
                Op::Slti => set!(((a as i32) < insn.imm as i32).into()),
                Op::Sltiu => set!((a < insn.imm).into()),
                Op::Sll => set!(b << (insn.imm & 31)),
                Op::Srl => set!(b >> (insn.imm & 31)),
                Op::Sra => set!((b as i32 >> (insn.imm & 31)) as u32),
                Op::Sllv => set!(b << (a & 31)),
                Op::Srlv => set!(b >> (a & 31)),
                Op::Srav => set!((b as i32 >> (a & 31)) as u32),
                Op::Add => match (a as i32).checked_add(b as i32) {
                    Some(sum) => set!(sum as u32),
                    None => raise!(Exception::Ov),
                },
                Op::Addi => match (a as i32).checked_add(insn.imm as i32) {
                    Some(sum) => set!(sum as u32),
                    None => raise!(Exception::Ov),
                },
                Op::Sub => match (a as i32).checked_sub(b as i32) {
                    Some(difference) => set!(difference as u32),
                    None => raise!(Exception::Ov),
                },

                Op::Lw => load!(4, value => value),
                Op::Lbu => load!(1, value => value),
                Op::Lb => load!(1, value => value as u8 as i8 as u32),
                Op::Lhu => load!(2, value => value),
                Op::Lh => load!(2, value => value as u16 as i16 as u32),
                Op::Lwl => {
                    let va = a.wrapping_add(insn.imm);
                    let shift = 24 - (va & 3) * 8;
                    let old = self.cpu.regs[insn.d as usize];
                    let bytes = 0xf >> (3 - (va & 3));
                    match self.load::<TIMED, STRICT>(va, va & !3, 4, bytes, pc) {
                        Some(word) => {
                            self.cpu.load_to = insn.d;
                            self.cpu.load_value = word << shift | old & !(!0 << shift);
                        }
                        None if TIMED => self.lost_to_exception(),
                        None => {}
                    }
                }
                Op::Lwr => {
                    let va = a.wrapping_add(insn.imm);
                    let shift = (va & 3) * 8;
                    let old = self.cpu.regs[insn.d as usize];
                    let bytes = 0xf << (va & 3) & 0xf;
                    match self.load::<TIMED, STRICT>(va, va & !3, 4, bytes, pc) {
                        Some(word) => {
                            self.cpu.load_to = insn.d;
                            self.cpu.load_value = word >> shift | old & !(!0 >> shift);
                        }
                        None if TIMED => self.lost_to_exception(),
                        None => {}
                    }
                }
                Op::Sw => {
                    let va = a.wrapping_add(insn.imm);
                    store!(va, va, 4, b, 0xf)
                }
                Op::Sh => {
                    let va = a.wrapping_add(insn.imm);
                    store!(va, va, 2, b << ((va & 2) * 8), 3 << (va & 2))
                }
                Op::Sb => {
                    let va = a.wrapping_add(insn.imm);
                    store!(va, va, 1, b << ((va & 3) * 8), 1 << (va & 3))
                }
                Op::Swl => {
                    let va = a.wrapping_add(insn.imm);
                    let spare = 3 - (va & 3);
                    store!(va, va & !3, 4, b >> (spare * 8), 0xf >> spare)
                }
                Op::Swr => {
                    let va = a.wrapping_add(insn.imm);
                    let skip = va & 3;
                    store!(va, va & !3, 4, b << (skip * 8), 0xf << skip & 0xf)
                }

                Op::Beq => branch!(a == b),
                Op::Bne => branch!(a != b),
                Op::Blez => branch!(a as i32 <= 0),
                Op::Bgtz => branch!(a as i32 > 0),
                Op::Bltz => branch!((a as i32) < 0),
                Op::Bgez => branch!(a as i32 >= 0),
                Op::Bltzal => {
                    let link = self.cpu.next_pc;
                    branch!((a as i32) < 0);
                    set!(link)
                }
                Op::Bgezal => {
                    let link = self.cpu.next_pc;
                    branch!(a as i32 >= 0);
                    set!(link)
                }
                Op::J => jump!(self.cpu.pc & 0xf000_0000 | insn.imm),
                Op::Jal => {
                    let link = self.cpu.next_pc;
                    jump!(self.cpu.pc & 0xf000_0000 | insn.imm);
                    set!(link)
                }
                Op::Jr => jump!(a),
                Op::Jalr => {
                    let link = self.cpu.next_pc;
                    if STRICT && insn.d == insn.s1 {
                        self.violation(Rule::JalrSameRegister, pc, || "jalr with equal registers".into());
                    }
                    jump!(a);
                    set!(link)
                }

                Op::Mult => {
                    let product = i64::from(a as i32) * i64::from(b as i32);
                    hilo!(self.config.profile.mult, (product >> 32) as u32, product as u32)
                }
                Op::Multu => {
                    let product = u64::from(a) * u64::from(b);
                    hilo!(self.config.profile.mult, (product >> 32) as u32, product as u32)
                }
                Op::Div => {
                    let (a, b) = (a as i32, b as i32);
                    // What the divider leaves when there is no quotient is fixed, if useless.
                    let (quotient, remainder) = match b {
                        0 => (if a < 0 { 1 } else { -1 }, a),
                        _ => (a.wrapping_div(b), a.wrapping_rem(b)),
                    };
                    hilo!(self.config.profile.div, remainder as u32, quotient as u32)
                }
                Op::Divu => {
                    let quotient = a.checked_div(b).unwrap_or(!0);
                    let remainder = a.checked_rem(b).unwrap_or(a);
                    hilo!(self.config.profile.div, remainder, quotient)
                }
                Op::Mfhi => read_hilo!(self.cpu.hi),
                Op::Mflo => read_hilo!(self.cpu.lo),
                Op::Mthi => {
                    if STRICT {
                        self.check_hilo(pc);
                    }
                    self.cpu.hi = a;
                }
                Op::Mtlo => {
                    if STRICT {
                        self.check_hilo(pc);
                    }
                    self.cpu.lo = a;
                }

                Op::Syscall => raise!(Exception::Sys),
                Op::Break => raise!(Exception::Bp),
                Op::Mark => self.mark(insn.imm as u16, pc),

                Op::Mfc0 => {
                    privileged!();
                    self.cpu.load_value = self.read_cp0(insn.imm, pc);
                    self.cpu.load_to = insn.d;
                    self.cpu.moved_at = self.cpu.instructions;
                }
                Op::Mtc0 => {
                    privileged!();
                    self.write_cp0(insn.imm, b, pc);
                }
                Op::Tlbr => {
                    privileged!();
                    self.tlb_read(pc);
                }
                Op::Tlbwi => {
                    privileged!();
                    self.check_tlb_setup("tlbwi", pc);
                    self.tlb_write(self.cp0.index >> 8, pc);
                }
                Op::Tlbwr => {
                    privileged!();
                    self.check_tlb_setup("tlbwr", pc);
                    self.tlb_write(self.random(), pc);
                }
                Op::Tlbp => {
                    privileged!();
                    self.tlb_probe(pc);
                }
                Op::Rfe => {
                    privileged!();
                    let slot = self.cpu.in_slot();
                    self.return_from_exception(slot, pc);
                }
                Op::Cop0Reserved => {
                    privileged!();
                    self.check_mips1(pc);
                    raise!(Exception::Ri)
                }
                Op::Cop | Op::CopRead => {
                    let unit = insn.imm >> 26 & 3;
                    if !self.coprocessor_usable(unit, pc) {
                        if TIMED {
                            self.lost_to_exception();
                        }
                        continue;
                    }
                    if unit == 1 && self.fpu.is_some() {
                        match self.float::<TIMED, STRICT>(insn.imm, b, pc) {
                            Effect::None => {}
                            Effect::Read(value) => {
                                self.cpu.load_to = insn.d;
                                self.cpu.load_value = value;
                                self.cpu.moved_at = self.cpu.instructions;
                            }
                            Effect::Exception => {
                                if TIMED {
                                    self.lost_to_exception();
                                }
                            }
                        }
                    } else if insn.op == Op::CopRead {
                        self.cpu.load_to = insn.d;
                        self.cpu.load_value = 0;
                        self.cpu.moved_at = self.cpu.instructions;
                    }
                }
                Op::CopBranch => {
                    let unit = u32::from(insn.d & 3);
                    if !self.coprocessor_usable(unit, pc) {
                        if TIMED {
                            self.lost_to_exception();
                        }
                        continue;
                    }
                    // CpCond(0) is the write buffer's "empty", CpCond(1) the floating-point unit's; nothing drives the others.
                    let condition = match unit {
                        0 => !TIMED || self.write_buffer.is_empty(self.cpu.now()),
                        1 => self.float_condition::<STRICT>(pc),
                        _ => false,
                    };
                    branch!(condition == (insn.d & 4 != 0))
                }
                Op::CopLoad | Op::CopStore => {
                    let unit = u32::from(insn.d & 3);
                    if unit == 0 {
                        privileged!();
                        self.check_mips1(pc);
                        raise!(Exception::Ri)
                    }
                    if !self.coprocessor_usable(unit, pc) {
                        if TIMED {
                            self.lost_to_exception();
                        }
                        continue;
                    }
                    let va = a.wrapping_add(insn.imm);
                    let register = usize::from(insn.d >> 2);
                    if unit == 1 && self.fpu.is_some() {
                        if insn.op == Op::CopStore {
                            let value = self.float_store::<TIMED, STRICT>(register, pc);
                            store!(va, va, 4, value, 0xf)
                        } else if let Some(value) = self.load::<TIMED, STRICT>(va, va, 4, 0xf, pc) {
                            self.float_load::<TIMED>(register, value);
                        } else if TIMED {
                            self.lost_to_exception();
                        }
                    } else if insn.op == Op::CopLoad {
                        let _ = self.load::<TIMED, STRICT>(va, va, 4, 0xf, pc);
                    } else {
                        store!(va, va, 4, 0, 0xf)
                    }
                }
                Op::Prom => self.prom_call(insn.imm, pc),
                Op::Reserved => {
                    self.check_mips1(pc);
                    raise!(Exception::Ri)
                }
            }
        }
    }

    /// The cycles that an exception costs beyond its instruction's own.
    #[inline(never)]
    fn lost_to_exception(&mut self) {
        self.stall(Stall::Exception, self.config.profile.exception.saturating_sub(1).into());
    }

    fn cp0_usable(&self) -> bool {
        self.cp0.effective & (SR_KUC | SR_CU0) != SR_KUC
    }

    /// Checks that a coprocessor may be used; takes the exception if not.
    fn coprocessor_usable(&mut self, unit: u32, pc: u32) -> bool {
        self.check_status_written("coprocessor use", pc);
        if unit == 0 {
            if !self.cp0_usable() {
                let slot = self.cpu.in_slot();
                self.unusable(0, pc, slot);
                return false;
            }
            return true;
        }
        if self.cp0.effective & SR_CU0 << unit == 0 {
            let slot = self.cpu.in_slot();
            self.unusable(unit, pc, slot);
            return false;
        }
        if unit == 1 && self.fpu.is_some() {
            return true;
        }
        let rule = if unit == 1 { Rule::Fpu } else { Rule::CoprocessorAbsent };
        self.violation(rule, pc, || format!("coprocessor {unit} is enabled, but there is none"));
        true
    }

    fn check_branch(&mut self, pc: u32) {
        if self.cpu.in_slot() {
            self.violation(Rule::JumpInSlot, pc, || "a branch in a branch delay slot".into());
        }
    }

    fn check_hilo(&mut self, pc: u32) {
        if self.cpu.instructions.wrapping_sub(self.cpu.hilo_read_at) <= 2 {
            self.violation(Rule::HiLo, pc, || "HI or LO was read less than two instructions before".into());
        }
    }

    pub(crate) fn check_mips1(&mut self, pc: u32) {
        if !self.user_mode() {
            self.violation(Rule::NotMips1, pc, || "not a MIPS I instruction".into());
        }
    }

    fn mark(&mut self, id: u16, pc: u32) {
        let mark =
            Mark { id, pc, instructions: self.cpu.instructions, cycles: self.cycles(), stalls: self.counts.stalls };
        match &mut self.mark_sink {
            Some(sink) => sink(&mark),
            None => self.marks.push(mark),
        }
    }

    /// Tells the instruments about an instruction that is about to be executed.
    fn observe(&mut self, pc: u32, word: u32, address: u32, op: Op) {
        use Op::*;
        let cycles = self.cycles();
        if let Some(profile) = &mut self.hooks.profile {
            if let Some((before, began)) = self.hooks.current.replace((pc, cycles)) {
                profile.entry(before).or_default().cycles += cycles - began;
            }
            profile.entry(pc).or_default().count += 1;
        }
        if self.hooks.watched.contains(&pc) {
            let passage = Passage { pc, instructions: self.cpu.instructions, cycles, stalls: self.counts.stalls };
            self.hooks.passages.push(passage);
        }
        if self.hooks.chilled.contains(&pc) {
            self.caches.invalidate_all();
        }
        if self.hooks.tracer.is_none() {
            return;
        }
        let memory = matches!(op, Lw | Lb | Lbu | Lh | Lhu | Lwl | Lwr | Sw | Sb | Sh | Swl | Swr | CopLoad | CopStore);
        let step = Step {
            pc,
            word,
            slot: self.cpu.next_in_slot(),
            user: self.user_mode(),
            asid: (self.cp0.entry_hi >> 6 & 63) as u8,
            instructions: self.cpu.instructions,
            cycles,
            address: memory.then_some(address),
        };
        if let Some(tracer) = &mut self.hooks.tracer {
            tracer(&step);
        }
    }
}
