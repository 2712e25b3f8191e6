//! Every instruction: its word, and the text expected of it.

use std::collections::BTreeSet;

use mips1::{Instruction, Opcode};
use proptest::prelude::*;

/// Words and texts, as printed for address 0x80001000.
const TABLE: &[(u32, &str)] = &[
    (0x0000_0000, "nop"),
    (0x000a_4080, "sll $t0, $t2, 2"),
    (0x000a_4fc2, "srl $t1, $t2, 31"),
    (0x000a_4803, "sra $t1, $t2, 0"),
    (0x0128_5004, "sllv $t2, $t0, $t1"),
    (0x0128_5006, "srlv $t2, $t0, $t1"),
    (0x0128_5007, "srav $t2, $t0, $t1"),
    (0x03e0_0008, "jr $ra"),
    (0x0320_f809, "jalr $t9"),
    (0x0320_1009, "jalr $v0, $t9"),
    (0x0000_000c, "syscall"),
    (0x0000_004c, "syscall 1"),
    (0x0000_000d, "break"),
    (0x0007_000d, "break 7"),
    (0x0007_004d, "break 7, 1"),
    (0x0000_1010, "mfhi $v0"),
    (0x0040_0011, "mthi $v0"),
    (0x0000_1812, "mflo $v1"),
    (0x0060_0013, "mtlo $v1"),
    (0x0085_0018, "mult $a0, $a1"),
    (0x0085_0019, "multu $a0, $a1"),
    (0x0085_001a, "div $a0, $a1"),
    (0x0085_001b, "divu $a0, $a1"),
    (0x0085_1020, "add $v0, $a0, $a1"),
    (0x0085_1021, "addu $v0, $a0, $a1"),
    (0x0080_1021, "move $v0, $a0"),
    (0x0085_1022, "sub $v0, $a0, $a1"),
    (0x0085_1023, "subu $v0, $a0, $a1"),
    (0x0085_1024, "and $v0, $a0, $a1"),
    (0x0085_1025, "or $v0, $a0, $a1"),
    (0x0080_1025, "move $v0, $a0"),
    (0x0085_1026, "xor $v0, $a0, $a1"),
    (0x0085_1027, "nor $v0, $a0, $a1"),
    (0x0085_102a, "slt $v0, $a0, $a1"),
    (0x0085_102b, "sltu $v0, $a0, $a1"),
    (0x0480_0003, "bltz $a0, 0x80001010"),
    (0x0481_0003, "bgez $a0, 0x80001010"),
    (0x0490_0003, "bltzal $a0, 0x80001010"),
    (0x0491_0003, "bgezal $a0, 0x80001010"),
    (0x0411_ffff, "bal 0x80001000"),
    (0x0800_0410, "j 0x80001040"),
    (0x0c00_0410, "jal 0x80001040"),
    (0x1085_ffff, "beq $a0, $a1, 0x80001000"),
    (0x1080_fffe, "beqz $a0, 0x80000ffc"),
    (0x1000_7fff, "b 0x80021000"),
    (0x1485_8000, "bne $a0, $a1, 0x7ffe1004"),
    (0x1480_0001, "bnez $a0, 0x80001008"),
    (0x1880_0001, "blez $a0, 0x80001008"),
    (0x1c80_0001, "bgtz $a0, 0x80001008"),
    (0x2082_ffff, "addi $v0, $a0, -1"),
    (0x2482_7fff, "addiu $v0, $a0, 32767"),
    (0x2402_8000, "li $v0, -32768"),
    (0x2882_000a, "slti $v0, $a0, 10"),
    (0x2c82_ffff, "sltiu $v0, $a0, -1"),
    (0x3082_ffff, "andi $v0, $a0, 0xffff"),
    (0x3482_0100, "ori $v0, $a0, 0x100"),
    (0x3402_8000, "li $v0, 0x8000"),
    (0x3882_0001, "xori $v0, $a0, 0x1"),
    (0x3c1b_8001, "lui $k1, 0x8001"),
    (0x401a_0000, "mfc0 $k0, Index"),
    (0x401a_0800, "mfc0 $k0, Random"),
    (0x401a_1000, "mfc0 $k0, EntryLo"),
    (0x401a_2000, "mfc0 $k0, Context"),
    (0x401a_4000, "mfc0 $k0, BadVAddr"),
    (0x401a_5000, "mfc0 $k0, EntryHi"),
    (0x401a_6000, "mfc0 $k0, Status"),
    (0x401a_6800, "mfc0 $k0, Cause"),
    (0x401a_7000, "mfc0 $k0, EPC"),
    (0x401a_7800, "mfc0 $k0, PRId"),
    (0x401a_4800, "mfc0 $k0, $9"),
    (0x409a_6000, "mtc0 $k0, Status"),
    (0x4100_ffff, "bc0f 0x80001000"),
    (0x4101_ffff, "bc0t 0x80001000"),
    (0x4200_0001, "tlbr"),
    (0x4200_0002, "tlbwi"),
    (0x4200_0006, "tlbwr"),
    (0x4200_0008, "tlbp"),
    (0x4200_0010, "rfe"),
    (0x4408_2000, "mfc1 $t0, $4"),
    (0x4448_f800, "cfc1 $t0, $31"),
    (0x4488_2000, "mtc1 $t0, $4"),
    (0x44c8_f800, "ctc1 $t0, $31"),
    (0x4500_0001, "bc1f 0x80001008"),
    (0x4501_0001, "bc1t 0x80001008"),
    (0x4622_0000, "cop1 0x220000"),
    (0x4808_2000, "mfc2 $t0, $4"),
    (0x4848_2000, "cfc2 $t0, $4"),
    (0x4888_2000, "mtc2 $t0, $4"),
    (0x48c8_2000, "ctc2 $t0, $4"),
    (0x4900_0001, "bc2f 0x80001008"),
    (0x4901_0001, "bc2t 0x80001008"),
    (0x4a00_0001, "cop2 0x1"),
    (0x4c08_2000, "mfc3 $t0, $4"),
    (0x4c48_2000, "cfc3 $t0, $4"),
    (0x4c88_2000, "mtc3 $t0, $4"),
    (0x4cc8_2000, "ctc3 $t0, $4"),
    (0x4d00_0001, "bc3f 0x80001008"),
    (0x4d01_0001, "bc3t 0x80001008"),
    (0x4e00_0001, "cop3 0x1"),
    (0x8128_ffff, "lb $t0, -1($t1)"),
    (0x8528_fffe, "lh $t0, -2($t1)"),
    (0x8928_0003, "lwl $t0, 3($t1)"),
    (0x8d2b_0000, "lw $t3, 0($t1)"),
    (0x9128_0001, "lbu $t0, 1($t1)"),
    (0x9528_0002, "lhu $t0, 2($t1)"),
    (0x9928_0000, "lwr $t0, 0($t1)"),
    (0xa3a8_0001, "sb $t0, 1($sp)"),
    (0xa7a8_0002, "sh $t0, 2($sp)"),
    (0xaba8_0003, "swl $t0, 3($sp)"),
    (0xafbf_001c, "sw $ra, 28($sp)"),
    (0xbba8_0000, "swr $t0, 0($sp)"),
    (0xc7a4_0008, "lwc1 $4, 8($sp)"),
    (0xcba4_0008, "lwc2 $4, 8($sp)"),
    (0xcfa4_0008, "lwc3 $4, 8($sp)"),
    (0xe7a4_0008, "swc1 $4, 8($sp)"),
    (0xeba4_0008, "swc2 $4, 8($sp)"),
    (0xefa4_0008, "swc3 $4, 8($sp)"),
];

/// Words of later MIPS processors, and words with a bit set that MIPS I wants zero.
const REFUSED: &[(u32, &str)] = &[
    (0x0000_0001, "movf"),
    (0x0000_0005, "lsa"),
    (0x002a_4082, "rotr"),
    (0x0128_5046, "rotrv"),
    (0x03e0_0408, "jr.hb"),
    (0x0320_fc09, "jalr.hb"),
    (0x0085_100a, "movz"),
    (0x0085_100b, "movn"),
    (0x0000_000e, "sdbbp"),
    (0x0000_000f, "sync"),
    (0x0085_1014, "dsllv"),
    (0x0085_1018, "mul of Release 6, three-operand mult of the R3900"),
    (0x0085_001c, "dmult"),
    (0x0085_102d, "daddu"),
    (0x0085_0030, "tge"),
    (0x0085_0034, "teq"),
    (0x0085_0036, "tne"),
    (0x000a_4038, "dsll"),
    (0x0085_1061, "addu with a shift amount"),
    (0x0482_0003, "bltzl"),
    (0x0483_0003, "bgezl"),
    (0x048c_0003, "teqi"),
    (0x0492_0003, "bltzall"),
    (0x041f_0000, "synci"),
    (0x1881_0001, "blez with an rt"),
    (0x3c3b_8001, "lui with an rs: aui"),
    (0x5085_ffff, "beql"),
    (0x5485_ffff, "bnel"),
    (0x5880_0001, "blezl"),
    (0x5c80_0001, "bgtzl"),
    (0x6082_0001, "daddi"),
    (0x6482_0001, "daddiu"),
    (0x6928_0000, "ldl"),
    (0x7085_1002, "mul"),
    (0x7082_1020, "clz"),
    (0x7085_0000, "madd"),
    (0x7c85_0800, "ext"),
    (0x7c85_0804, "ins"),
    (0x7c02_1420, "seb"),
    (0x7c03_e83b, "rdhwr"),
    (0x401a_6001, "mfc0 with a select"),
    (0x403a_6000, "dmfc0"),
    (0x405a_0000, "cfc0"),
    (0x4102_0001, "bc0fl"),
    (0x4160_6000, "di"),
    (0x4160_6020, "ei"),
    (0x4200_0018, "eret"),
    (0x4200_001f, "deret"),
    (0x4200_0020, "wait"),
    (0x4502_0001, "bc1fl"),
    (0x4504_0001, "bc1f of a second condition"),
    (0x4c08_0001, "lwxc1"),
    (0x9d28_0000, "lwu"),
    (0xbc05_0000, "cache"),
    (0xc128_0000, "ll"),
    (0xd528_0000, "ldc1"),
    (0xdd28_0000, "ld"),
    (0xe128_0000, "sc"),
    (0xf528_0000, "sdc1"),
    (0xfd28_0000, "sd"),
    (0xffff_ffff, "all ones"),
];

#[test]
fn text_of_every_instruction() {
    for &(word, text) in TABLE {
        let instruction = Instruction::decode(word).unwrap_or_else(|| panic!("{word:08x} ({text}) does not decode"));
        assert_eq!(instruction.at(0x8000_1000).to_string(), text, "{word:08x}");
    }
    let shown: BTreeSet<Opcode> = TABLE.iter().map(|&(word, _)| Instruction::decode(word).unwrap().opcode()).collect();
    let missing: Vec<&Opcode> = Opcode::ALL.iter().filter(|opcode| !shown.contains(opcode)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn nothing_newer_decodes() {
    for &(word, name) in REFUSED {
        let decoded = Instruction::decode(word);
        assert_eq!(decoded, None, "{word:08x} is {name}");
    }
}

#[test]
fn text_without_an_address_is_relative() {
    let text = |word| Instruction::decode(word).unwrap().to_string();
    assert_eq!(text(0x1085_0003), "beq $a0, $a1, .+16");
    assert_eq!(text(0x1085_fffd), "beq $a0, $a1, .-8");
    assert_eq!(text(0x0c00_0410), "jal 0x1040");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn any_word_decodes_or_not_but_never_panics(word: u32, address: u32) {
        if let Some(i) = Instruction::decode(word) {
            prop_assert_eq!(i.word(), word);
            prop_assert!(!i.to_string().is_empty());
            prop_assert!(!i.at(address).to_string().is_empty());
            let _ = (i.reads(), i.writes(), i.loads(), i.memory(), i.control(), i.target(address), i.coprocessor());
        }
    }

    /// Random words are mostly refused; these have the major bits of an instruction.
    #[test]
    fn words_near_every_instruction_print_something(opcode in proptest::sample::select(Opcode::ALL), word: u32) {
        let word = opcode.bits() | word & 0x03ff_ffff;
        if let Some(i) = Instruction::decode(word) {
            prop_assert!(!i.to_string().is_empty());
            prop_assert!(i.to_string().starts_with(char::is_alphabetic));
        }
    }
}
