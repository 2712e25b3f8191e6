//! Instruments: profile, traces, passages, messages.

mod common;
use common::*;
use decstation::{Config, Limits, Stop};
use std::sync::{Arc, Mutex};

#[test]
fn the_profile_counts_executions_and_cycles() {
    let (mut machine, program) = load(
        Config { timed: true, ..plain() },
        &format!(
            "li $8, 10; loop: addiu $8, $8, -1; mult $8, $8; bne $8, $0, loop; mflo $9; never: b never2; nop; skipped: nop; never2: {HALT}"
        ),
    );
    machine.start_profile();
    assert_eq!(machine.run(Limits::instructions(1000)), Stop::Halted);
    let profile = machine.take_profile();
    let at = |label: &str, offset: u32| profile.get(&(program.labels[label] + offset)).copied().unwrap_or_default();
    assert_eq!(at("loop", 0).count, 10);
    // The wait for the product, the first fetch aside.
    assert_eq!(at("loop", 12).count, 10);
    assert!(at("loop", 12).cycles >= 100);
    assert_eq!(at("skipped", 0).count, 0, "coverage: never executed");
    assert_eq!(profile.values().map(|e| e.count).sum::<u64>(), machine.instructions());
    let cycles: u64 = profile.values().map(|e| e.cycles).sum();
    // All but the stalls before the first instruction.
    assert!(machine.cycles() - cycles <= 15, "{} of {}", cycles, machine.cycles());
}

#[test]
fn the_trace_shows_slots_addresses_and_modes() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (mut machine, _) = load(plain(), &format!("la $8, 0x80040000; b on; sw $8, 4($8); on: lw $2, 4($8); {HALT}"));
    let sink = steps.clone();
    machine.set_tracer(Some(Box::new(move |step| sink.lock().unwrap().push(*step))));
    machine.run(Limits::instructions(1000));
    let steps = steps.lock().unwrap();
    assert_eq!((steps[3].slot, steps[3].address, steps[3].user), (true, Some(0x8004_0004), false));
    assert_eq!((steps[4].slot, steps[4].address), (false, Some(0x8004_0004)));
    assert_eq!(steps.iter().map(|s| s.instructions).collect::<Vec<_>>(), (0..steps.len() as u64).collect::<Vec<_>>());
    // The trace changes nothing.
    let (mut again, _) = load(plain(), &format!("la $8, 0x80040000; b on; sw $8, 4($8); on: lw $2, 4($8); {HALT}"));
    again.run(Limits::instructions(1000));
    assert_eq!(again.cycles(), machine.cycles());
}

#[test]
fn counts_between_two_symbols() {
    let text = format!(
        "la $8, 0x80040000; nop; from: lw $2, 0($8); li $9, 3; again: addiu $9, $9, -1; bne $9, $0, again; nop; to: {HALT}"
    );
    let (mut machine, program) = load(Config { timed: true, ..plain() }, &text);
    for label in ["from", "to"] {
        machine.watch(program.labels[label]);
    }
    machine.run(Limits::instructions(1000));
    let passages = machine.take_passages();
    assert_eq!(passages.len(), 2);
    assert_eq!(passages[1].instructions - passages[0].instructions, 11);
    let stalls = passages[1].stalls.since(&passages[0].stalls);
    // One data miss, and one more line of code, which `from` does not share.
    assert_eq!(stalls.get(decstation::Stall::DataMiss), 15);
    assert_eq!(passages[1].cycles - passages[0].cycles, 11 + stalls.total());
}

#[test]
fn a_machine_can_move_to_another_thread() {
    fn can_move<T: Send>(_: &T) {}
    can_move(&decstation::Machine::new(plain()));
}

#[test]
fn messages_name_function_and_line() {
    // Needs an image with symbols and lines: made by Debian's compiler.
    let source = "void _start(void) {\n    volatile int *p = (int *)0xa1000000;\n    *p = 1;\n    for (;;) ;\n}\n";
    let Some((path, image)) = compile("lines", source) else { return };
    let bytes = std::fs::read(&image).expect("the image");
    let mut machine = decstation::Machine::new(Config { timed: false, ..Config::default() });
    machine.load_elf(&bytes).expect("an image");
    let stop = machine.run(Limits::instructions(1000));
    let message = machine.describe(&stop);
    assert!(message.contains("wild-store") && message.contains("_start") && message.contains("lines.c:3"), "{message}");
    for path in [path, image] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn a_fork_goes_on_as_the_machine_does() {
    let text = format!(
        "la $8, 0x80040000; li $9, 100; again: sw $9, 0($8); lw $10, 0($8); mult $9, $10; addiu $9, $9, -1; mark 7
         mflo $11; bne $9, $0, again; addiu $8, $8, 256; {HALT}"
    );
    let (mut machine, _) = load(Config { timed: true, ..plain() }, &text);
    assert_eq!(machine.run(Limits::instructions(333)), Stop::Budget);
    let mut fork = machine.fork();
    let end = |machine: &mut decstation::Machine| {
        assert_eq!(machine.run(Limits::NONE), Stop::Halted);
        (machine.cycles(), *machine.counts(), machine.take_marks(), machine.register(11))
    };
    // The fork first: what it does is its own.
    let (forked, went_on) = (end(&mut fork), end(&mut machine));
    assert_eq!(forked, went_on);
    assert_eq!(forked.2.len(), 100, "the marks before it, too");
}

#[test]
fn a_fork_in_place_of_a_fork_differs_in_nothing() {
    // Stores to more and more pages, cached and uncached, whole words and bytes, from remembered translations and new ones.
    let text = format!(
        "la $8, 0x80040000; la $12, 0x20000000; li $9, 100; again: sw $9, 0($8); addu $13, $8, $12; sh $9, 64($13)
         sb $9, 2($8); lw $10, 0($8); mark 7; addu $11, $11, $10; bne $9, $0, again; addiu $9, $9, -1
         addiu $8, $8, 4096; li $9, 100; b again; nop; {HALT}"
    );
    for strict in [false, true] {
        let (mut machine, _) = load(Config { timed: true, strict, ..plain() }, &text);
        let (mut again, mut other) = (machine.fork(), machine.fork());
        let run = |machine: &mut decstation::Machine, instructions| {
            assert_eq!(machine.run(Limits::instructions(instructions)), Stop::Budget);
        };
        let state = |machine: &decstation::Machine| {
            let memory: Vec<_> = (0..1 << 22).step_by(4).map_while(|pa| machine.read_physical(pa)).collect();
            (memory, machine.cycles(), *machine.counts(), machine.register(11), machine.pc())
        };
        for turn in 0..40 {
            again = machine.fork_over(again);
            let mut new = machine.fork();
            // What both do, they do to the same memory.
            run(&mut again, 1500);
            run(&mut new, 1500);
            assert!(state(&again) == state(&new), "turn {turn}");
            if turn % 10 == 9 {
                // One that is not the last fork, or of another machine, is taken over whole.
                other = machine.fork_over(other);
                other = again.fork_over(other);
                assert!(state(&other) == state(&again));
            }
            run(&mut machine, 97);
        }
    }
}
