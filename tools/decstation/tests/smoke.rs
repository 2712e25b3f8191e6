//! The machine starts an image, talks, and stops.

mod common;
use common::*;
use decstation::{Config, Limits, Machine, Stop};

#[test]
fn prints_and_halts() {
    let machine_text = "
        start:  move $s0, $a3
                lw $t0, 0x30($s0)       # printf
                la $a0, text
                jalr $t0
                li $a1, 42
                lw $t0, 0x9c($s0)       # halt
                nop
                jr $t0
                nop
        text:   .word 0x69206925, 0x61682073, 0x000a0d21";
    // "%i is ha!\r\n"
    for timed in [false, true] {
        for strict in [false, true] {
            let (mut machine, _) = load(Config { timed, strict, ..Config::default() }, machine_text);
            assert_eq!(machine.run(Limits::instructions(1_000_000)), Stop::Halted);
            assert_eq!(machine.take_output(), "42 is ha!\r\n");
            assert_eq!(machine.instructions(), 12);
        }
    }
}

#[test]
fn entry_state_is_the_proms() {
    let config = Config { boot_args: "-x hello".into(), ..plain() };
    let machine = run(config, "nop");
    let word = |address| machine.peek_word(address).expect("memory");
    let string = |address: u32| {
        (0..).map_while(|i| machine.peek_byte(address + i).filter(|&b| b != 0)).map(char::from).collect::<String>()
    };
    assert_eq!(machine.register(4), 3);
    assert_eq!(machine.register(5), 0xa000_7f80);
    assert_eq!(machine.register(6), 0x3046_4354);
    assert_eq!(machine.register(7), 0xbfc0_4000);
    assert_eq!(machine.register(29), 0xa000_7f00);
    assert_eq!(string(word(0xa000_7f80)), "boot");
    assert_eq!(string(word(0xa000_7f88)), "-x hello");
    assert_eq!(word(0xa000_7f8c), 0);
    assert_eq!(machine.cp0().status, 0x3000_0000);
}

#[test]
fn wrong_images_are_refused_with_a_reason() {
    let message = |bytes: &[u8]| Machine::new(plain()).load_elf(bytes).expect_err("refused").to_string();
    let good = elf(&assemble("nop"));
    assert_eq!(message(b"hello"), "not an ELF file");
    assert!(message(&good[..40]).starts_with("a damaged ELF file"));
    assert!(message(&good[..good.len() - 2]).contains("after the file"));
    let mut other = good.clone();
    other[18] = 40;
    assert!(message(&other).contains("another processor"));
    let user = elf(&assemble(".org 0x400000\nnop"));
    assert!(message(&user).contains("kseg0"));
    let high = elf(&assemble(".org 0x90000000\nnop"));
    assert!(message(&high).contains("main memory"));
}

#[test]
fn a_loop_without_end_is_told() {
    let (mut machine, _) = load(plain(), "self: b self\nnop");
    assert_eq!(machine.run(Limits::instructions(1_000_000)), Stop::Stuck { pc: BASE });
    let (mut machine, _) = load(plain(), "loop: addiu $8, $8, 1\nb loop\nnop");
    assert_eq!(machine.run(Limits::instructions(1000)), Stop::Budget);
    assert_eq!(machine.instructions(), 1000);
}
