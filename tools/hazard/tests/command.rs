//! The command: its output and its exit status.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Program;
use mips1::Register as R;
use mips1::encode::*;

fn hazard(arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hazard")).args(arguments).args(files).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn exit_status_and_output() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    };
    let clean = write("clean.elf", &Program::new(&[jr(R::RA), nop()]).link());
    let bad = write("bad.elf", &Program::with_hazard().link());
    let text = write("text.elf", b"not an ELF file at all");
    let kernel = write("kernel.elf", &Program::new(&[jr(R::K0), rfe()]).link());
    let missing = directory.path().join("missing.elf");

    let output = hazard(&[], &[&clean]);
    assert_eq!(status(&output), 0);
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("clean.elf: clean: 2 instructions in 1 section\n"));

    let output = hazard(&[], &[&clean, &bad]);
    assert_eq!(status(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("load-delay at 0x80001000 in probe::walk, lib.rs:42"));
    assert_eq!(status(&hazard(&["--except", "load-delay"], &[&bad])), 0);

    for file in [&text, &missing] {
        let output = hazard(&[], &[file, &clean]);
        assert_eq!(status(&output), 2);
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
    assert_eq!(status(&hazard(&[], &[&text, &bad])), 2);

    assert_eq!(status(&hazard(&[], &[&kernel])), 0);
    assert_eq!(status(&hazard(&["--user"], &[&kernel])), 1);
}

#[test]
fn wrong_arguments() {
    assert_eq!(status(&hazard(&[], &[])), 2);
    assert_eq!(status(&hazard(&["--except", "nonsense", "x.elf"], &[])), 2);
    assert_eq!(status(&hazard(&["--restartable", "f", "x.elf"], &[])), 2);
    let help = hazard(&["--help"], &[]);
    assert_eq!(status(&help), 0);
    assert!(String::from_utf8_lossy(&help.stdout).contains("load-delay"));
}
