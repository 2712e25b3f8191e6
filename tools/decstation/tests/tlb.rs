//! The TLB, case by case.

mod common;
use common::*;
use decstation::cp0::SR_TS;
use decstation::{Config, Limits, Machine, Stop};

/// Handlers at both vectors that note the vector in $26 and halt.
const VECTORS: &str = "
    .org 0x80000000; j done; li $26, 0x100
    .org 0x80000080; j done; li $26, 0x180
    .org 0x80000100
    done: li $25, 0xbfc08138; jr $25; nop
    .org 0x80030000
    start: li $26, 0
";

/// Writes entry `index`.
fn entry(index: u32, hi: u32, lo: u32) -> String {
    format!(
        "li $8, {hi:#x}; mtc0 $8, $10; li $8, {lo:#x}; mtc0 $8, $2; li $8, {:#x}; mtc0 $8, $0; nop; tlbwi\n",
        index << 8
    )
}

#[track_caller]
fn go(text: &str) -> Machine {
    let (mut machine, _) = load(plain(), &format!("{VECTORS}\n{text}\nj done; nop"));
    let stop = machine.run(Limits::instructions(100_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    machine
}

/// Vector (0 if none), exception code.
fn taken(machine: &Machine) -> (u32, u32) {
    (machine.register(26), machine.cp0().cause >> 2 & 31)
}

const V: u32 = 0x200;
const D: u32 = 0x400;
const G: u32 = 0x100;
const N: u32 = 0x800;

#[test]
fn maps_a_page() {
    let machine = go(&format!(
        "{} la $9, 0x80040010; li $10, 77; sw $10, 0($9); li $9, 0x1010; lw $2, 0($9); li $10, 78; sw $10, 4($9); la $9, 0x80040014; lw $3, 0($9); nop",
        entry(5, 0x1000, 0x40000 | V | D)
    ));
    assert_eq!((taken(&machine), machine.register(2), machine.register(3)), ((0, 0), 77, 78));
    assert_eq!((machine.tlb()[5].hi, machine.tlb()[5].lo), (0x1000, 0x40000 | V | D));
}

#[test]
fn misses_go_to_the_refill_vector_only_in_kuseg() {
    for (address, vector) in [(0x1234_5678u32, 0x100), (0x7fff_fffc, 0x100), (0xc000_1000, 0x180), (0xffff_fffc, 0x180)]
    {
        for (access, code) in [("lw", 2), ("sw", 3)] {
            let machine =
                go(&format!("li $8, 0xffe00fc0; mtc0 $8, $4; mtc0 $8, $10; li $9, {address:#x}; {access} $2, 0($9)"));
            assert_eq!(taken(&machine), (vector, code), "{access} {address:x}");
            assert_eq!(machine.cp0().bad_vaddr, address);
            assert_eq!(
                machine.cp0().entry_hi,
                address & 0xffff_f000 | 0xfc0,
                "the page, and the address space as it was"
            );
            assert_eq!(machine.cp0().context, 0xffe0_0000 | (address >> 12 & 0x7_ffff) << 2, "PTEBase stays");
        }
    }
}

#[test]
fn invalid_and_clean_pages_go_to_the_general_vector() {
    for (bits, access, expected) in [
        (D, "lw", (0x180, 2)),
        (D, "sw", (0x180, 3)),
        (0, "sw", (0x180, 3)),
        (V, "lw", (0, 0)),
        (V, "sw", (0x180, 1)),
        (V | D, "sw", (0, 0)),
        (V | D | N, "lw", (0, 0)),
    ] {
        let machine = go(&format!("{} li $9, 0x1010; {access} $2, 0($9); nop", entry(5, 0x1000, 0x40000 | bits)));
        assert_eq!(taken(&machine), expected, "{bits:x} {access}");
    }
}

#[test]
fn address_spaces() {
    let enter = |asid: u32| format!("li $8, {:#x}; mtc0 $8, $10; nop; nop;", asid << 6);
    let page = |asid: u32, bits| entry(asid, 0x1000 | asid << 6, (0x40000 + asid * 0x1000) | V | bits);
    let text = |pages: &str, asid| {
        format!(
            "la $9, 0x80041000; li $10, 41; sw $10, 0($9); li $10, 42; sw $10, 0x1000($9); {pages} {} li $9, 0x1000; lw $2, 0($9); nop",
            enter(asid)
        )
    };
    let both = format!("{}{}", page(1, 0), page(2, 0));
    assert_eq!(go(&text(&both, 1)).register(2), 41);
    assert_eq!(go(&text(&both, 2)).register(2), 42);
    assert_eq!(taken(&go(&text(&both, 3))), (0x100, 2));
    assert_eq!(go(&text(&page(1, G), 3)).register(2), 41, "global");
    // Back and forth: nothing of one space stays behind for the other.
    let machine = go(&format!(
        "{} li $9, 0x1000; lw $2, 0($9); {} lw $3, 0($9); {} lw $4, 0($9); nop",
        text(&both, 1),
        enter(2),
        enter(1)
    ));
    assert_eq!((machine.register(2), machine.register(3), machine.register(4)), (41, 42, 41));
}

#[test]
fn a_replaced_entry_is_forgotten() {
    let machine = go(&format!(
        "la $9, 0x80040000; li $10, 1; sw $10, 0($9); li $10, 2; sw $10, 0x1000($9)
         {} li $9, 0x1000; lw $2, 0($9); {} li $9, 0x1000; lw $3, 0($9); {} li $9, 0x1000; sw $0, 0($9)",
        entry(5, 0x1000, 0x40000 | V | D),
        entry(5, 0x1000, 0x41000 | V | D),
        entry(5, 0x1000, 0x41000 | V),
    ));
    assert_eq!((machine.register(2), machine.register(3), taken(&machine)), (1, 2, (0x180, 1)));
}

#[test]
fn probe_and_read() {
    let machine = go(&format!(
        "{} {} li $8, 0x2fc0; mtc0 $8, $10; nop; tlbp; mfc0 $2, $0
         li $8, 0x2040; mtc0 $8, $10; nop; tlbp; mfc0 $3, $0
         li $8, 0x1900; mtc0 $8, $0; nop; tlbr; mfc0 $4, $10; mfc0 $5, $2; nop",
        entry(25, 0x2fc0, 0x40000 | V),
        entry(63, 0x3040, 0x41000 | G),
    ));
    assert_eq!((machine.register(2), machine.register(3)), (25 << 8, 0x8000_0000));
    assert_eq!((machine.register(4), machine.register(5)), (0x2fc0, 0x40000 | V));
}

#[test]
fn register_fields() {
    let machine = go("li $8, -1
        mtc0 $8, $0; nop; mfc0 $2, $0; mtc0 $8, $2; nop; mfc0 $3, $2; mtc0 $8, $4; nop; mfc0 $4, $4
        mtc0 $8, $10; nop; mfc0 $5, $10; nop; mtc0 $0, $10; nop; mfc0 $6, $15; mfc0 $7, $8; nop");
    assert_eq!((machine.register(2), machine.register(3), machine.register(4)), (0x3f00, 0xffff_ff00, 0xffe0_0000));
    assert_eq!((machine.register(5), machine.register(6)), (0xffff_ffc0, 0x220));
}

#[test]
fn random_runs_from_63_to_8() {
    let (mut machine, _) = load(plain(), "loop: mfc0 $2, $1; nop; b loop; nop; nop");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        machine.step();
        seen.insert(machine.register(2) >> 8);
    }
    // The loop is four cycles long and the sequence 56: it sees every fourth value.
    assert_eq!(
        seen.iter().copied().filter(|&r| r != 0).collect::<Vec<_>>(),
        (8..64).filter(|r| r % 4 == seen.last().unwrap() % 4).collect::<Vec<_>>()
    );
    // tlbwr never touches the eight wired entries. (In a loop of 9 cycles, which has no divisor in common with 56.)
    let machine = go("li $9, 0x100000; li $10, 500
        loop: mtc0 $9, $10; mtc0 $0, $2; nop; tlbwr; addiu $10, $10, -1; nop; nop; bne $10, $0, loop; addiu $9, $9, 0x1000");
    assert!(machine.tlb()[..8].iter().all(|e| e.hi >= 0x8000_0000));
    assert!(machine.tlb()[8..].iter().all(|e| e.hi < 0x8000_0000));
}

#[test]
fn a_double_match_shuts_the_tlb_down() {
    let text =
        format!("{} {} li $9, 0x1000; lw $2, 0($9)", entry(5, 0x1000, 0x40000 | V), entry(6, 0x1000, 0x41000 | V));
    let machine = go(&text);
    assert_eq!(taken(&machine), (0x100, 2));
    assert_eq!(machine.cp0().status & SR_TS, SR_TS);
    // Entries parked on pages that are never looked up may be alike.
    let machine = go(&format!("{} {}", entry(5, 0x8000_0000, 0), entry(6, 0x8000_0000, 0)));
    assert_eq!(machine.cp0().status & SR_TS, 0);
}

#[test]
fn kernel_reaches_kuseg_and_kseg2_by_the_tlb_in_every_mode() {
    for timed in [false, true] {
        let text = format!(
            "{VECTORS} {} li $9, 0xc0005000; sw $9, 0($9); lw $2, 0($9); nop; j done; nop",
            entry(9, 0xc000_5000, 0x40000 | V | D | G)
        );
        let (mut machine, _) = load(Config { timed, ..plain() }, &text);
        assert_eq!(machine.run(Limits::instructions(1000)), Stop::Halted);
        assert_eq!((machine.register(2), machine.register(26)), (0xc000_5000, 0));
    }
}

#[test]
fn a_fetch_misses_with_its_own_address() {
    let machine = go("la $8, 0x00400000; jr $8; nop");
    assert_eq!((taken(&machine), machine.cp0().epc, machine.cp0().bad_vaddr), ((0x100, 2), 0x0040_0000, 0x0040_0000));
    // A delay slot on the next page: the branch is what is restarted.
    let machine = go(&format!(
        "la $9, 0x80040000; li $10, 0x1000ffff; sw $10, 0xffc($9); {} li $8, 0x400ffc; jr $8; nop",
        entry(5, 0x40_0000, 0x40000 | V)
    ));
    assert_eq!((taken(&machine), machine.cp0().epc, machine.cp0().bad_vaddr), ((0x100, 2), 0x0040_0ffc, 0x0040_1000));
    assert_eq!(machine.cp0().cause >> 31, 1);
}
