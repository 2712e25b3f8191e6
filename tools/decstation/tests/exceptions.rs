//! One small program for each exception, with its golden state, and the rules of privilege.

mod common;
use common::*;
use decstation::kn02::{ERR_CPU, ERR_VALID, ERR_WRITE, IP_CSR, IP_RTC};
use decstation::{Config, Injection, Limits, Machine, Stop};

/// What an exception leaves.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    code: u32,
    slot: bool,
    unit: u32,
    /// Relative to the label `here`.
    epc: i32,
    status: u32,
    vector: u32,
}

/// Handlers at both vectors that halt, then the test. $26 tells the vector.
const VECTORS: &str = "
    .org 0x80000000; b utlb; li $26, 0x100
    .org 0x80000080; b all; li $26, 0x180
    .org 0x80000100
    utlb: nop
    all:  mfc0 $27, $14; li $25, 0xbfc08138; jr $25; nop
    .org 0x80030000
    start: nop
";

#[track_caller]
fn except(config: Config, text: &str) -> (Machine, Taken) {
    let (mut machine, program) = load(config, &format!("{VECTORS}\n{text}"));
    let stop = machine.run(Limits::instructions(100_000));
    assert_eq!(stop, Stop::Halted, "{} for {text}", machine.describe(&stop));
    let cause = machine.cp0().cause;
    let taken = Taken {
        code: cause >> 2 & 31,
        slot: cause >> 31 == 1,
        unit: cause >> 28 & 3,
        epc: machine.cp0().epc.wrapping_sub(program.labels["here"]) as i32,
        status: machine.cp0().status & 0x3f,
        vector: machine.register(26),
    };
    (machine, taken)
}

#[track_caller]
fn expect(text: &str, code: u32) -> Machine {
    let (machine, taken) = except(plain(), text);
    assert_eq!(taken, Taken { code, slot: false, unit: 0, epc: 0, status: 0, vector: 0x180 }, "{text}");
    machine
}

/// Goes to user mode in a page of its own, where the code at `here` runs.
fn user(code: &str) -> String {
    format!(
        "la $8, 0x00040000; mtc0 $8, $10; la $9, 0x00040700; mtc0 $9, $2; mtc0 $0, $0; nop; tlbwi
         li $9, 0x3000ff08; mtc0 $9, $12; nop; nop; jr $8; rfe
         .org 0x80040000
         {code}"
    )
}

#[test]
fn system_call_and_breakpoint() {
    expect("here: syscall", 8);
    expect("here: break 5", 9);
}

#[test]
fn overflow() {
    let machine = expect("li $2, 1; li $8, 0x7fffffff; here: addi $2, $8, 1", 12);
    assert_eq!(machine.register(2), 1, "the destination keeps its value");
    expect("li $8, 0x7fffffff; li $9, 1; here: add $2, $8, $9", 12);
    expect("li $8, 0x80000000; li $9, 1; here: sub $2, $8, $9", 12);
}

#[test]
fn address_errors() {
    for (text, code, address) in [
        ("here: lw $2, 2($8)", 4, 2),
        ("here: lh $2, 1($8)", 4, 1),
        ("here: lhu $2, 3($8)", 4, 3),
        ("here: sw $2, 1($8)", 5, 1),
        ("here: sh $2, 1($8)", 5, 1),
    ] {
        let machine = expect(&format!("la $8, 0x80031000; {text}"), code);
        assert_eq!(machine.cp0().bad_vaddr, 0x8003_1000 + address);
        assert_eq!(machine.cp0().context, 0, "Context is left alone");
    }
    let (machine, taken) = except(plain(), "la $8, here+2; jr $8; nop; here: nop");
    assert_eq!((taken.code, taken.slot, taken.epc, machine.cp0().bad_vaddr & 3), (4, false, 2, 2));
}

#[test]
fn a_branch_delay_slot_points_at_the_branch() {
    let (_, taken) = except(plain(), "here: b here; syscall");
    assert_eq!((taken.code, taken.slot, taken.epc), (8, true, 0));
    let (_, taken) = except(plain(), "here: bne $0, $0, here; break");
    assert_eq!((taken.code, taken.slot, taken.epc), (9, true, 0), "also when the branch is not taken");
    let (_, taken) = except(plain(), "la $8, 0x80031000; here: jal here; lw $2, 1($8)");
    assert_eq!((taken.code, taken.slot, taken.epc), (4, true, 0));
}

#[test]
fn reserved_instructions() {
    // ll, beql, movz, sync, tge, madd, ldc2's neighbours, cop0 functions, REGIMM beyond MIPS I.
    for word in [
        0xc100_0000u32,
        0x5000_0000,
        0x0000_000a,
        0x0000_000f,
        0x0000_0030,
        0x7000_0000,
        0x6400_0000,
        0xbc00_0000,
        0x4200_0018,
        0x0402_0000,
        0x0000_0001,
        0x0000_003f,
    ] {
        // Coprocessor 0 has no load: it is reserved where it is not unusable.
        expect(&format!("here: .word {word:#x}"), 10);
    }
}

#[test]
fn unusable_coprocessors() {
    for (text, unit) in
        [("mfc1 $2", 1), ("lwc1 $f0, 0($0)", 1), ("swc1 $f0, 0($0)", 1), ("cfc2 $2", 2), (".word 0x4c000000", 3)]
    {
        let (_, taken) = except(plain(), &format!("mtc0 $0, $12; nop; nop; here: {text}"));
        assert_eq!(taken, Taken { code: 11, slot: false, unit, epc: 0, status: 0, vector: 0x180 }, "{text}");
    }
    // Coprocessor 0 is the kernel's without asking, the user's only with CU0.
    for text in
        ["mfc0 $2, $12", "mtc0 $2, $12", "tlbr", "tlbwi", "tlbwr", "tlbp", "rfe", "bc0f here", ".word 0x42000018"]
    {
        let text = user(&format!("here: {text}")).replace("0x3000ff08", "0x0000ff08");
        let (_, taken) = except(plain(), &text);
        assert_eq!((taken.code, taken.unit, taken.status), (11, 0, 0x8), "{text}");
    }
    let (machine, taken) = except(plain(), &user("mfc0 $2, $15; nop; here: syscall"));
    assert_eq!((taken.code, machine.register(2)), (8, 0x220), "with CU0 it may");
}

#[test]
fn user_mode_reaches_nothing_of_the_kernels() {
    for (access, code) in [("lw", 4), ("sw", 5), ("lb", 4), ("sb", 5), ("lwl", 4), ("swr", 5)] {
        for address in [0x8003_1000u32, 0xa003_1000, 0xbfc0_4000, 0xc000_0000, 0xffff_fffc] {
            let (machine, taken) = except(plain(), &user(&format!("li $8, {address:#x}; here: {access} $2, 0($8)")));
            assert_eq!((taken.code, taken.status, taken.vector), (code, 0x8, 0x180), "{access} {address:x}");
            assert_eq!(machine.cp0().bad_vaddr, address);
        }
    }
    let (machine, taken) = except(plain(), &user("la $8, 0x80030000; jr $8; here: nop"));
    assert_eq!((taken.code, machine.cp0().epc, machine.cp0().bad_vaddr), (4, 0x8003_0000, 0x8003_0000));
    // Warm pages too: the kernel has just touched this one.
    let (_, taken) =
        except(plain(), &format!("la $8, 0x80031000; sw $0, 0($8); {}", user("la $8, 0x80031000; here: lw $2, 0($8)")));
    assert_eq!(taken.code, 4);
}

#[test]
fn bus_errors() {
    let config = || Config { ram_mb: 4, ..plain() };
    for address in [0xa040_0000u32, 0x8040_0000, 0xbe00_0000, 0xbf40_0000] {
        let (machine, taken) = except(config(), &format!("li $8, {address:#x}; here: lw $2, 0($8)"));
        assert_eq!((taken.code, taken.epc), (7, 0), "{address:x}");
        assert_eq!(machine.cp0().bad_vaddr, 0, "BadVAddr is not for bus errors");
    }
    let (machine, taken) = except(config(), "li $8, 0xa0400000; jr $8; here: nop");
    assert_eq!((taken.code, machine.cp0().epc), (6, 0xa040_0000));
    // The board latches the address; a write is told by an interrupt only.
    let machine = run(
        config(),
        "li $8, 0xbe000010; sw $0, 0($8); li $9, 0xbfd80000; lw $2, 0($9); mfc0 $3, $13; sw $0, 0($9); lw $4, 0($9); mfc0 $5, $13",
    );
    assert_eq!(machine.register(2), ERR_VALID | ERR_CPU | ERR_WRITE | 0x1e00_0010 >> 2);
    assert_eq!((machine.register(3), machine.register(4), machine.register(5)), (0x2000, 0, 0));
}

#[test]
fn the_mode_stack() {
    // KU/IE pairs are pushed by an exception and popped by rfe; the oldest pair stays when popping.
    let (machine, _) = except(plain(), "li $8, 0x30000015; mtc0 $8, $12; nop; nop; here: syscall");
    assert_eq!(machine.cp0().status, 0x3000_0014);
    let machine = run(plain(), "li $8, 0x30000034; mtc0 $8, $12; nop; nop; nop; la $9, on; jr $9; rfe; on: nop");
    assert_eq!(machine.cp0().status, 0x3000_003d);
}

#[test]
fn bootstrap_vectors() {
    let (mut machine, _) = load(plain(), "li $8, 0x00400000; mtc0 $8, $12; nop; nop; syscall");
    machine.run(Limits::instructions(5));
    assert_eq!(machine.pc(), 0xbfc0_0180);
    let (mut machine, _) = load(plain(), "li $8, 0x00400000; mtc0 $8, $12; nop; nop; lw $2, 0($0)");
    machine.run(Limits::instructions(5));
    assert_eq!(machine.pc(), 0xbfc0_0100);
    // The PROM has nothing to do there but to stop.
    let stop = machine.run(Limits::instructions(10));
    assert_eq!(stop.to_string(), "an exception at 80030010 went to the PROM, because Status.BEV is set");
}

#[test]
fn software_interrupts() {
    let (_, taken) =
        except(plain(), "li $8, 0x100; mtc0 $8, $13; li $9, 0x30000101; mtc0 $9, $12; nop; nop; here: nop; nop");
    assert_eq!((taken.code, taken.epc, taken.status), (0, 0, 4), "two instructions pass before Status is obeyed");
    let machine = run(plain(), "li $8, 0x100; mtc0 $8, $13; li $9, 0x30000201; mtc0 $9, $12; nop; nop; nop");
    assert_eq!(machine.counts().exceptions[0], 0, "masked");
}

#[test]
fn an_interrupt_at_every_instruction_leaves_no_trace() {
    // The handler returns at once. The program has branches, delay slots and loads in flight.
    let text = "
        .org 0x80000080; mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: li $8, 0x30000001; ori $8, $8, 0xfc00; mtc0 $8, $12; nop; nop; nop
               la $8, data; li $2, 0; li $9, 5
        loop:  lw $3, 0($8); addiu $9, $9, -1; addu $2, $2, $3; bne $9, $0, loop; addiu $2, $2, 1
               jal sub; li $4, 3; b end; nop
        sub:   jr $31; sll $2, $2, 1
        data:  .word 7
        end:   nop";
    let reference = run(plain(), text);
    for at in 10..reference.instructions() - 4 {
        let (mut machine, _) = load(plain(), &format!("{text}\n{HALT}"));
        machine.inject(at, Injection::Interrupt { lines: 0x8000 });
        assert_eq!(machine.run(Limits::instructions(10_000)), Stop::Halted);
        assert_eq!(machine.counts().exceptions[0], 1, "at {at}");
        assert_eq!(machine.register(2), reference.register(2), "at {at}");
        assert_eq!(
            machine.instructions(),
            reference.instructions() + 4 + u64::from(machine.cp0().cause >> 31),
            "at {at}"
        );
    }
}

#[test]
fn the_clock_interrupts_in_simulated_time() {
    let text = "
        .org 0x80000080; lui $26, 0xbfe8; lw $27, 0x30($26); addiu $2, $2, 1; mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: lui $8, 0xbfe8; li $9, 0x26; sw $9, 0x28($8)    # 1024 Hz
               li $9, 0x46; sw $9, 0x2c($8)
               li $2, 0; li $8, 0x30000801; mtc0 $8, $12
        wait:  slti $9, $2, 5; bne $9, $0, wait; nop";
    for timed in [false, true] {
        let machine = run(Config { timed, ..plain() }, text);
        let expected = 25_000_000.0 * 5.0 / 1024.0;
        assert!((machine.cycles() as f64 - expected).abs() < 200.0, "{} cycles", machine.cycles());
        assert_eq!(machine.cp0().cause & IP_RTC, 0);
    }
}

#[test]
fn the_console_by_interrupts() {
    // Echo four characters by receive interrupts; transmit by polling.
    let text = "
        .org 0x80000080
               lui $26, 0xbfe0; lhu $27, 8($26); nop; sb $27, 0($16)
        tx:    lhu $27, 0($26); nop; andi $27, $27, 0x8000; beq $27, $0, tx; lbu $27, 0($16)
               nop; sh $27, 0x18($26); addiu $16, $16, 1
               mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: la $16, 0x80031000; lui $8, 0xbfe0; li $9, 0x60; sh $9, 0($8)    # MSE, RIE
               li $9, 8; sh $9, 0x10($8)                                      # line 3 may transmit
               lui $10, 0xbff0; lui $9, 0x0080; sw $9, 0($10)                   # CSR: enable the serial controller
               li $8, 0x30000401; mtc0 $8, $12
               la $9, 0x80031004
        wait:  bne $16, $9, wait; nop";
    let (mut machine, _) = load(strict(), &format!("{text}\n{HALT}"));
    machine.type_input(b"abcd");
    let stop = machine.run(Limits::instructions(1_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    assert_eq!(machine.take_output(), "abcd");
    let character = 25_000_000 / 960;
    assert!(machine.cycles() > 4 * character && machine.cycles() < 5 * character, "{}", machine.cycles());
    assert_eq!(machine.cp0().cause & IP_CSR, 0);
}

#[test]
fn the_console_transmits_by_interrupts() {
    let text = "
        .org 0x80000080
               lui $26, 0xbfe0; lbu $27, 0($16); nop; beq $27, $0, last; nop
               sh $27, 0x18($26); b back; addiu $16, $16, 1
        last:  sh $0, 0($26); li $17, 1
        back:  mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: la $16, text; li $17, 0; lui $8, 0xbfe0; li $9, 8; sh $9, 0x10($8)
               lui $10, 0xbff0; lui $9, 0x0080; sw $9, 0($10)
               li $9, 0x4020; sh $9, 0($8)                                    # TIE, MSE
               li $8, 0x30000401; mtc0 $8, $12
        wait:  beq $17, $0, wait; nop; b end; nop
        text:  .word 0x6c6c6568, 0x0000006f
        end:   nop";
    let mut machine = run(strict(), text);
    assert_eq!(machine.take_output(), "hello");
    // Five characters leave; the first two go at once, into the shift and the holding register.
    let character = 25_000_000 / 960;
    assert!((4 * character..5 * character).contains(&machine.cycles()), "{}", machine.cycles());
    assert_eq!(machine.counts().exceptions[0], 6);
}

#[test]
fn the_prom_serves_the_kernel_only() {
    // A user page mapped on the ROM: calling `halt` there returns through $ra like the ROM's own instruction.
    let (machine, taken) = except(
        plain(),
        &format!(
            "la $8, 0x00050000; mtc0 $8, $10; la $9, 0x1fc08600; mtc0 $9, $2; li $9, 0x100; mtc0 $9, $0; nop; tlbwi; {}",
            user("li $25, 0x00050138; jalr $25; nop; here: syscall")
        ),
    );
    assert_eq!((taken.code, machine.instructions() > 20), (8, true));
}

#[test]
fn a_planted_bus_error() {
    let (mut machine, program) =
        load(plain(), &format!("{VECTORS}\n la $8, 0x80031000; sw $0, 0($8); lw $2, 0($8); nop; here: lw $2, 0($8)"));
    machine.inject(6, Injection::BusError { start: 0x3_1000, length: 4 });
    assert_eq!(machine.run(Limits::instructions(1000)), Stop::Halted);
    assert_eq!((machine.cp0().cause >> 2 & 31, machine.cp0().epc), (7, program.labels["here"]));
}

#[test]
fn a_planted_tick_is_a_genuine_one() {
    // The handler counts only what register C shows as a periodic interrupt, and remembers when the first came.
    let text = |flags: u32| {
        format!(
            "
        .org 0x80000080; lui $26, 0xbfe8; lw $27, 0x30($26); nop; andi $27, $27, 0x00ff; addiu $27, $27, -192
               bne $27, $0, out; nop; addiu $2, $2, 1
        out:   mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: lui $8, 0xbfe8; li $9, 0x26; sw $9, 0x28($8)    # 1024 Hz
               li $9, {flags}; sw $9, 0x2c($8)
               li $2, 0; li $3, 0; li $8, 0x30000801; mtc0 $8, $12; li $4, 18000
        wait:  bne $4, $0, wait; addiu $4, $4, -1
               mtc0 $0, $12; lui $8, 0xbfe8; lw $3, 0x30($8); nop
               {HALT}"
        )
    };
    for (flags, plant, interrupts, left) in
        [(0x46, None, 1, 0), (0x46, Some(5000), 2, 0), (0x06, None, 0, 0x40), (0x06, Some(30_000), 0, 0x40)]
    {
        let (mut machine, _) = load(plain(), &text(flags));
        if let Some(at) = plant {
            machine.inject(at, Injection::Tick);
        }
        assert_eq!(machine.run(Limits::instructions(100_000)), Stop::Halted);
        assert_eq!((machine.register(2), machine.register(3)), (interrupts, left), "{flags:#x}, {plant:?}");
        assert_eq!(machine.counts().exceptions[0], interrupts.into());
        assert_eq!(machine.cp0().cause & IP_RTC, 0);
    }
}
