//! Runs that are stopped, kept, restored and gone back through, against the same run left alone.

#![allow(clippy::single_range_in_vec_init)] // What is watched is a list of ranges, here of one.

mod common;
use common::*;
use decstation::state::VERSION;
use decstation::{Break, Breaks, Change, Config, History, Limits, Machine, Moment, StateError, Stop};
use proptest::prelude::*;

/// A miss maps a page to itself, an interrupt, of which the clock makes 8192 a second, is acknowledged, a system call halts.
const PROGRAM: &str = "
    .org 0x80000000
            mfc0 $k0, $10; nop; ori $k0, $k0, 0x700; mtc0 $k0, $2; mfc0 $k0, $14; tlbwr; jr $k0; rfe
    .org 0x80000080
            mfc0 $k0, $14; mfc0 $k1, $13; nop; andi $k1, $k1, 0x7c; bne $k1, $zero, halt
            li $k1, 0xbfe80030; lw $k1, 0($k1); nop; jr $k0; rfe
    halt:   li $t9, 0xbfc08138
            jr $t9
            nop
    .org 0x80030000
            li $t1, 0xbfe80000; li $t0, 0x23; sw $t0, 0x28($t1); li $t0, 0x46; sw $t0, 0x2c($t1)
            li $t0, 0x3000ff0c
            mtc0 $t0, $12
            li $k0, 0x40000
            jr $k0
            rfe
    .org 0x80040000
            li $s0, 0
            li $s1, 0x51000
    again:  sll $t0, $s0, 12
            addu $t0, $t0, $s1
    store:  sw $s0, 0($t0)
            lw $t1, 0($t0)
            nop
            addiu $s0, $s0, 1
    branch: slti $t2, $s0, 100
            bne $t2, $zero, again
    slot:   addu $s2, $s2, $t1
            mult $s2, $s0
            mflo $s3
            syscall
";

/// Loaded.
fn machine() -> Machine {
    load(Config { ram_mb: 1, ..Config::default() }, PROGRAM).0
}

fn label(name: &str) -> u32 {
    // Pages of user mode are mapped to themselves.
    assemble(PROGRAM).labels[name] & 0x1fff_ffff
}

/// All moments of the run, each with its state.
fn all(history: &mut History) -> Vec<(Moment, u64)> {
    let mut moments = Vec::new();
    loop {
        moments.push((history.machine().moment(), history.machine().digest()));
        if let Some(stop) = history.step() {
            assert_eq!(stop, Stop::Halted);
            moments.push((history.machine().moment(), history.machine().digest()));
            return moments;
        }
    }
}

#[test]
fn stopping_changes_nothing() {
    let mut alone = machine();
    assert_eq!(alone.run(Limits::instructions(100_000)), Stop::Halted);
    let mut history = History::new(machine());
    let moments = all(&mut history);
    assert_eq!(moments.last(), Some(&(alone.moment(), alone.digest())));
    assert_eq!(history.machine().cycles(), alone.cycles());
    assert_eq!(history.machine().counts(), alone.counts());
    // Interrupts, and fetches that failed, are moments without an instruction.
    let without = moments.windows(2).filter(|pair| pair[0].0.instructions == pair[1].0.instructions).count() as u64;
    let interrupts = alone.counts().exceptions[0];
    assert!(interrupts > 1 && without > interrupts, "{without} {interrupts}");
}

#[test]
fn each_step_back_is_to_the_state_before() {
    let mut history = History::new(machine());
    let moments = all(&mut history);
    for expected in moments.iter().rev().skip(1).take(200) {
        assert!(history.step_back());
        assert_eq!((history.machine().moment(), history.machine().digest()), *expected);
    }
    history.go_to(history.beginning());
    assert!(!history.step_back());
    assert_eq!(all(&mut history), moments);
}

#[test]
fn breaks_are_found_in_both_directions() {
    let mut history = History::new(machine());
    let code = Breaks { code: vec![label("slot")], ..Breaks::default() };
    for _ in 0..50 {
        assert_eq!(history.run(100_000, &code), Stop::Break(Break::Code));
        assert!(history.machine().in_delay_slot());
    }
    assert_eq!(history.machine().register(16), 50);
    let fiftieth = history.machine().moment();
    assert_eq!(history.run_back(&code), Some(Break::Code));
    assert_eq!(history.machine().register(16), 49);
    assert_eq!(history.run(100_000, &code), Stop::Break(Break::Code));
    assert_eq!(history.machine().moment(), fiftieth);

    // The seventh word, from far behind; where it goes back to is behind the store, where it comes to is before.
    let watched = 0x51000 + 7 * 4096;
    let stores = Breaks { stores: Vec::from([watched + 2..watched + 3]), ..Breaks::default() };
    assert_eq!(history.run_back(&stores), Some(Break::Store(watched)));
    assert_eq!((history.machine().pc(), history.machine().register(16)), (label("store") + 4, 7));
    assert!(history.step_back());
    assert_eq!(history.machine().pc(), label("store"));
    assert_eq!(history.run_back(&stores), Some(Break::Store(watched)), "where it missed");
    assert_eq!(history.machine().pc(), 0x8000_0000);
    assert!(history.step_back());
    assert_eq!(history.run_back(&stores), None);
    assert_eq!(history.machine().moment(), history.beginning());
    let loads = Breaks { loads: Vec::from([watched..watched + 1]), ..stores.clone() };
    let mut found = Vec::new();
    while let Stop::Break(access) = history.run(100_000, &loads) {
        found.push((access, history.machine().pc()));
    }
    // The store misses first: it is begun twice.
    let store = (Break::Store(watched), label("store"));
    assert_eq!(found, [store, store, (Break::Load(watched), label("store") + 4)]);

    let modes = Breaks { modes: true, ..Breaks::default() };
    history.go_to(history.beginning());
    assert_eq!(history.run(100_000, &modes), Stop::Break(Break::Mode));
    assert!(history.machine().user_mode());
    assert_eq!(history.run(100_000, &modes), Stop::Break(Break::Mode));
    assert_eq!(history.machine().pc(), 0x8000_0000, "the first fetch misses");
}

#[test]
fn changes_are_made_again() {
    let mut history = History::new(machine());
    let branch = Breaks { code: vec![label("branch")], ..Breaks::default() };
    for _ in 0..10 {
        history.run(100_000, &branch);
    }
    let changed = history.machine().moment();
    history.change(Change::Register(16, 95));
    // The page that was written last is surely mapped.
    let address = history.machine().register(8);
    history.change(Change::Memory(address, vec![1, 2, 3]));
    assert_eq!(history.machine().see_byte(address + 1), Some(2));
    let moments = all(&mut history);
    assert_eq!(history.machine().register(16), 100, "it ends sooner");
    history.go_to(changed);
    assert_eq!(all(&mut history), moments);
    // Before them nothing is changed.
    history.go_to(changed);
    assert!(history.step_back());
    assert_eq!(history.machine().see_byte(address + 1), Some(0));
    assert_eq!(history.machine().register(16), 9);
    history.step();
    assert_eq!(history.machine().register(16), 10);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn what_is_restored_goes_on_alike(at in 0u64..1800) {
        let mut alone = machine();
        alone.run(Limits::instructions(100_000));
        let mut saved = machine();
        saved.run(Limits::instructions(at));
        let mut restored = Machine::restore(&saved.save().unwrap()).unwrap();
        prop_assert_eq!(restored.digest(), saved.digest());
        for machine in [&mut restored, &mut saved] {
            machine.run(Limits::instructions(100_000));
            prop_assert_eq!(machine.moment(), alone.moment());
            prop_assert_eq!(machine.cycles(), alone.cycles());
            prop_assert_eq!(machine.counts(), alone.counts());
            prop_assert_eq!(machine.digest(), alone.digest());
        }
    }

    #[test]
    fn what_is_damaged_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8, length in any::<prop::sample::Index>()) {
        let file = Machine::new(Config { ram_mb: 1, ..Config::default() }).save().unwrap();
        prop_assert!(Machine::restore(&file).is_ok());
        let cut = &file[..length.index(file.len())];
        prop_assert!(Machine::restore(cut).is_err());
        let mut changed = file;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(Machine::restore(&changed).is_err());
    }
}

#[test]
fn others_are_refused() {
    let refused = |file: &[u8]| Machine::restore(file).err();
    let mut file = machine().save().unwrap();
    assert_eq!(refused(b""), Some(StateError::Other));
    assert_eq!(refused(&[0x7f; 4096]), Some(StateError::Other));
    assert_eq!(refused(&file[..file.len() - 1]), Some(StateError::Damaged("its length is another")));
    file[16] += 1;
    assert_eq!(refused(&file), Some(StateError::Version(VERSION + 1)));
    let mut own = Config::default();
    own.profile.read_miss += 1;
    assert_eq!(Machine::new(own).save(), Err(StateError::Profile("dec5000_200")));
}

/// If this fails, what is saved has another form: raise the version, and write the new number here.
#[test]
fn the_form_belongs_to_the_version() {
    let bytes = Machine::new(Config { ethernet: Some([0; 6]), fpu: true, ..Config::default() }).save().unwrap().len();
    assert_eq!((VERSION, bytes), (1, 666_746));
}
