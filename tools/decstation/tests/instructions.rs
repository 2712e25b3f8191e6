//! One small program for each instruction, with its golden state.

mod common;
use common::*;

/// Runs a program on the functional and the timed machine and compares registers.
#[track_caller]
fn golden(text: &str, expected: &[(usize, u32)]) {
    for config in [strict(), decstation::Config { timed: true, ..strict() }, plain()] {
        let machine = run(config, text);
        for &(register, value) in expected {
            assert_eq!(machine.register(register), value, "${register} after {text}");
        }
    }
}

const DATA: &str = "
    b over; nop
    .org 0x80030100
    data: .word 0x80a1b2c3, 0x7f112233, 0, 0
    over: la $8, data
";

#[track_caller]
fn memory(text: &str, expected: &[(usize, u32)]) {
    golden(&format!("{DATA}\n{text}"), expected);
}

#[test]
fn arithmetic() {
    golden(
        "li $8, 7; li $9, -3; add $2, $8, $9; addu $3, $8, $9; sub $4, $8, $9; subu $5, $8, $9",
        &[(2, 4), (3, 4), (4, 10), (5, 10)],
    );
    golden(
        "li $8, 0x7fffffff; addiu $2, $8, 1; addu $3, $8, $8; li $9, 0x80000000; subu $4, $9, $8",
        &[(2, 0x8000_0000), (3, 0xffff_fffe), (4, 1)],
    );
    golden("li $8, 5; addi $2, $8, -6; addi $3, $2, 0x7fff", &[(2, !0), (3, 0x7ffe)]);
    golden(
        "li $8, -1; slt $2, $8, $0; sltu $3, $8, $0; slti $4, $8, -2; sltiu $5, $8, -1; slti $6, $8, 0; sltiu $7, $0, -1",
        &[(2, 1), (3, 0), (4, 0), (5, 0), (6, 1), (7, 1)],
    );
    golden("addiu $0, $0, 5; move $2, $0; lui $0, 5; move $3, $0", &[(0, 0), (2, 0), (3, 0)]);
}

#[test]
fn logic() {
    golden(
        "li $8, 0xff00ff00; li $9, 0x0ff00ff0; and $2, $8, $9; or $3, $8, $9; xor $4, $8, $9; nor $5, $8, $9",
        &[(2, 0x0f00_0f00), (3, 0xfff0_fff0), (4, 0xf0f0_f0f0), (5, 0x000f_000f)],
    );
    golden(
        "li $8, 0xff00ff00; andi $2, $8, 0xfff0; ori $3, $8, 0x8001; xori $4, $8, 0xffff; lui $5, 0x8001",
        &[(2, 0xff00), (3, 0xff00_ff01), (4, 0xff00_00ff), (5, 0x8001_0000)],
    );
}

#[test]
fn shifts() {
    golden(
        "li $8, 0x80000001; sll $2, $8, 4; srl $3, $8, 4; sra $4, $8, 4",
        &[(2, 0x10), (3, 0x0800_0000), (4, 0xf800_0000)],
    );
    golden(
        "li $8, 0x80000001; li $9, 36; sllv $2, $8, $9; srlv $3, $8, $9; srav $4, $8, $9",
        &[(2, 0x10), (3, 0x0800_0000), (4, 0xf800_0000)],
    );
}

#[test]
fn multiply_and_divide() {
    let read = "mfhi $2; mflo $3; nop; nop";
    golden(&format!("li $8, -3; li $9, 7; mult $8, $9; {read}"), &[(2, !0), (3, -21i32 as u32)]);
    golden(&format!("li $8, -3; li $9, 7; multu $8, $9; {read}"), &[(2, 6), (3, -21i32 as u32)]);
    golden(&format!("li $8, -7; li $9, 2; div $8, $9; {read}"), &[(2, !0), (3, -3i32 as u32)]);
    golden(&format!("li $8, -7; li $9, 2; divu $8, $9; {read}"), &[(2, 1), (3, 0x7fff_fffc)]);
    golden(&format!("li $8, 0x80000000; li $9, -1; div $8, $9; {read}"), &[(2, 0), (3, 0x8000_0000)]);
    // Without a quotient the divider still ends, in this state.
    golden(&format!("li $8, 5; div $8, $0; {read}"), &[(2, 5), (3, !0)]);
    golden(&format!("li $8, -5; div $8, $0; {read}"), &[(2, -5i32 as u32), (3, 1)]);
    golden(&format!("li $8, 5; divu $8, $0; {read}"), &[(2, 5), (3, !0)]);
    golden(&format!("li $8, 5; mthi $8; li $9, 6; mtlo $9; {read}"), &[(2, 5), (3, 6)]);
}

#[test]
fn loads() {
    memory("lw $2, 0($8); lw $3, 4($8); nop", &[(2, 0x80a1_b2c3), (3, 0x7f11_2233)]);
    memory(
        "lb $2, 0($8); lb $3, 7($8); lbu $4, 0($8); lbu $5, 3($8); nop",
        &[(2, 0xffff_ffc3), (3, 0x7f), (4, 0xc3), (5, 0x80)],
    );
    memory("lh $2, 0($8); lh $3, 6($8); lhu $4, 2($8); nop", &[(2, 0xffff_b2c3), (3, 0x7f11), (4, 0x80a1)]);
}

#[test]
fn partial_loads() {
    for (offset, left, right) in [
        (0, 0xc355_6677, 0x80a1_b2c3),
        (1, 0xb2c3_6677, 0x4480_a1b2),
        (2, 0xa1b2_c377, 0x4455_80a1),
        (3, 0x80a1_b2c3, 0x4455_6680),
    ] {
        memory(
            &format!("li $2, 0x44556677; li $3, 0x44556677; lwl $2, {offset}($8); lwr $3, {offset}($8); nop"),
            &[(2, left), (3, right)],
        );
    }
    // An unaligned load: the pair needs nothing in between, in either order.
    memory("lwr $2, 1($8); lwl $2, 4($8); lwl $3, 4($8); lwr $3, 1($8); nop", &[(2, 0x3380_a1b2), (3, 0x3380_a1b2)]);
    // A partial load merges with a load in flight.
    memory("li $2, 0; lw $2, 4($8); lwl $2, 0($8); nop", &[(2, 0xc311_2233)]);
}

#[test]
fn stores() {
    let read = "lw $2, 0($8); lw $3, 4($8); nop";
    memory(&format!("li $9, 0x11223344; sw $9, 4($8); {read}"), &[(2, 0x80a1_b2c3), (3, 0x1122_3344)]);
    memory(&format!("li $9, 0x11223344; sb $9, 1($8); sb $9, 7($8); {read}"), &[(2, 0x80a1_44c3), (3, 0x4411_2233)]);
    memory(&format!("li $9, 0x11223344; sh $9, 2($8); sh $9, 4($8); {read}"), &[(2, 0x3344_b2c3), (3, 0x7f11_3344)]);
    for (offset, left, right) in [
        (0, 0x80a1_b211, 0x1122_3344),
        (1, 0x80a1_1122, 0x2233_44c3),
        (2, 0x8011_2233, 0x3344_b2c3),
        (3, 0x1122_3344, 0x44a1_b2c3),
    ] {
        memory(&format!("li $9, 0x11223344; swl $9, {offset}($8); {read}"), &[(2, left)]);
        memory(&format!("li $9, 0x11223344; swr $9, {offset}($8); {read}"), &[(2, right)]);
    }
}

#[test]
fn branches() {
    // Taken and not taken; the slot is executed either way. $2 counts slots, $3 what was skipped.
    for (branch, value, taken) in [
        ("beq $8, $9", 5, true),
        ("beq $8, $9", 6, false),
        ("bne $8, $9", 6, true),
        ("bne $8, $9", 5, false),
        ("blez $8", 0, true),
        ("blez $8", -1, true),
        ("blez $8", 1, false),
        ("bgtz $8", 1, true),
        ("bgtz $8", 0, false),
        ("bgtz $8", -1, false),
        ("bltz $8", -1, true),
        ("bltz $8", 0, false),
        ("bgez $8", 0, true),
        ("bgez $8", -1, false),
    ] {
        golden(
            &format!(
                "li $8, {value}; li $9, 5; li $2, 0; li $3, 0; {branch}, there; addiu $2, $2, 1; li $3, 1; there: nop"
            ),
            &[(2, 1), (3, u32::from(!taken))],
        );
    }
}

#[test]
fn jumps_and_links() {
    golden("j there; li $2, 1; li $3, 1; there: nop", &[(2, 1), (3, 0)]);
    golden("jal there; li $2, 1; back: li $3, 1; there: la $4, back; subu $4, $31, $4", &[(2, 1), (3, 0), (4, 0)]);
    golden("la $8, there; jr $8; li $2, 1; li $3, 1; there: nop", &[(2, 1), (3, 0)]);
    golden(
        "la $8, there; jalr $9, $8; li $2, 1; back: li $3, 1; there: la $4, back; subu $4, $9, $4",
        &[(3, 0), (4, 0)],
    );
    for (branch, value, taken) in
        [("bltzal", -1, true), ("bltzal", 0, false), ("bgezal", 0, true), ("bgezal", -1, false)]
    {
        // The link is written whether or not the branch is taken.
        golden(
            &format!(
                "li $8, {value}; {branch} $8, there; li $2, 1; back: li $3, 1; there: la $4, back; subu $4, $31, $4"
            ),
            &[(2, 1), (3, u32::from(!taken)), (4, 0)],
        );
    }
    // The link of a branch that tests its own link register: the test comes first.
    golden("li $31, -1; bltzal $31, there; nop; li $3, 1; there: nop", &[(3, 0)]);
}

#[test]
fn the_load_delay_slot_sees_the_old_value() {
    let text = format!("{DATA}\n li $2, 5; lw $2, 0($8); move $3, $2; move $4, $2");
    let machine = run(plain(), &text);
    assert_eq!((machine.register(3), machine.register(4)), (5, 0x80a1_b2c3));
    // A write in the slot wins over the load.
    let machine = run(plain(), &format!("{DATA}\n lw $2, 0($8); li $2, 7; move $3, $2"));
    assert_eq!((machine.register(2), machine.register(3)), (7, 7));
    // Two loads of one register in a row: the second wins.
    let machine = run(plain(), &format!("{DATA}\n lw $2, 0($8); lw $2, 4($8); nop; move $3, $2"));
    assert_eq!(machine.register(3), 0x7f11_2233);
    // A load in a branch delay slot reaches past the branch.
    let machine = run(plain(), &format!("{DATA}\n li $2, 5; b on; lw $2, 0($8); on: move $3, $2; move $4, $2"));
    assert_eq!((machine.register(3), machine.register(4)), (5, 0x80a1_b2c3));
    // mfc0 loads too.
    let machine = run(plain(), "li $2, 5; mfc0 $2, $15; move $3, $2; move $4, $2");
    assert_eq!((machine.register(3), machine.register(4)), (5, 0x220));
}

#[test]
fn branch_on_the_write_buffer() {
    // CpCond(0) is true when the write buffer is empty: at once without time, after the drain with it.
    // The second time round, so that the code is in the cache.
    let text = format!(
        "{DATA}\n li $9, 2; again: li $2, 0; sw $0, 8($8); addiu $9, $9, -1; nop; nop; nop
        wait: bc0f wait; addiu $2, $2, 1; bne $9, $0, again; nop"
    );
    assert_eq!(run(plain(), &text).register(2), 1);
    let slow = decstation::Config { timed: true, profile: decstation::profile::DEC5000, ..strict() };
    let waited = run(slow, &text).register(2);
    assert!((2..8).contains(&waited), "{waited}");
}

#[test]
fn marks_are_counted() {
    let text = "mark 1; li $8, 3; loop: addiu $8, $8, -1; bne $8, $0, loop; nop; mark 2";
    let mut machine = run(plain(), text);
    let marks = machine.take_marks();
    assert_eq!(marks.iter().map(|m| m.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(marks[0].instructions_to(&marks[1]), 10);
    assert_eq!(marks[0].cycles_to(&marks[1]), 10);
}
