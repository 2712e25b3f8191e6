//! The caches really hold lines, stale ones too; isolation, swapping, and how software invalidates.

mod common;
use common::*;
use decstation::profile::{DEC3100, DEC5000_200};
use decstation::{Config, Limits, Rule, Stop};

#[test]
fn the_data_cache_keeps_what_memory_has_lost() {
    // A cached read, a store past the cache, a cached read again: the old value, until the word is replaced.
    let machine = run(
        plain(),
        "
        la $8, 0x80040000; la $9, 0xa0040000; li $10, 1; sw $10, 0($9); lw $2, 0($8)
        li $10, 2; sw $10, 0($9); lw $3, 0($8); lw $4, 0($9)
        la $11, 0x80050000; lw $5, 0($11); nop; lw $5, 0($8); nop",
    );
    let value = |r| machine.register(r);
    assert_eq!((value(2), value(3), value(4), value(5)), (1, 1, 2, 2));
    // A cached store writes through and takes the word into the cache.
    let machine = run(plain(), "
        la $8, 0x80040000; la $9, 0xa0040000; li $10, 1; sw $10, 0($8); lw $2, 0($9); li $10, 2; sw $10, 0($9); lw $3, 0($8); nop");
    assert_eq!((machine.register(2), machine.register(3)), (1, 1));
    // A byte store that misses does not.
    let machine = run(
        plain(),
        "
        la $8, 0x80040000; la $9, 0xa0040000; li $10, 1; sb $10, 0($8); li $10, 2; sw $10, 0($9); lw $3, 0($8); nop",
    );
    assert_eq!(machine.register(3), 2);
}

#[test]
fn a_refill_takes_four_words_or_one() {
    let text = "
        la $8, 0x80040000; la $9, 0xa0040000; lw $2, 4($8); li $10, 7; sw $10, 0($9); sw $10, 12($9); sw $10, 16($9)
        lw $2, 0($8); lw $3, 12($8); lw $4, 16($8); nop";
    let machine = run(Config { profile: DEC5000_200, ..plain() }, text);
    assert_eq!((machine.register(2), machine.register(3), machine.register(4)), (0, 0, 7));
    let machine = run(Config { profile: DEC3100, ..plain() }, text);
    assert_eq!((machine.register(2), machine.register(3), machine.register(4)), (7, 7, 7));
}

/// Calls a function at 0x80040000 that returns 1, changes it to return 2, and calls it again.
fn modify(between: &str) -> String {
    format!(
        "
        la $8, 0x80040000; li $9, 0x03e00008; sw $9, 0($8); li $9, 0x24020001; sw $9, 4($8)
        jalr $8; nop; move $16, $2
        li $9, 0x24020002; sw $9, 4($8)
        {between}
        jalr $8; nop; move $17, $2"
    )
}

/// Invalidates the instruction cache word at 4($8), in uncached code as the manual asks.
const INVALIDATE: &str = "
        la $10, 1f+0x20000000; jr $10; nop
    1f: mfc0 $11, $12; lui $12, 0x0003; mtc0 $12, $12; nop; nop; nop
        sb $0, 0($8); sb $0, 4($8); nop; nop; nop
        mtc0 $11, $12; nop; nop; nop; la $10, 2f; jr $10; nop
    2f: nop";

#[test]
fn the_instruction_cache_keeps_old_code() {
    let machine = run(plain(), &modify(""));
    assert_eq!((machine.register(16), machine.register(17)), (1, 1), "the old instruction is still cached");
    let machine = run(strict(), &modify(INVALIDATE));
    assert_eq!((machine.register(16), machine.register(17)), (1, 2));
    let (mut machine, _) = load(strict(), &format!("{}{HALT}", modify("")));
    let Stop::Strict(violation) = machine.run(Limits::instructions(1000)) else { panic!("must stop") };
    assert_eq!((violation.rule, violation.pc), (Rule::StaleFetch, 0x8004_0004));
    // The PROM's clear_cache does the same.
    let machine = run(strict(), &modify("la $25, 0xbfc080f8; move $4, $8; jalr $25; li $5, 8; la $8, 0x80040000"));
    assert_eq!(machine.register(17), 2);
}

#[test]
fn isolated_caches_are_a_memory_of_their_own() {
    let machine = run(
        plain(),
        "
        la $8, 0x80040000; li $9, 1; sw $9, 0($8); mfc0 $11, $12; lui $12, 1; mtc0 $12, $12; nop; nop; nop
        li $9, 2; sw $9, 0($8); lw $2, 0($8)             # the cache alone
        lui $10, 1; addu $10, $10, $8; lw $3, 0($10); nop; mfc0 $4, $12   # another address, the same word: a miss
        lw $5, 0($8); nop; mfc0 $5, $12
        sb $0, 4($8); nop; nop; mtc0 $11, $12; nop; nop; nop
        la $9, 0xa0040000; lw $6, 0($9); lw $7, 0($8); nop",
    );
    let value = |r| machine.register(r);
    assert_eq!((value(2), value(3)), (2, 2), "isolated loads take what is there");
    assert_eq!((value(4) >> 19 & 1, value(5) >> 19 & 1), (1, 0), "Status.CM tells hit from miss");
    assert_eq!((value(6), value(7)), (1, 2), "memory was not written, the cache was");
}

#[test]
fn the_size_of_the_cache_can_be_measured() {
    // The usual way: mark the first word, then look at doubling distances until the mark comes round.
    let text = |swap: u32| {
        format!(
            "
        la $10, 1f+0x20000000; jr $10; nop
    1f: mfc0 $11, $12; li $12, {swap:#x}; mtc0 $12, $12; nop; nop; nop
        la $8, 0x80040000; li $2, 4096; sw $0, 0($8); 
    fill: addu $9, $8, $2; sw $2, 0($9); sll $2, $2, 1; slti $3, $2, 0x4000; bne $3, $0, fill; nop
        la $4, 0x20000; 
    again: addu $9, $8, $2; sw $2, 0($9); sll $2, $2, 1; bne $2, $4, again; nop
        li $13, 0x1234; sw $13, 0($8); li $2, 4096
    seek: addu $9, $8, $2; lw $3, 0($9); nop; bne $3, $13, seek; sll $2, $2, 1
        srl $2, $2, 1
        nop; mtc0 $11, $12; nop; nop; nop"
        )
    };
    assert_eq!(run(plain(), &text(0x10000)).register(2), 65536);
    assert_eq!(run(plain(), &text(0x30000)).register(2), 65536);
}
