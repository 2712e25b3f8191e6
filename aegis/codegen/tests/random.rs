//! Random programs: no hazard in what is emitted, and on the model's processor, in strict mode, it does what a simple
//! evaluator of the same program does.

use aegis_codegen::{Assembler, Label, Register};
use decstation::{Config, Limits, Machine, Stop};
use hazard::{Options, check_code};
use proptest::prelude::*;

const CODE: u32 = 0x8003_0000;
const DATA: u32 = 0x8005_0000;
const DATA_WORDS: usize = 16;
/// The PROM's `halt`, which ends a run.
const HALT: u32 = 0xbfc0_8138;

/// Registers that programs compute with; the others have jobs.
const FIRST: u8 = 2;
const LAST: u8 = 15;
const SPECULATED: u8 = 24;
const FUEL: u8 = 16;
const BASE: u8 = 17;

#[derive(Clone, Copy, Debug)]
enum Op {
    Three {
        which: u8,
        d: u8,
        s: u8,
        t: u8,
    },
    Shift {
        which: u8,
        d: u8,
        t: u8,
        amount: u8,
    },
    Immediate {
        which: u8,
        t: u8,
        s: u8,
        immediate: u16,
    },
    Number {
        t: u8,
        number: u32,
    },
    Load {
        which: u8,
        t: u8,
        offset: u8,
    },
    Store {
        which: u8,
        t: u8,
        offset: u8,
    },
    Multiply {
        which: u8,
        s: u8,
        t: u8,
    },
    HiLo {
        which: u8,
        d: u8,
    },
    /// To the label with this number, which is bound where [`Op::Bind`] says so first, else at the end.
    Branch {
        which: u8,
        s: u8,
        t: u8,
        label: u8,
    },
    /// A load that may go into the slot of the branch before, and the use of it where that is not taken.
    Speculate {
        offset: u8,
        d: u8,
        s: u8,
    },
    /// Backward: as long as there is fuel.
    Again {
        label: u8,
    },
    Bind {
        label: u8,
    },
}

fn register() -> impl Strategy<Value = u8> {
    prop_oneof![1 => Just(0), 12 => FIRST..=LAST]
}

fn op() -> impl Strategy<Value = Op> {
    let (r, s, t) = (register, register, register);
    prop_oneof![
        4 => (0..8u8, r(), s(), t()).prop_map(|(which, d, s, t)| Op::Three { which, d, s, t }),
        1 => (0..3u8, r(), s(), 0..32u8).prop_map(|(which, d, t, amount)| Op::Shift { which, d, t, amount }),
        3 => (0..6u8, r(), s(), any::<u16>()).prop_map(|(which, t, s, immediate)| Op::Immediate { which, t, s, immediate }),
        1 => (r(), any::<u32>()).prop_map(|(t, number)| Op::Number { t, number }),
        4 => (0..7u8, r(), 0..56u8).prop_map(|(which, t, offset)| Op::Load { which, t, offset }),
        2 => (0..5u8, r(), 0..56u8).prop_map(|(which, t, offset)| Op::Store { which, t, offset }),
        1 => (0..4u8, r(), s()).prop_map(|(which, s, t)| Op::Multiply { which, s, t }),
        1 => (0..4u8, r()).prop_map(|(which, d)| Op::HiLo { which, d }),
        3 => (0..7u8, r(), s(), 0..6u8).prop_map(|(which, s, t, label)| Op::Branch { which, s, t, label }),
        2 => (0..14u8, r(), s()).prop_map(|(word, d, s)| Op::Speculate { offset: 4 * word, d, s }),
        1 => (0..6u8).prop_map(|label| Op::Again { label }),
        2 => (0..6u8).prop_map(|label| Op::Bind { label }),
    ]
}

fn reg(number: u8) -> Register {
    Register::new(number).expect("a register's number")
}

/// Emits a program. Labels that it does not bind are bound at its end.
fn emit(asm: &mut Assembler, ops: &[Op]) {
    let mut labels = [Label::new(); 6];
    let mut bound = [false; 6];
    for &op in ops {
        match op {
            Op::Three { which, d, s, t } => {
                let (d, s, t) = (reg(d), reg(s), reg(t));
                match which {
                    0 => asm.addu(d, s, t),
                    1 => asm.subu(d, s, t),
                    2 => asm.and(d, s, t),
                    3 => asm.or(d, s, t),
                    4 => asm.xor(d, s, t),
                    5 => asm.nor(d, s, t),
                    6 => asm.slt(d, s, t),
                    _ => asm.sltu(d, s, t),
                }
            }
            Op::Shift { which, d, t, amount } => match which {
                0 => asm.sll(reg(d), reg(t), amount),
                1 => asm.srl(reg(d), reg(t), amount),
                _ => asm.sra(reg(d), reg(t), amount),
            },
            Op::Immediate { which, t, s, immediate } => {
                let (t, s, signed) = (reg(t), reg(s), immediate as i16);
                match which {
                    0 => asm.addiu(t, s, signed),
                    1 => asm.slti(t, s, signed),
                    2 => asm.sltiu(t, s, signed),
                    3 => asm.andi(t, s, immediate),
                    4 => asm.ori(t, s, immediate),
                    _ => asm.xori(t, s, immediate),
                }
            }
            Op::Number { t, number } => asm.li(reg(t), number),
            Op::Load { which, t, offset } => {
                let (t, base) = (reg(t), reg(BASE));
                match which {
                    0 => asm.lb(t, offset.into(), base),
                    1 => asm.lbu(t, offset.into(), base),
                    2 => asm.lh(t, (offset & !1).into(), base),
                    3 => asm.lhu(t, (offset & !1).into(), base),
                    4 => asm.lw(t, (offset & !3).into(), base),
                    5 => asm.lwl(t, offset.into(), base),
                    _ => asm.lwr(t, offset.into(), base),
                }
            }
            Op::Store { which, t, offset } => {
                let (t, base) = (reg(t), reg(BASE));
                match which {
                    0 => asm.sb(t, offset.into(), base),
                    1 => asm.sh(t, (offset & !1).into(), base),
                    2 => asm.sw(t, (offset & !3).into(), base),
                    3 => asm.swl(t, offset.into(), base),
                    _ => asm.swr(t, offset.into(), base),
                }
            }
            Op::Multiply { which, s, t } => match which {
                0 => asm.mult(reg(s), reg(t)),
                1 => asm.multu(reg(s), reg(t)),
                2 => asm.mthi(reg(s)),
                _ => asm.mtlo(reg(t)),
            },
            Op::HiLo { which, d } => match which {
                0 | 1 => asm.mfhi(reg(d)),
                _ => asm.mflo(reg(d)),
            },
            Op::Branch { which, s, t, label } => {
                if bound[usize::from(label)] {
                    continue;
                }
                let label = &mut labels[usize::from(label)];
                let (s, t) = (reg(s), reg(t));
                match which {
                    0 => asm.beq(s, t, label),
                    1 => asm.bne(s, t, label),
                    2 => asm.blez(s, label),
                    3 => asm.bgtz(s, label),
                    4 => asm.bltz(s, label),
                    5 => asm.bgez(s, label),
                    _ => asm.b(label),
                }
            }
            Op::Speculate { offset, d, s } => {
                asm.speculate(|asm| asm.lw(reg(SPECULATED), offset.into(), reg(BASE)));
                asm.addu(reg(d), reg(SPECULATED), reg(s));
            }
            Op::Again { label } => {
                if bound[usize::from(label)] {
                    asm.addiu(reg(FUEL), reg(FUEL), -1);
                    asm.bgtz(reg(FUEL), &mut labels[usize::from(label)]);
                }
            }
            Op::Bind { label } => {
                asm.bind(&mut labels[usize::from(label)]);
                bound[usize::from(label)] = true;
            }
        }
    }
    labels.iter_mut().for_each(|label| asm.bind(label));
    // What was loaded last is read here, at the latest.
    asm.addu(Register::V0, Register::V0, Register::ZERO);
    asm.jr(Register::RA);
}

/// What a program computes with.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    registers: [u32; 32],
    hi_lo: [u32; 2],
    data: [u8; 4 * DATA_WORDS],
}

impl State {
    fn word(&self, offset: u8) -> u32 {
        let at = usize::from(offset & !3);
        u32::from_le_bytes([self.data[at], self.data[at + 1], self.data[at + 2], self.data[at + 3]])
    }

    fn store(&mut self, offset: u8, bytes: &[u8]) {
        let at = usize::from(offset);
        self.data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Executes a program, one thing after the other.
    fn evaluate(&mut self, ops: &[Op]) {
        let place = |label: u8| {
            ops.iter().position(|op| matches!(op, Op::Bind { label: l } if *l == label)).unwrap_or(ops.len())
        };
        let mut at = 0;
        while let Some(&op) = ops.get(at) {
            at += 1;
            let get = |number: u8| self.registers[usize::from(number)];
            let mut set = None;
            match op {
                Op::Three { which, d, s, t } => {
                    let (s, t) = (get(s), get(t));
                    set = Some((
                        d,
                        match which {
                            0 => s.wrapping_add(t),
                            1 => s.wrapping_sub(t),
                            2 => s & t,
                            3 => s | t,
                            4 => s ^ t,
                            5 => !(s | t),
                            6 => u32::from((s as i32) < t as i32),
                            _ => u32::from(s < t),
                        },
                    ));
                }
                Op::Shift { which, d, t, amount } => {
                    set = Some((
                        d,
                        match which {
                            0 => get(t) << amount,
                            1 => get(t) >> amount,
                            _ => (get(t) as i32 >> amount) as u32,
                        },
                    ));
                }
                Op::Immediate { which, t, s, immediate } => {
                    let (s, signed, bits) = (get(s), i32::from(immediate as i16), u32::from(immediate));
                    set = Some((
                        t,
                        match which {
                            0 => s.wrapping_add_signed(signed),
                            1 => u32::from((s as i32) < signed),
                            2 => u32::from(s < signed as u32),
                            3 => s & bits,
                            4 => s | bits,
                            _ => s ^ bits,
                        },
                    ));
                }
                Op::Number { t, number } => set = Some((t, number)),
                Op::Load { which, t, offset } => {
                    let half = (self.word(offset) >> (8 * (offset & 2))) as u16;
                    let (word, byte, old) = (self.word(offset), self.data[usize::from(offset)], get(t));
                    let shift = 8 * u32::from(offset & 3);
                    set = Some((
                        t,
                        match which {
                            0 => byte as i8 as u32,
                            1 => byte.into(),
                            2 => half as i16 as u32,
                            3 => half.into(),
                            4 => word,
                            5 => word << (24 - shift) | old & (0xff_ffff_u32 >> shift),
                            _ => word >> shift | old & !(!0 >> shift),
                        },
                    ));
                }
                Op::Store { which, t, offset } => {
                    let bytes = get(t).to_le_bytes();
                    let part = usize::from(offset & 3);
                    match which {
                        0 => self.store(offset, &bytes[..1]),
                        1 => self.store(offset & !1, &bytes[..2]),
                        2 => self.store(offset & !3, &bytes),
                        3 => self.store(offset & !3, &bytes[3 - part..]),
                        _ => self.store(offset, &bytes[..4 - part]),
                    }
                }
                Op::Multiply { which, s, t } => {
                    let (s, t) = (get(s), get(t));
                    let split = |product: u64| [(product >> 32) as u32, product as u32];
                    self.hi_lo = match which {
                        0 => split((i64::from(s as i32) * i64::from(t as i32)) as u64),
                        1 => split(u64::from(s) * u64::from(t)),
                        2 => [s, self.hi_lo[1]],
                        _ => [self.hi_lo[0], t],
                    };
                }
                Op::HiLo { which, d } => set = Some((d, self.hi_lo[usize::from(which / 2)])),
                Op::Branch { which, s, t, label } => {
                    let (s, t) = (get(s), get(t));
                    let taken = match which {
                        0 => s == t,
                        1 => s != t,
                        2 => s as i32 <= 0,
                        3 => s as i32 > 0,
                        4 => (s as i32) < 0,
                        5 => s as i32 >= 0,
                        _ => true,
                    };
                    let place = place(label);
                    if taken && place >= at {
                        at = place;
                    }
                }
                Op::Speculate { offset, d, s } => set = Some((d, self.word(offset).wrapping_add(get(s)))),
                Op::Again { label } => {
                    let place = place(label);
                    if place < at {
                        let fuel = &mut self.registers[usize::from(FUEL)];
                        *fuel = fuel.wrapping_sub(1);
                        if *fuel as i32 > 0 {
                            at = place;
                        }
                    }
                }
                Op::Bind { .. } => {}
            }
            if let Some((register, value)) = set
                && register != 0
            {
                self.registers[usize::from(register)] = value;
            }
        }
    }
}

fn words(code: &[u32], at: u32, machine: &mut Machine) {
    for (n, word) in code.iter().enumerate() {
        for (byte, value) in word.to_le_bytes().into_iter().enumerate() {
            assert!(machine.poke_byte(at + 4 * n as u32 + byte as u32, value));
        }
    }
}

/// Executes code on the model's processor.
fn execute(code: &[u32], start: &State) -> State {
    let mut machine = Machine::new(Config { timed: false, ram_mb: 1, ..Config::default() });
    words(code, CODE, &mut machine);
    for (n, &byte) in start.data.iter().enumerate() {
        assert!(machine.poke_byte(DATA + n as u32, byte));
    }
    start.registers.iter().enumerate().for_each(|(n, &value)| machine.set_register(n, value));
    machine.set_register(31, HALT);
    machine.set_pc(CODE);
    let stop = machine.run(Limits::instructions(100_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    let (hi, lo) = machine.hi_lo();
    State {
        registers: std::array::from_fn(|n| machine.register(n)),
        hi_lo: [hi, lo],
        data: std::array::from_fn(|n| machine.peek_byte(DATA + n as u32).expect("memory")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn code_is_clean_and_right(ops in prop::collection::vec(op(), 0..60), seed in any::<[u32; 32]>(),
                               data in any::<[u8; 4 * DATA_WORDS]>()) {
        let mut code = [0; 1024];
        let mut asm = Assembler::new(&mut code, CODE);
        // So that HI and LO are known.
        asm.mult(Register::ZERO, Register::ZERO);
        emit(&mut asm, &ops);
        let length = asm.finish().expect("it fits");
        let code = &code[..length];
        let findings = check_code(CODE, code, &Options { user: true, ..Options::default() });
        prop_assert!(findings.is_empty(), "{findings:?}");

        let mut registers = seed;
        registers[0] = 0;
        registers[usize::from(FUEL)] = 5;
        registers[usize::from(BASE)] = DATA;
        let mut state = State { registers, hi_lo: [0; 2], data };
        let on_machine = execute(code, &state);
        state.evaluate(&ops);
        for number in FIRST..=LAST {
            let n = usize::from(number);
            prop_assert_eq!(on_machine.registers[n], state.registers[n], "${}", number);
        }
        prop_assert_eq!(on_machine.hi_lo, state.hi_lo);
        prop_assert_eq!(on_machine.data, state.data);

        // Whatever the memory, what is too long is an error and nothing else.
        let mut small = vec![0; length / 2];
        let mut asm = Assembler::new(&mut small, CODE);
        emit(&mut asm, &ops);
        let needed = matches!(asm.finish(), Err(aegis_codegen::Error::Full(words)) if words > length / 2);
        prop_assert!(needed);
    }
}
