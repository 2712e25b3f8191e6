//! ELF files: what is taken from them, and that damaged ones are refused.

mod common;

use common::{BASE, FUNC, OBJECT, Program};
use hazard::{Error, Options, Report, Rule, check_elf};
use mips1::Register as R;
use mips1::encode::*;
use proptest::prelude::*;

const NOTYPE: u8 = 0;

fn check(program: &Program) -> Report {
    check_elf(&program.link(), &Options::default()).unwrap()
}

fn error(file: &[u8]) -> String {
    check_elf(file, &Options::default()).unwrap_err().to_string()
}

#[test]
fn a_finding_tells_function_and_source_line() {
    let report = check(&Program::with_hazard());
    let expected = "\
load-delay at 0x80001000 in probe::walk, lib.rs:42
    80001000  lw $t0, 0($a0)
    80001004  lw $v0, 0($t0)
  $t0 has not arrived yet when lw $v0, 0($t0) is executed
  rule: the instruction after a load or a move from a coprocessor must not read its target

1 hazard: 5 instructions in 1 section
";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn a_file_without_symbols_is_checked_all_the_same() {
    let report = check(&Program { symbols: vec![], debug: false, ..Program::with_hazard() });
    let rules: Vec<Rule> = report.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::LoadDelay, Rule::NotMips1]);
    assert!(report.findings.iter().all(|finding| finding.function.is_none() && finding.location.is_none()));
}

#[test]
fn a_clean_file_is_clean() {
    let report = check(&Program::new(&[jr(R::RA), nop()]));
    assert_eq!(report.to_string(), "clean: 2 instructions in 1 section\n");
}

/// Only a symbol of type OBJECT makes data, only of the words that it covers, and nothing may jump there.
#[test]
fn data_in_code() {
    let code = [jr(R::RA), nop(), 0xffff_ffff, 0xffff_ffff];
    let rules = |symbols: &[(&'static str, u8, u32, u32)]| -> Vec<Rule> {
        let report = check(&Program { symbols: symbols.to_vec(), ..Program::new(&code) });
        report.findings.iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules(&[("table", OBJECT, 2, 2)]), []);
    assert_eq!(rules(&[("a", OBJECT, 2, 1), ("b", OBJECT, 3, 1), ("all", OBJECT, 2, 2)]), []);
    assert_eq!(rules(&[("table", OBJECT, 2, 1)]), [Rule::NotMips1]);
    assert_eq!(rules(&[("table", FUNC, 2, 2)]), [Rule::NotMips1; 2]);
    assert_eq!(rules(&[("table", NOTYPE, 2, 0)]), [Rule::NotMips1; 2]);
    assert_eq!(rules(&[("table", OBJECT, 1, 3)]), [Rule::SlotMissing]);

    let into_data = Program { symbols: vec![("table", OBJECT, 2, 1)], ..Program::new(&[b(1), nop(), 0]) };
    assert_eq!(check(&into_data).findings[0].rule, Rule::Target);
}

/// A symbol may be called from elsewhere, so a delay slot with a symbol has two successors.
#[test]
fn symbols_are_entries() {
    let code = [b(2), lw(R::T0, 0, R::A0), move_(R::V0, R::T0), jr(R::RA), nop()];
    assert!(check(&Program::new(&code)).findings.is_empty());
    for kind in [FUNC, NOTYPE] {
        let report = check(&Program { symbols: vec![("entry", kind, 1, 0)], ..Program::new(&code) });
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].address, BASE + 4);
    }
}

/// In a user program, `$k0` and `$k1` are allowed in the named functions, up to their end.
#[test]
fn restartable_functions() {
    let program = Program {
        symbols: vec![("_ZN4exos6resume17h0123456789abcdefE", FUNC, 0, 4), ("other", FUNC, 4, 3)],
        ..Program::new(&[lw(R::K0, 0, R::ZERO), nop(), jr(R::K0), nop(), li(R::K0, 1), jr(R::RA), nop()])
    };
    let addresses = |restartable: &[&str]| -> Vec<u32> {
        let restartable = restartable.iter().map(|name| name.to_string()).collect();
        let options = Options { user: true, restartable, ..Options::default() };
        let report = check_elf(&program.link(), &options).unwrap();
        assert!(report.findings.iter().all(|finding| finding.rule == Rule::KernelRegisters));
        report.findings.iter().map(|finding| finding.address - BASE).collect()
    };
    assert_eq!(addresses(&[]), [0, 8, 16]);
    assert_eq!(addresses(&["exos::resume"]), [16]);
    assert_eq!(addresses(&["_ZN4exos6resume17h0123456789abcdefE"]), [16]);
    assert_eq!(addresses(&["exos::resume", "other"]), []);
}

#[test]
fn what_cannot_be_checked_is_refused_in_one_line() {
    let good = Program::with_hazard().link();
    let with = |offset: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        file
    };
    let section_headers = u32::from_le_bytes(good[32..36].try_into().unwrap()) as usize;
    let text = section_headers + 40;
    let cases = [
        (vec![], "not a readable ELF file"),
        (b"#!/bin/sh\n".to_vec(), "not a readable ELF file"),
        (good[..40].to_vec(), "not a readable ELF file"),
        (good[..section_headers].to_vec(), "not a readable ELF file"),
        (with(18, &[0xf3, 0]), "not 32-bit little-endian MIPS, but 32-bit little-endian RISCV"),
        (with(16, &[1, 0]), "not a linked program, but an ELF file of type REL"),
        (with(text + 8, &[2]), "no executable section, so nothing to check"),
        (with(text + 12, &[2]), "executable section .text is not made of whole, aligned words"),
        (with(text + 20, &[3]), "executable section .text is not made of whole, aligned words"),
        (with(text + 12, &[0xfc, 0xff, 0xff, 0xff]), "executable section .text lies outside of the address space"),
    ];
    for (file, expected) in cases {
        let message = error(&file);
        assert!(message.starts_with(expected), "{message:?} is not {expected:?}");
        assert!(!message.contains('\n'));
    }
    // A section beyond the end of the file is found by the reader or by the checker, as it comes.
    assert!(check_elf(&with(text + 16, &[0xf0, 0xff, 0xff, 0x7f]), &Options::default()).is_err());
}

#[test]
fn the_other_byte_order_is_refused() {
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 8];
    file.resize(52, 0);
    file[40..42].copy_from_slice(&52u16.to_be_bytes());
    let Err(Error::WrongMachine { bits, endian, .. }) = check_elf(&file, &Options::default()) else {
        panic!("accepted");
    };
    assert_eq!((bits, endian), (32, "big"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever happens to a file, it is checked or refused.
    #[test]
    fn damaged_files_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut file = Program::with_hazard().link();
        for (index, byte) in changes {
            let index = index.index(file.len());
            file[index] = byte;
        }
        if let Some(length) = length {
            file.truncate(length.index(file.len()));
        }
        let _ = check_elf(&file, &Options::default()).map(|report| report.to_string());
    }

    /// The same for the fields of headers, with the numbers that do most harm.
    #[test]
    fn damaged_headers_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0usize..6), 1..4),
    ) {
        let mut file = Program::with_hazard().link();
        let section_headers = u32::from_le_bytes(file[32..36].try_into().unwrap()) as usize;
        let fields: Vec<usize> = (16..52).step_by(4).chain((section_headers..file.len()).step_by(4)).collect();
        for (index, random, which) in changes {
            let field = fields[index.index(fields.len())];
            let value = [random, 0, u32::MAX, u32::MAX - 3, 1 << 31, file.len() as u32][which];
            file[field..field + 4].copy_from_slice(&value.to_le_bytes());
        }
        let _ = check_elf(&file, &Options::default()).map(|report| report.to_string());
    }

    /// Any words are checked without harm, wherever they lie.
    #[test]
    fn any_code_can_be_checked(
        words in prop::collection::vec(any::<u32>(), 0..64),
        base in prop::sample::select(vec![0, 0x8000_0000, 0xffff_ff00]),
        user: bool,
    ) {
        for finding in hazard::check_code(base, &words, &Options { user, ..Options::default() }) {
            prop_assert!(!finding.to_string().is_empty());
        }
    }
}
