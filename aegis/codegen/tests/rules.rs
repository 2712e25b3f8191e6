//! What the assembler promises, one by one.

use aegis_codegen::{Assembler, Error, Label, Register as R, encode};
use mips1::Instruction;

const BASE: u32 = 0x8003_0000;

/// What a program is emitted as, in assembly.
fn text(emit: impl FnOnce(&mut Assembler)) -> Vec<String> {
    let mut words = [0; 64];
    let mut asm = Assembler::new(&mut words, BASE);
    emit(&mut asm);
    let length = asm.finish().expect("it can be executed");
    let text = words[..length].iter().map(|&word| Instruction::decode(word).expect("MIPS I").to_string());
    text.collect()
}

#[test]
fn what_is_loaded_is_waited_for_only_if_it_is_read() {
    let wait = text(|asm| {
        asm.lw(R::T0, 0, R::A0);
        asm.addu(R::T1, R::T0, R::T0);
    });
    assert_eq!(wait, ["lw $t0, 0($a0)", "nop", "addu $t1, $t0, $t0"]);
    let go_on = text(|asm| {
        asm.lw(R::T0, 0, R::A0);
        asm.addu(R::T1, R::T2, R::T2);
    });
    assert_eq!(go_on.len(), 2);
}

#[test]
fn a_load_that_is_a_word_is_like_any_other() {
    let both = [encode::lw(R::T0, 4, R::A0), encode::lbu(R::T0, 1, R::A1)].map(|load| {
        text(|asm| {
            asm.bne_to(R::T1, R::ZERO, BASE);
            asm.speculate_load(load);
            asm.speculate_load(load);
            asm.addu(R::V0, R::T0, R::T0);
        })
    });
    assert_eq!(both[0][1..], ["lw $t0, 4($a0)", "lw $t0, 4($a0)", "nop", "addu $v0, $t0, $t0"]);
    assert_eq!(both[1][1..3], ["lbu $t0, 1($a1)", "lbu $t0, 1($a1)"]);
}

#[test]
fn the_instruction_before_a_branch_goes_into_its_slot() {
    let returned = text(|asm| {
        asm.li(R::V0, 5);
        asm.jr(R::RA);
    });
    assert_eq!(returned, ["jr $ra", "li $v0, 5"]);
}

#[test]
fn the_instruction_before_a_branch_stays_if_it_is_needed() {
    for emit in [
        // The branch reads what it writes.
        (|asm: &mut Assembler| asm.li(R::T0, 5)) as fn(&mut Assembler),
        // What comes behind the branch might read it too early.
        |asm| asm.lw(R::T1, 0, R::A0),
        // It is not executed by who comes from elsewhere.
        |asm| {
            asm.li(R::T1, 5);
            asm.bind(&mut Label::new());
        },
        // The branch would come too close to the load.
        |asm| {
            asm.lw(R::T0, 0, R::A0);
            asm.li(R::T1, 5);
        },
    ] {
        let slot = text(|asm| {
            emit(asm);
            asm.bne_to(R::T0, R::ZERO, BASE);
        });
        assert_eq!(slot.last().map(String::as_str), Some("nop"), "{slot:?}");
    }
    let call = text(|asm| {
        asm.move_(R::T0, R::RA);
        asm.jal(BASE);
    });
    assert_eq!(call.last().map(String::as_str), Some("nop"), "{call:?}");
}

#[test]
fn the_first_load_behind_a_branch_goes_into_its_slot() {
    let chain = text(|asm| {
        asm.bne_to(R::T0, R::T1, BASE);
        asm.speculate(|asm| asm.lw(R::T0, 4, R::A0));
        asm.bne_to(R::T0, R::T1, BASE);
    });
    assert_eq!(chain[1..3], ["lw $t0, 4($a0)", "nop"], "{chain:?}");
    let backward = text(|asm| {
        let mut again = Label::new();
        asm.bind(&mut again);
        asm.addu(R::T2, R::T0, R::T0);
        asm.nop();
        asm.bne(R::T0, R::T1, &mut again);
        asm.speculate(|asm| asm.lw(R::T0, 4, R::A0));
    });
    assert_eq!(backward[2..], ["bne $t0, $t1, .-8", "nop", "lw $t0, 4($a0)"], "the target reads it: {backward:?}");
}

#[test]
fn errors_are_told_at_the_end() {
    let finish = |words: &mut [u32], emit: fn(&mut Assembler)| {
        let mut asm = Assembler::new(words, BASE);
        emit(&mut asm);
        asm.finish()
    };
    assert_eq!(finish(&mut [0; 1], |asm| asm.jr(R::RA)), Err(Error::Full(2)));
    assert_eq!(finish(&mut [], |asm| asm.li(R::V0, 0x1234_5678)), Err(Error::Full(2)));
    assert_eq!(finish(&mut [0; 8], |asm| asm.b(&mut Label::new())), Err(Error::Unbound));
    assert_eq!(finish(&mut [0; 8], |asm| asm.b_to(BASE + 0x2_0004)), Err(Error::TooFar));
    assert_eq!(finish(&mut [0; 8], |asm| asm.b_to(BASE + 0x2_0000)), Ok(2));
    assert_eq!(finish(&mut [0; 8], |asm| asm.j(0x9000_0000)), Err(Error::TooFar));
    let far = |asm: &mut Assembler| {
        let mut label = Label::new();
        asm.b(&mut label);
        (0..0x8000).for_each(|_| asm.nop());
        asm.bind(&mut label);
    };
    assert_eq!(finish(&mut vec![0; 0x1_0000], far), Err(Error::TooFar));
}

#[test]
fn a_template_fills_the_slot_before_it_and_code_goes_on_where_it_is_told_to() {
    use aegis_codegen::encode::{bne, lw, nop, ori};
    let compare = |offset| [lw(R::T0, offset, R::A0), ori(R::T1, R::ZERO, 9), bne(R::T0, R::T1, 0), nop()];
    let mut words = [0; 16];
    let mut asm = Assembler::new(&mut words, BASE);
    asm.words_to(compare(0), true, BASE - 64);
    asm.words_to(compare(4), true, BASE - 64);
    assert_eq!(asm.finish(), Ok(7));
    let first = words;
    assert_eq!(first[2..7], [bne(R::T0, R::T1, -19), compare(4)[0], compare(4)[1], bne(R::T0, R::T1, -22), nop()]);
    // From the second comparison on, again.
    let mut asm = Assembler::new(&mut words, BASE);
    asm.resume(4, true);
    asm.words_to(compare(4), true, BASE - 64);
    assert_eq!(asm.finish(), Ok(7));
    assert_eq!(words, first);
    let mut asm = Assembler::new(&mut words, BASE);
    asm.words_to(compare(0), true, BASE + (1 << 18));
    assert_eq!(asm.finish(), Err(Error::TooFar));
}
