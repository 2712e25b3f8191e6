//! The floating-point unit, an R2010 or R3010: registers, instructions, exceptions and their time.
//!
//! An exception is an interrupt, and a precise one: EPC is the instruction's address, and no register is changed. The line stays
//! up as long as the control register shows a cause that is enabled.

use crate::cp0::{Exception, NEVER, SR_IEC};
use crate::float::{self, Format, Outcome, Rounding};
use crate::instruments::Stall;
use crate::kn02::IP_FPU;
use crate::machine::Machine;
use crate::profile::FloatTiming;
use crate::strict::Rule;
use borsh::{BorshDeserialize, BorshSerialize};

/// Control register: the result of the last comparison.
pub const CONDITION: u32 = 1 << 23;
/// Control register: the unit can't do the operation. Below it are the five causes of IEEE 754, which can be disabled.
pub const CAUSE_UNIMPLEMENTED: u32 = 1 << 17;
/// Control register: exceptions of the last operation.
const CAUSES: u32 = 0x3f << 12;
/// Control register bits that exist: condition, causes, enables, flags, rounding.
const WRITABLE: u32 = CONDITION | 0x3_ffff;

/// What can work at the same time.
#[derive(Clone, Copy)]
enum Unit {
    /// Adder, comparisons, conversions.
    Add,
    Multiply,
    Divide,
    /// None of them: moves and signs.
    None,
}

/// The unit.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Fpu {
    registers: [u32; 32],
    control: u32,
    /// The load or move in flight: register, value, and the instruction's count.
    load: Option<(usize, u32, u64)>,
    /// The condition before the instruction that last changed it, and that instruction's count.
    condition_before: bool,
    condition_at: u64,
    /// The cycles in which each register's result is there and each unit is free.
    ready: [u64; 32],
    free: [u64; 3],
}

impl Default for Fpu {
    fn default() -> Fpu {
        Fpu {
            registers: [0; 32],
            control: 0,
            load: None,
            condition_before: false,
            condition_at: NEVER,
            ready: [0; 32],
            free: [0; 3],
        }
    }
}

impl Fpu {
    /// A register; a load in flight has not reached it. Doubles have their low half in the even register.
    pub fn register(&self, index: usize) -> u32 {
        self.registers[index & 31]
    }

    /// The control and status register, FCR31.
    pub fn control(&self) -> u32 {
        self.control
    }

    /// The interrupt line.
    pub fn interrupt(&self) -> bool {
        self.control & (CAUSE_UNIMPLEMENTED | self.control << 5 & CAUSES) != 0
    }

    /// What is in flight arrives: the CPU's pipeline is emptied.
    pub(crate) fn settle(&mut self) {
        self.settle_load();
        self.condition_at = NEVER;
    }

    /// The load in flight arrives behind the instruction in its slot.
    fn settle_load(&mut self) {
        if let Some((register, value, _)) = self.load.take() {
            self.registers[register] = value;
        }
    }

    /// Lets a load arrive that the instruction with this count is too late to miss.
    fn arrive(&mut self, count: u64) {
        if let Some((register, value, at)) = self.load
            && at + 1 < count
        {
            self.registers[register] = value;
            self.load = None;
        }
    }

    fn value(&self, format: Format, register: usize) -> u64 {
        match format {
            Format::Single => self.registers[register].into(),
            Format::Double => u64::from(self.registers[register | 1]) << 32 | u64::from(self.registers[register & !1]),
        }
    }

    fn set(&mut self, format: Format, register: usize, bits: u64) {
        match format {
            Format::Single => self.registers[register] = bits as u32,
            Format::Double => {
                self.registers[register & !1] = bits as u32;
                self.registers[register | 1] = (bits >> 32) as u32;
            }
        }
    }

    /// Notes that the condition changes with the instruction of this count.
    fn change_condition(&mut self, count: u64) {
        self.condition_before = self.control & CONDITION != 0;
        self.condition_at = count;
    }

    /// The cycle in which all results are there.
    fn idle(&self) -> u64 {
        self.ready.iter().chain(&self.free).copied().max().unwrap_or(0)
    }
}

/// An operation: what it does, to which registers.
#[derive(Clone, Copy)]
struct Operation {
    function: u32,
    /// The format in the instruction; None is a word.
    format: Option<Format>,
    /// The format of the result; None is a word.
    to: Option<Format>,
    first: usize,
    second: Option<usize>,
    /// Comparisons have none.
    destination: Option<usize>,
    unit: Unit,
    latency: u32,
}

/// Takes an instruction apart. None: the unit does not have it.
fn decode(word: u32, timing: &FloatTiming) -> Option<Operation> {
    use Format::*;
    let format = match word >> 21 & 31 {
        16 => Some(Single),
        17 => Some(Double),
        20 => None,
        _ => return None,
    };
    let function = word & 63;
    let double = format == Some(Double);
    let (to, unit, latency) = match (function, format) {
        (0 | 1, Some(_)) => (format, Unit::Add, timing.add),
        (2, Some(_)) => (format, Unit::Multiply, if double { timing.multiply_double } else { timing.multiply_single }),
        (3, Some(_)) => (format, Unit::Divide, if double { timing.divide_double } else { timing.divide_single }),
        (5..=7, Some(_)) => (format, Unit::None, timing.sign),
        (32, Some(Double)) => (Some(Single), Unit::Add, timing.convert),
        (33, Some(Single)) => (Some(Double), Unit::Add, timing.convert),
        (32, None) => (Some(Single), Unit::Add, timing.convert),
        (33, None) => (Some(Double), Unit::Add, timing.convert),
        (36, Some(_)) => (None, Unit::Add, timing.convert),
        (48.., Some(_)) => (format, Unit::Add, timing.compare),
        _ => return None,
    };
    let compares = function >= 48;
    Some(Operation {
        function,
        format,
        to,
        first: (word >> 11 & 31) as usize,
        second: (function <= 3 || compares).then_some((word >> 16 & 31) as usize),
        destination: (!compares).then_some((word >> 6 & 31) as usize),
        unit,
        latency,
    })
}

/// What an instruction gives to the rest of the CPU.
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// A value for a general register.
    Read(u32),
    /// It raised an exception.
    Exception,
}

impl Machine {
    /// The floating-point unit, if there is one.
    pub fn fpu(&self) -> Option<&Fpu> {
        self.fpu.as_deref()
    }

    /// The Cause bit that the unit's line sets.
    pub(crate) fn fpu_line(&self) -> u32 {
        if self.fpu.as_ref().is_some_and(|fpu| fpu.interrupt()) { IP_FPU } else { 0 }
    }

    /// Executes an instruction of coprocessor 1 other than branches, loads and stores; `value` is the general register that a
    /// move reads.
    #[inline(never)]
    pub(crate) fn float<const TIMED: bool, const STRICT: bool>(&mut self, word: u32, value: u32, pc: u32) -> Effect {
        let Some(mut fpu) = self.fpu.take() else { return Effect::None };
        let count = self.cpu.instructions;
        fpu.arrive(count);
        let register = (word >> 11 & 31) as usize;
        let mut effect = Effect::None;
        match word >> 21 & 31 {
            0 => {
                self.float_check::<STRICT>(&fpu, &[register], pc);
                self.float_wait::<TIMED>(fpu.ready[register]);
                effect = Effect::Read(fpu.registers[register]);
                fpu.settle_load();
            }
            4 => {
                self.float_wait::<TIMED>(fpu.ready[register]);
                fpu.settle_load();
                fpu.load = Some((register, value, count));
            }
            move_control @ (2 | 6) => {
                fpu.settle_load();
                // It waits until nothing is left that could change the control register.
                self.float_wait::<TIMED>(fpu.idle());
                if STRICT && register != 31 && (register != 0 || move_control == 6) {
                    self.violation(Rule::FpuRegister, pc, || {
                        format!("control register {register} does not exist or can't be written")
                    });
                }
                match (move_control, register) {
                    (2, 0) => effect = Effect::Read(self.config.profile.fpu_identity),
                    (2, 31) => effect = Effect::Read(fpu.control),
                    (2, _) => effect = Effect::Read(0),
                    (_, 31) => {
                        fpu.change_condition(count);
                        fpu.control = value & WRITABLE;
                    }
                    _ => {}
                }
            }
            _ => {
                if self.float_operation::<TIMED, STRICT>(&mut fpu, word, pc) {
                    effect = Effect::Exception;
                }
            }
        }
        self.fpu = Some(fpu);
        // Others must find the line in Cause at once; it is looked at before the next instruction.
        let line = self.fpu_line();
        if self.cp0.cause & IP_FPU != line {
            self.cp0.cause = self.cp0.cause & !IP_FPU | line;
            self.attention();
        }
        if matches!(effect, Effect::Exception) {
            if self.cp0.effective & (SR_IEC | IP_FPU) == SR_IEC | IP_FPU {
                let slot = self.cpu.in_slot();
                self.exception(Exception::Int, pc, slot);
            } else {
                // Nobody listens: the instruction has no result, the line waits.
                effect = Effect::None;
            }
        }
        effect
    }

    /// Does an operation; true if it raised an exception that is enabled.
    fn float_operation<const TIMED: bool, const STRICT: bool>(&mut self, fpu: &mut Fpu, word: u32, pc: u32) -> bool {
        let Some(operation) = decode(word, &self.config.profile.float) else {
            fpu.settle_load();
            if STRICT {
                self.check_mips1(pc);
            }
            fpu.control = fpu.control & !CAUSES | CAUSE_UNIMPLEMENTED;
            return true;
        };
        let Operation { function, format, to, first, second, destination, .. } = operation;
        if STRICT {
            let odd = [Some(first), second, destination].into_iter().flatten().find(|register| register & 1 != 0);
            if let Some(register) = odd {
                self.violation(Rule::FpuRegister, pc, || {
                    format!("arithmetic on $f{register}: only even registers have numbers")
                });
            }
        }
        // A number's register is even; the lowest bit is not looked at.
        let (first, second) = (first & !1, second.map(|register| register & !1));
        let destination = destination.map(|register| register & !1);
        let wide = |format: Option<Format>| usize::from(format == Some(Format::Double));
        let last = wide(format);
        let sources = [first, first | last, second.unwrap_or(first), second.unwrap_or(first) | last];
        self.float_check::<STRICT>(fpu, &sources, pc);
        let read = |register| fpu.value(format.unwrap_or(Format::Single), register);
        let (a, b) = (read(first), second.map_or(0, read));
        fpu.settle_load();
        if TIMED {
            let unit = operation.unit as usize;
            let mut start = fpu.free.get(unit).copied().unwrap_or(0);
            for register in
                sources.into_iter().chain(destination.map(|register| register | wide(to))).chain(destination)
            {
                start = start.max(fpu.ready[register]);
            }
            self.float_wait::<TIMED>(start);
            let done = self.cpu.now() + u64::from(operation.latency);
            if let Some(free) = fpu.free.get_mut(unit) {
                *free = done;
            }
            if let Some(register) = destination {
                fpu.ready[register] = done;
                fpu.ready[register | wide(to)] = done;
            }
        }
        if function == 6 {
            // A move looks at nothing.
            if let (Some(format), Some(register)) = (to, destination) {
                fpu.set(format, register, a);
            }
            return false;
        }

        let mode = Rounding::from_bits(fpu.control);
        let mut condition = false;
        let Outcome { bits, exceptions } = match (format, function) {
            (Some(format), 0) => float::add(format, mode, a, b),
            (Some(format), 1) => float::subtract(format, mode, a, b),
            (Some(format), 2) => float::multiply(format, mode, a, b),
            (Some(format), 3) => float::divide(format, mode, a, b),
            (Some(format), 5 | 7) => float::change_sign(format, a, function == 7),
            (Some(format), 48..) => {
                let (holds, exceptions) = float::compare(format, function, a, b);
                condition = holds;
                Outcome { bits: 0, exceptions }
            }
            (from, _) => match (from, to) {
                (Some(from), Some(to)) => float::convert(from, to, mode, a),
                (Some(from), None) => float::to_word(from, mode, a),
                (None, to) => float::from_word(to.unwrap_or(Format::Single), mode, a as u32),
            },
        };
        fpu.control = fpu.control & !CAUSES | exceptions << 12;
        if fpu.interrupt() {
            return true;
        }
        fpu.control |= exceptions << 2;
        match destination {
            Some(register) => fpu.set(to.unwrap_or(Format::Single), register, bits),
            None => {
                fpu.change_condition(self.cpu.instructions);
                fpu.control = fpu.control & !CONDITION | if condition { CONDITION } else { 0 };
            }
        }
        false
    }

    /// The condition that `bc1t` and `bc1f` see: the instruction after a comparison comes too early for it.
    pub(crate) fn float_condition<const STRICT: bool>(&mut self, pc: u32) -> bool {
        let Some(fpu) = &self.fpu else { return false };
        if fpu.condition_at + 1 != self.cpu.instructions {
            return fpu.control & CONDITION != 0;
        }
        let before = fpu.condition_before;
        if STRICT {
            self.violation(Rule::FpuCondition, pc, || {
                "a branch right after the instruction that sets its condition".into()
            });
        }
        before
    }

    /// `lwc1` has read this value.
    pub(crate) fn float_load<const TIMED: bool>(&mut self, register: usize, value: u32) {
        let Some(mut fpu) = self.fpu.take() else { return };
        fpu.settle_load();
        self.float_wait::<TIMED>(fpu.ready[register]);
        fpu.load = Some((register, value, self.cpu.instructions));
        self.fpu = Some(fpu);
    }

    /// The value that `swc1` writes.
    pub(crate) fn float_store<const TIMED: bool, const STRICT: bool>(&mut self, register: usize, pc: u32) -> u32 {
        let Some(mut fpu) = self.fpu.take() else { return 0 };
        fpu.arrive(self.cpu.instructions);
        self.float_check::<STRICT>(&fpu, &[register], pc);
        self.float_wait::<TIMED>(fpu.ready[register]);
        let value = fpu.registers[register];
        fpu.settle_load();
        self.fpu = Some(fpu);
        value
    }

    /// Stops a strict run if one of these registers is still being loaded.
    fn float_check<const STRICT: bool>(&mut self, fpu: &Fpu, sources: &[usize], pc: u32) {
        if STRICT
            && let Some((register, ..)) = fpu.load
            && sources.contains(&register)
        {
            self.violation(Rule::LoadDelay, pc, || {
                format!("$f{register} is read in the delay slot of the instruction that loads it")
            });
        }
    }

    /// Stands still until this cycle.
    fn float_wait<const TIMED: bool>(&mut self, until: u64) {
        if TIMED {
            let wait = until.saturating_sub(self.cpu.now());
            self.stall(Stall::Float, wait);
        }
    }
}
