//! Instruments: profile and coverage, traces with source lines, messages, the command.

mod common;
use common::*;
use decstation::{Config, Limits, Stop};
use std::process::Command;
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

/// The built command.
fn decstation() -> Command {
    Command::new(env!("CARGO_BIN_EXE_decstation"))
}

fn write(name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("decstation-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

#[test]
fn the_commands_exit_status() {
    for (name, text, arguments, status, message) in [
        ("halt", HALT.to_string(), &["--timed"][..], 0, ""),
        ("budget", "loop: b loop; addiu $8, $8, 1".into(), &["--max-instructions", "1000"], 3, "budget"),
        ("strict", "lw $2, 0($29); move $3, $2".into(), &["--strict"], 4, "uninitialized-read"),
        (
            "delay",
            "lui $8, 0x8003; lw $2, 0($8); move $3, $2".into(),
            &["--strict"],
            4,
            "load-delay at 80030008 (move $v1, $v0)",
        ),
        ("stuck", "here: b here; nop".into(), &["--functional"], 5, "stuck at 80030000"),
        ("prom", "li $25, 0xbfc08080; jalr $25; nop".into(), &[], 5, "0x40"),
    ] {
        let image = write(name, &elf(&assemble(&text)));
        let output =
            decstation().args(arguments).arg(&image).stdin(std::process::Stdio::null()).output().expect("runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{name}: {error}");
        assert!(error.contains(message), "{name}: {error}");
        assert!(error.lines().count() <= 1, "{name}: {error}");
        let _ = std::fs::remove_file(image);
    }
    let wrong = write("wrong", b"no image");
    let output = decstation().arg(&wrong).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).ends_with("not an ELF file\n"));
    let _ = std::fs::remove_file(wrong);
    assert_eq!(decstation().args(["--profile", "vax", "x"]).output().expect("runs").status.code(), Some(1));
    assert_eq!(decstation().output().expect("runs").status.code(), Some(2));
}

#[test]
fn the_command_reads_its_console() {
    use std::io::Write;
    // Read a character by the PROM, print it, until there is none.
    let text = format!(
        "move $17, $7; again: lw $8, 0x24($17); nop; jalr $8; nop; bltz $2, done; nop; la $8, 0xbfc00068; jalr $8; move $4, $2; b again; nop; done: {HALT}"
    );
    let image = write("echo", &elf(&assemble(&text)));
    let mut child = decstation()
        .arg(&image)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("a pipe").write_all(b"hello").expect("written");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.stdout, b"hello");
    let _ = std::fs::remove_file(image);
}

#[test]
fn messages_name_function_and_line() {
    // Needs an image with symbols and lines: made by Debian's compiler.
    let source = "void _start(void) {\n    volatile int *p = (int *)0xa1000000;\n    *p = 1;\n    for (;;) ;\n}\n";
    let path = write("lines.c", source.as_bytes());
    let image = path.with_extension("elf");
    let compiled = Command::new("mipsel-linux-gnu-gcc")
        .args([
            "-march=mips1",
            "-mabi=32",
            "-EL",
            "-msoft-float",
            "-mno-abicalls",
            "-fno-pic",
            "-G0",
            "-ffreestanding",
            "-g",
            "-O1",
        ])
        .args(["-nostdlib", "-static", "-Wl,-Ttext=0x80030000", "-Wl,-e,_start", "-Wl,--build-id=none", "-Wl,-N"])
        .arg("-o")
        .args([&image, &path])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no mipsel-linux-gnu-gcc here (apt-get install gcc-mipsel-linux-gnu)");
        return;
    }
    let stripped = Command::new("mipsel-linux-gnu-objcopy")
        .args(["-R", ".reginfo", "-R", ".MIPS.abiflags"])
        .arg(&image)
        .output()
        .expect("objcopy comes with the compiler");
    assert!(stripped.status.success());
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
