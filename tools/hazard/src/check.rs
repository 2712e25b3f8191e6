//! The rules applied to code.

use mips1::{Cp0, Instruction, Opcode, Register};

use crate::code::{Code, Next, Step, Word};
use crate::{Finding, Options, Rule, mips32};

/// Checks code that is not in an ELF file: `words`, to be executed at address `base`.
///
/// All of it must be code, and it may jump only within itself or by register. What follows its last word is unknown.
///
/// # Panics
///
/// If `base` is not a multiple of four, or the code would wrap around the end of the address space.
pub fn check_code(base: u32, words: &[u32], options: &Options) -> Vec<Finding> {
    assert!(base.is_multiple_of(4), "code at {base:#x} is not aligned");
    assert!(words.len() as u64 * 4 <= (1 << 32) - u64::from(base), "code at {base:#x} wraps around");
    let mut code = Code::default();
    code.add_section(base, words.iter().copied());
    check(&code, options)
}

/// Checks all code, and gives the findings by ascending address, each once.
pub fn check(code: &Code, options: &Options) -> Vec<Finding> {
    let mut checker = Checker { code, options, findings: Vec::new() };
    for (address, word) in code.words() {
        match word {
            Word::Instruction(instruction) => checker.check_instruction(address, instruction),
            Word::Invalid(word) if options.mips32_kernel && mips32::allows(word) => {}
            Word::Invalid(word) => {
                checker.report(Rule::NotMips1, address, &[address], format!("{word:#010x} is no MIPS I instruction"));
            }
            Word::Data => {}
        }
    }
    let mut findings = checker.findings;
    findings.sort_by(|a, b| (a.address, a.rule, &a.instructions).cmp(&(b.address, b.rule, &b.instructions)));
    findings.dedup();
    findings
}

struct Checker<'a> {
    code: &'a Code,
    options: &'a Options,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn check_instruction(&mut self, address: u32, instruction: Instruction) {
        self.check_registers(address, instruction);
        if instruction.has_delay_slot() {
            self.check_jump(address, instruction);
        }
        for step in self.code.steps(address) {
            if instruction.opcode() == Opcode::Rfe {
                self.check_rfe(step);
            }
            let waits = |pending: &Pending| matches!(pending, Pending::Load { .. } | Pending::HiLo);
            let interlocked = |pending: &Pending| self.options.mips32_kernel && waits(pending);
            for pending in Pending::after(instruction).into_iter().filter(|pending| !interlocked(pending)) {
                self.follow(pending, vec![step]);
            }
        }
    }

    /// What an instruction may use, wherever it stands.
    fn check_registers(&mut self, address: u32, instruction: Instruction) {
        if let Some(register) = instruction.cp0_read().or(instruction.cp0_written())
            && register.name().is_none()
            && !self.options.mips32_kernel
        {
            self.report(
                Rule::NotMips1,
                address,
                &[address],
                format!("the R3000 has no coprocessor 0 register {register}"),
            );
        }
        if instruction.coprocessor() == Some(1) && !self.options.fpu {
            self.report(Rule::Fpu, address, &[address], "this needs a floating-point unit".into());
        }
        if self.options.user {
            if instruction.coprocessor() == Some(0) {
                self.report(Rule::Privileged, address, &[address], "user mode cannot use coprocessor 0".into());
            }
            let used = instruction.reads() | instruction.writes();
            for register in [Register::K0, Register::K1] {
                if used.contains(register) && !self.code.is_restartable(address) {
                    self.report(
                        Rule::KernelRegisters,
                        address,
                        &[address],
                        format!("{register} does not survive an exception"),
                    );
                }
            }
        }
    }

    fn check_jump(&mut self, address: u32, jump: Instruction) {
        let slot = address.wrapping_add(4);
        match self.code.word(slot) {
            Some(Word::Instruction(instruction)) if instruction.has_delay_slot() => {
                self.report(Rule::JumpInSlot, address, &[address, slot], "the delay slot holds another jump".into());
            }
            Some(Word::Invalid(mips32::ERET)) if self.options.mips32_kernel => {
                self.report(Rule::JumpInSlot, address, &[address, slot], "the delay slot holds an eret".into());
            }
            Some(Word::Instruction(_) | Word::Invalid(_)) => {}
            Some(Word::Data) | None => {
                self.report(Rule::SlotMissing, address, &[address], "no code is at the delay slot".into());
            }
        }
        if let Some(target) = jump.target(address)
            && !matches!(self.code.word(target), Some(Word::Instruction(_) | Word::Invalid(_)))
        {
            self.report(Rule::Target, address, &[address], format!("no code is at {target:#010x}"));
        }
    }

    fn check_rfe(&mut self, step: Step) {
        if self.options.mips32_kernel {
            self.report_path(Rule::Rfe, &[step], "MIPS32 has no rfe".into());
            return;
        }
        let jump = step.jump.and_then(|jump| self.code.instruction(jump));
        if jump.is_none_or(|jump| jump.opcode() != Opcode::Jr) {
            self.report_path(Rule::Rfe, &[step], "rfe is executed here without a jr before it".into());
        }
    }

    /// Follows all paths that begin with `path` for as long as its first step leaves something pending.
    fn follow(&mut self, pending: Pending, path: Vec<Step>) {
        let last = path[path.len() - 1];
        for next in self.code.next(last) {
            match next {
                Next::Unknown => {
                    let message = format!("{}, and what is executed next is unknown", pending.state());
                    self.report_path(pending.rule(), &path, message);
                }
                Next::Step(step) => {
                    let mut path = path.clone();
                    path.push(step);
                    let Some(instruction) = self.code.instruction(step.address) else { continue };
                    if pending.hurts(instruction) {
                        let message = format!("{} when {} is executed", pending.state(), instruction.at(step.address));
                        self.report_path(pending.rule(), &path, message);
                    } else if path.len() <= pending.duration() {
                        self.follow(pending, path);
                    }
                }
            }
        }
    }

    /// Reports steps; where the first is a delay slot, its jump is shown too.
    fn report_path(&mut self, rule: Rule, path: &[Step], message: String) {
        let jump = path[0].jump.into_iter();
        let involved: Vec<u32> = jump.chain(path.iter().map(|step| step.address)).collect();
        self.report(rule, path[0].address, &involved, message);
    }

    fn report(&mut self, rule: Rule, address: u32, involved: &[u32], message: String) {
        if self.options.except.contains(&rule) {
            return;
        }
        let instructions = involved.iter().map(|&address| {
            let word = match self.code.word(address) {
                Some(Word::Instruction(instruction)) => instruction.word(),
                Some(Word::Invalid(word)) => word,
                Some(Word::Data) | None => 0,
            };
            (address, word)
        });
        self.findings.push(Finding {
            address,
            rule,
            instructions: instructions.collect(),
            function: None,
            location: None,
            message,
        });
    }
}

/// What an executed instruction leaves unfinished for the instructions that follow.
#[derive(Clone, Copy)]
enum Pending {
    /// A register receives its value one instruction late.
    Load { register: Register, from_memory: bool },
    /// HI or LO is still needed, in case the read is executed again.
    HiLo,
    /// A register that the TLB reads has not changed yet.
    TlbSetup,
    /// Translation still uses the old mapping.
    MappingChange,
    /// Mode and coprocessors are still the old ones.
    StatusChange,
}

impl Pending {
    /// What `instruction` leaves unfinished.
    fn after(instruction: Instruction) -> Vec<Self> {
        let mut pending = Vec::new();
        if let Some(register) = instruction.loads()
            && register != Register::ZERO
        {
            pending.push(Self::Load { register, from_memory: instruction.memory().is_some() });
        }
        if instruction.reads_hi_lo() {
            pending.push(Self::HiLo);
        }
        let written = instruction.cp0_written();
        if matches!(written, Some(Cp0::INDEX | Cp0::ENTRY_HI | Cp0::ENTRY_LO)) {
            pending.push(Self::TlbSetup);
        }
        if written == Some(Cp0::ENTRY_HI) || matches!(instruction.opcode(), Opcode::Tlbwi | Opcode::Tlbwr) {
            pending.push(Self::MappingChange);
        }
        if written == Some(Cp0::STATUS) {
            pending.push(Self::StatusChange);
        }
        pending
    }

    /// Whether `instruction`, executed while this is pending, goes wrong.
    fn hurts(self, instruction: Instruction) -> bool {
        match self {
            Self::Load { register, from_memory } => {
                // `lwl` and `lwr` get the value of a preceding load forwarded, but only for the merge.
                let merges = matches!(instruction.opcode(), Opcode::Lwl | Opcode::Lwr) && instruction.rs() != register;
                instruction.reads().contains(register) && !(merges && from_memory)
            }
            Self::HiLo => instruction.writes_hi_lo(),
            Self::TlbSetup => {
                matches!(instruction.opcode(), Opcode::Tlbr | Opcode::Tlbwi | Opcode::Tlbwr | Opcode::Tlbp)
            }
            Self::MappingChange => {
                instruction.memory().is_some() && instruction.rs() == Register::ZERO && instruction.offset() >= 0
            }
            Self::StatusChange => match instruction.opcode() {
                Opcode::Rfe | Opcode::Bc0f | Opcode::Bc0t => true,
                _ => matches!(instruction.coprocessor(), Some(1..=3)),
            },
        }
    }

    /// For how many instructions it is pending.
    fn duration(self) -> usize {
        match self {
            Self::Load { .. } | Self::TlbSetup => 1,
            Self::HiLo | Self::MappingChange | Self::StatusChange => 2,
        }
    }

    fn rule(self) -> Rule {
        match self {
            Self::Load { .. } => Rule::LoadDelay,
            Self::HiLo => Rule::HiLo,
            Self::TlbSetup => Rule::TlbSetup,
            Self::MappingChange => Rule::MappingChange,
            Self::StatusChange => Rule::StatusChange,
        }
    }

    /// What is the case while it is pending.
    fn state(self) -> String {
        match self {
            Self::Load { register, .. } => format!("{register} has not arrived yet"),
            Self::HiLo => "HI and LO may still be read again".into(),
            Self::TlbSetup => "the TLB does not see the new value yet".into(),
            Self::MappingChange => "the new mapping is not in force yet".into(),
            Self::StatusChange => "the new Status is not in force yet".into(),
        }
    }
}
