//! What instructions read, write and transfer, and that encoding and decoding agree.

use mips1::encode::*;
use mips1::{Control, Cp0, Direction, Instruction, Memory, Opcode, Register as R, Registers};

fn decode(word: u32) -> Instruction {
    Instruction::decode(word).unwrap()
}

fn set(registers: &[R]) -> Registers {
    registers.iter().fold(Registers::NONE, |all, &register| all | register.into())
}

#[test]
fn registers_read_and_written() {
    // Word, registers read, registers written.
    let table: &[(u32, &[R], &[R])] = &[
        (nop(), &[], &[]),
        (sll(R::T0, R::T1, 3), &[R::T1], &[R::T0]),
        (srav(R::T0, R::T1, R::T2), &[R::T1, R::T2], &[R::T0]),
        (subu(R::T0, R::T1, R::T2), &[R::T1, R::T2], &[R::T0]),
        (addu(R::ZERO, R::ZERO, R::T2), &[R::T2], &[]),
        (addiu(R::T0, R::SP, -4), &[R::SP], &[R::T0]),
        (andi(R::T0, R::T1, 7), &[R::T1], &[R::T0]),
        (lui(R::T0, 0x8000), &[], &[R::T0]),
        (mult(R::A0, R::A1), &[R::A0, R::A1], &[]),
        (mfhi(R::V0), &[], &[R::V0]),
        (mtlo(R::V0), &[R::V0], &[]),
        (lw(R::T0, 0, R::SP), &[R::SP], &[R::T0]),
        (lbu(R::T0, 0, R::T0), &[R::T0], &[R::T0]),
        (lwl(R::T0, 3, R::A0), &[R::A0, R::T0], &[R::T0]),
        (lwr(R::T0, 0, R::A0), &[R::A0, R::T0], &[R::T0]),
        (sw(R::RA, 28, R::SP), &[R::RA, R::SP], &[]),
        (swl(R::T0, 3, R::A0), &[R::T0, R::A0], &[]),
        (beq(R::A0, R::A1, 0), &[R::A0, R::A1], &[]),
        (bltz(R::A0, 0), &[R::A0], &[]),
        (bgezal(R::A0, 0), &[R::A0], &[R::RA]),
        (bc0f(0), &[], &[]),
        (j(0), &[], &[]),
        (jal(0), &[], &[R::RA]),
        (jr(R::RA), &[R::RA], &[]),
        (jalr(R::RA, R::T9), &[R::T9], &[R::RA]),
        (jalr(R::V0, R::T9), &[R::T9], &[R::V0]),
        (syscall(), &[], &[]),
        (mfc0(R::K0, Cp0::CAUSE), &[], &[R::K0]),
        (mtc0(R::K0, Cp0::STATUS), &[R::K0], &[]),
        (tlbwr(), &[], &[]),
        (rfe(), &[], &[]),
        (0x4408_2000, &[], &[R::T0]), // mfc1 $t0, $4
        (0x4448_f800, &[], &[R::T0]), // cfc1 $t0, $31
        (0x4488_2000, &[R::T0], &[]), // mtc1 $t0, $4
        (0x44c8_f800, &[R::T0], &[]), // ctc1 $t0, $31
        (0xc7a4_0008, &[R::SP], &[]), // lwc1 $4, 8($sp)
        (0xe7a4_0008, &[R::SP], &[]), // swc1 $4, 8($sp)
        (0x4622_0000, &[], &[]),      // add.d
    ];
    for &(word, reads, writes) in table {
        let i = decode(word);
        assert_eq!(i.reads(), set(reads), "read by {i}");
        assert_eq!(i.writes(), set(writes), "written by {i}");
    }
}

#[test]
fn what_arrives_late() {
    for word in [lb(R::T0, 0, R::A0), lhu(R::T0, 0, R::A0), lwr(R::T0, 0, R::A0), mfc0(R::T0, Cp0::EPC), 0x4848_0000] {
        assert_eq!(decode(word).loads(), Some(R::T0));
    }
    for word in [addu(R::T0, R::A0, R::A0), mflo(R::T0), sw(R::T0, 0, R::A0), mtc0(R::T0, Cp0::EPC), 0xc7a8_0000] {
        assert_eq!(decode(word).loads(), None);
    }
}

#[test]
fn hi_and_lo() {
    for word in [mfhi(R::T0), mflo(R::T0)] {
        assert!(decode(word).reads_hi_lo() && !decode(word).writes_hi_lo());
    }
    let (a, b) = (R::A0, R::A1);
    for word in [mult(a, b), multu(a, b), div(a, b), divu(a, b), mthi(a), mtlo(a)] {
        assert!(decode(word).writes_hi_lo() && !decode(word).reads_hi_lo());
    }
}

#[test]
fn coprocessors() {
    assert_eq!(decode(mfc0(R::K0, Cp0::EPC)).cp0_read(), Some(Cp0::EPC));
    assert_eq!(decode(mtc0(R::K0, Cp0::ENTRY_HI)).cp0_written(), Some(Cp0::ENTRY_HI));
    assert_eq!(decode(mtc0(R::K0, Cp0::ENTRY_HI)).cp0_read(), None);
    assert_eq!(decode(rfe()).coprocessor(), Some(0));
    assert_eq!(decode(0x4622_0000).coprocessor(), Some(1));
    assert_eq!(decode(0xcba4_0008).coprocessor(), Some(2));
    assert_eq!(decode(0xefa4_0008).coprocessor(), Some(3));
    assert_eq!(decode(lw(R::T0, 0, R::A0)).coprocessor(), None);
}

#[test]
fn memory() {
    use Direction::{Load, Store};
    let access = |word| decode(word).memory();
    assert_eq!(access(lb(R::T0, 0, R::A0)), Some(Memory { direction: Load, bytes: 1 }));
    assert_eq!(access(lhu(R::T0, 0, R::A0)), Some(Memory { direction: Load, bytes: 2 }));
    assert_eq!(access(lwl(R::T0, 0, R::A0)), Some(Memory { direction: Load, bytes: 4 }));
    assert_eq!(access(0xc7a4_0008), Some(Memory { direction: Load, bytes: 4 }));
    assert_eq!(access(sb(R::T0, 0, R::A0)), Some(Memory { direction: Store, bytes: 1 }));
    assert_eq!(access(sw(R::T0, 0, R::A0)), Some(Memory { direction: Store, bytes: 4 }));
    assert_eq!(access(addu(R::T0, R::A0, R::A1)), None);
}

#[test]
fn control_flow() {
    let fixed = |conditional, link| Control::Jump { conditional, link };
    let table = [
        (nop(), Control::Next),
        (beq(R::A0, R::A1, 1), fixed(true, None)),
        (b(1), fixed(false, None)),
        (beq(R::A0, R::A0, 1), fixed(false, None)),
        (bne(R::A0, R::A1, 1), fixed(true, None)),
        (bgez(R::ZERO, 1), fixed(false, None)),
        (blez(R::A0, 1), fixed(true, None)),
        (bgezal(R::ZERO, 1), fixed(false, Some(R::RA))),
        (bltzal(R::A0, 1), fixed(true, Some(R::RA))),
        (bc0f(1), fixed(true, None)),
        (j(0), fixed(false, None)),
        (jal(0), fixed(false, Some(R::RA))),
        (jr(R::K0), Control::Indirect { register: R::K0, link: None }),
        (jalr(R::RA, R::T9), Control::Indirect { register: R::T9, link: Some(R::RA) }),
        (syscall(), Control::Trap),
        (break_(7), Control::Trap),
        (rfe(), Control::Next),
    ];
    for (word, control) in table {
        assert_eq!(decode(word).control(), control, "{}", decode(word));
    }
    assert!(decode(jr(R::RA)).has_delay_slot() && decode(b(0)).has_delay_slot() && decode(j(0)).has_delay_slot());
    assert!(!decode(syscall()).has_delay_slot() && !decode(nop()).has_delay_slot());
}

#[test]
fn targets() {
    assert_eq!(decode(b(-1)).target(0x100), Some(0x100));
    assert_eq!(decode(b(i16::MAX)).target(0), Some(0x2_0000));
    assert_eq!(decode(b(-2)).target(0), Some(0xffff_fffc));
    // The region is that of the delay slot, not of the jump.
    assert_eq!(decode(j(0x1000)).target(0x8fff_fffc), Some(0x9000_1000));
    assert_eq!(decode(jr(R::RA)).target(0), None);
    assert_eq!(decode(nop()).target(0), None);
}

#[test]
fn branch_offsets() {
    assert_eq!(branch_offset(0x100, 0x100), Some(-1));
    assert_eq!(branch_offset(0x100, 0x108), Some(1));
    assert_eq!(branch_offset(0, 0x2_0000), Some(i16::MAX));
    assert_eq!(branch_offset(0, 0x2_0004), None);
    assert_eq!(branch_offset(0x2_0000, 4), Some(i16::MIN));
    assert_eq!(branch_offset(0x2_0000, 0), None);
    assert_eq!(branch_offset(0x100, 0x106), None);
}

/// Each encoder gives the instruction of its name: its text says what was asked for.
#[test]
fn encoders() {
    let (d, s, t) = (R::T0, R::T1, R::T2);
    let table = [
        (add(d, s, t), "add $t0, $t1, $t2"),
        (addu(d, s, t), "addu $t0, $t1, $t2"),
        (sub(d, s, t), "sub $t0, $t1, $t2"),
        (subu(d, s, t), "subu $t0, $t1, $t2"),
        (and(d, s, t), "and $t0, $t1, $t2"),
        (or(d, s, t), "or $t0, $t1, $t2"),
        (xor(d, s, t), "xor $t0, $t1, $t2"),
        (nor(d, s, t), "nor $t0, $t1, $t2"),
        (slt(d, s, t), "slt $t0, $t1, $t2"),
        (sltu(d, s, t), "sltu $t0, $t1, $t2"),
        (sll(d, s, 1), "sll $t0, $t1, 1"),
        (srl(d, s, 2), "srl $t0, $t1, 2"),
        (sra(d, s, 31), "sra $t0, $t1, 31"),
        (sllv(d, s, t), "sllv $t0, $t1, $t2"),
        (srlv(d, s, t), "srlv $t0, $t1, $t2"),
        (srav(d, s, t), "srav $t0, $t1, $t2"),
        (mult(s, t), "mult $t1, $t2"),
        (multu(s, t), "multu $t1, $t2"),
        (div(s, t), "div $t1, $t2"),
        (divu(s, t), "divu $t1, $t2"),
        (mfhi(d), "mfhi $t0"),
        (mflo(d), "mflo $t0"),
        (mthi(s), "mthi $t1"),
        (mtlo(s), "mtlo $t1"),
        (addi(d, s, -1), "addi $t0, $t1, -1"),
        (addiu(d, s, -1), "addiu $t0, $t1, -1"),
        (slti(d, s, -1), "slti $t0, $t1, -1"),
        (sltiu(d, s, -1), "sltiu $t0, $t1, -1"),
        (andi(d, s, 0xffff), "andi $t0, $t1, 0xffff"),
        (ori(d, s, 0xffff), "ori $t0, $t1, 0xffff"),
        (xori(d, s, 0xffff), "xori $t0, $t1, 0xffff"),
        (lui(d, 0xffff), "lui $t0, 0xffff"),
        (lb(d, -4, s), "lb $t0, -4($t1)"),
        (lbu(d, -4, s), "lbu $t0, -4($t1)"),
        (lh(d, -4, s), "lh $t0, -4($t1)"),
        (lhu(d, -4, s), "lhu $t0, -4($t1)"),
        (lw(d, -4, s), "lw $t0, -4($t1)"),
        (lwl(d, -4, s), "lwl $t0, -4($t1)"),
        (lwr(d, -4, s), "lwr $t0, -4($t1)"),
        (sb(d, -4, s), "sb $t0, -4($t1)"),
        (sh(d, -4, s), "sh $t0, -4($t1)"),
        (sw(d, -4, s), "sw $t0, -4($t1)"),
        (swl(d, -4, s), "swl $t0, -4($t1)"),
        (swr(d, -4, s), "swr $t0, -4($t1)"),
        (beq(s, t, 1), "beq $t1, $t2, .+8"),
        (bne(s, t, -1), "bne $t1, $t2, .+0"),
        (blez(s, -2), "blez $t1, .-4"),
        (bgtz(s, 1), "bgtz $t1, .+8"),
        (bltz(s, 1), "bltz $t1, .+8"),
        (bgez(s, 1), "bgez $t1, .+8"),
        (bltzal(s, 1), "bltzal $t1, .+8"),
        (bgezal(s, 1), "bgezal $t1, .+8"),
        (bc0f(1), "bc0f .+8"),
        (bc0t(1), "bc0t .+8"),
        (b(1), "b .+8"),
        (j(0x8000_1000), "j 0x1000"),
        (jal(0x8000_1000), "jal 0x1000"),
        (jr(s), "jr $t1"),
        (jalr(d, s), "jalr $t0, $t1"),
        (syscall(), "syscall"),
        (break_(7), "break 7"),
        (mfc0(d, Cp0::CONTEXT), "mfc0 $t0, Context"),
        (mtc0(d, Cp0::INDEX), "mtc0 $t0, Index"),
        (tlbr(), "tlbr"),
        (tlbwi(), "tlbwi"),
        (tlbwr(), "tlbwr"),
        (tlbp(), "tlbp"),
        (rfe(), "rfe"),
        (nop(), "nop"),
        (move_(d, s), "move $t0, $t1"),
        (li(d, -1), "li $t0, -1"),
    ];
    for (word, text) in table {
        assert_eq!(decode(word).to_string(), text);
    }
}

#[test]
fn names() {
    assert_eq!(R::new(29), Some(R::SP));
    assert_eq!(R::new(32), None);
    assert_eq!(R::K1.to_string(), "$k1");
    assert_eq!(format!("{:?}", set(&[R::ZERO, R::SP, R::T0])), "{$t0, $sp}");
    assert_eq!(Cp0::BAD_VADDR.to_string(), "BadVAddr");
    assert_eq!(Opcode::Tlbwi.mnemonic(), "tlbwi");
}
