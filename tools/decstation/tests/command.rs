//! The command: exit status, console, and what it prints about a run.

mod common;
use common::*;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The built command.
fn decstation() -> Command {
    Command::new(env!("CARGO_BIN_EXE_decstation"))
}

/// Runs it on an image, with no input.
fn run_image(arguments: &[&str], image: &Path) -> (Output, String) {
    let output = decstation().args(arguments).arg(image).stdin(Stdio::null()).output().expect("runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, error)
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
        let (output, error) = run_image(arguments, &image);
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
fn the_command_has_a_network() {
    let image = write("network", &elf(&assemble(HALT)));
    let file = image.with_extension("pcap");
    let capture = file.to_string_lossy();
    let on = ["--ethernet", "08:00:2b:00:00:01"];
    for (arguments, status, message) in [
        (vec!["--pcap", &capture], 0, ""),
        (vec!["--tunnel", "127.0.0.1:0=127.0.0.1:9"], 0, ""),
        (vec!["--tunnel", "127.0.0.1:0=192.0.2.1:9"], 1, "192.0.2.1:9 is not a loop-back address"),
        (vec!["--tunnel", "127.0.0.1:0"], 2, "LOCAL=REMOTE"),
        (vec!["--pcap", "/"], 1, "can't write /"),
    ] {
        let (output, error) = run_image(&[&on[..], &arguments].concat(), &image);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    for arguments in [["--ethernet", "01:00:5e:00:00:01"], ["--ethernet", "08:00:2b"], ["--pcap", &capture]] {
        assert_eq!(run_image(&arguments, &image).0.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(std::fs::read(&file).expect("written").len(), 24);
    for path in [image, file] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn the_command_reads_its_console() {
    use std::io::Write;
    // Read a character by the PROM, print it, until there is none.
    let text = format!(
        "move $17, $7; again: lw $8, 0x24($17); nop; jalr $8; nop; bltz $2, done; nop; la $8, 0xbfc00068; jalr $8; move $4, $2; b again; nop; done: {HALT}"
    );
    let image = write("echo", &elf(&assemble(&text)));
    let mut child = decstation().arg(&image).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("a pipe").write_all(b"hello").expect("written");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.stdout, b"hello");
    let _ = std::fs::remove_file(image);
}

/// A program of three functions, of which `work` is the hot one and `never` is not called.
const SOURCE: &str = "\
void halt(void) { ((void (*)(void))0xbfc08138)(); }
__attribute__((noinline)) unsigned work(unsigned n) {
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += i * i;
    return sum;
}
__attribute__((noinline)) unsigned never(unsigned n) {
    return n + 5;
}
void _start(void) {
    unsigned sum = work(1000);
    if (sum == 42)
        sum = never(sum);
    *(volatile unsigned *)0xa0040000 = sum;
    halt();
    for (;;) ;
}
";

#[test]
fn hot_functions_and_lines() {
    let Some((source, image)) = compile("hot", SOURCE) else { return };
    let (output, error) = run_image(&["--hot", "2"], &image);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let rows: Vec<Vec<&str>> = error.lines().map(|line| line.split_whitespace().collect()).collect();
    let titles = ["cycles", "instructions", "function"];
    assert_eq!(rows[0], titles, "{error}");
    assert_eq!(rows[1][3], "work", "{error}");
    assert!(rows[1][1].trim_end_matches('%').parse::<f64>().expect("a share") > 90.0, "{error}");
    assert_eq!(rows[2].len(), 4, "{error}");
    assert_eq!(rows[3][2..], ["line,", "within", "work"], "{error}");
    // The sum's line waits for the multiplier.
    assert!(rows[4][3].ends_with("hot.c:5"), "{error}");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    assert!(number(rows[4][0]) > 12_000 && number(rows[4][0]) <= number(rows[1][0]), "{error}");
    assert_eq!(rows.len(), 6, "two functions and two lines: {error}");
    // It measures the same run.
    let cycles = |arguments: &[&str]| {
        let (_, error) = run_image(arguments, &image);
        error.lines().find(|line| line.contains("instructions, ")).map(str::to_string)
    };
    assert_eq!(cycles(&["--stats"]), cycles(&["--stats", "--hot", "1"]));
    assert_eq!(decstation().args(["--hot", "0"]).arg(&image).output().expect("runs").status.code(), Some(2));
    for path in [source, image] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn coverage_of_source_lines() {
    let Some((source, image)) = compile("coverage", SOURCE) else { return };
    let file = image.with_extension("info");
    let (output, error) = run_image(&["--coverage", &file.to_string_lossy(), "--functional"], &image);
    assert_eq!((output.status.code(), error.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(&file).expect("the coverage");
    assert!(text.lines().next().is_some_and(|line| line.starts_with("SF:") && line.ends_with("coverage.c")), "{text}");
    assert!(text.ends_with("end_of_record\n"), "{text}");
    let count = |line: u32| {
        let start = format!("DA:{line},");
        text.lines().find_map(|row| row.strip_prefix(&start)).map(|count| count.parse::<u64>().expect("a number"))
    };
    assert_eq!(count(5), Some(1000), "{text}");
    // Which of its lines the compiler names is its own affair.
    let never: Vec<u64> = (8..=10).filter_map(count).collect();
    assert!(!never.is_empty() && never.iter().all(|&count| count == 0), "never called: {text}");
    assert_eq!(count(14), Some(0), "never reached: {text}");
    assert_eq!(count(15), Some(1), "{text}");
    assert_eq!(count(16), Some(1), "{text}");
    let all = text.lines().filter(|line| line.starts_with("DA:")).count();
    let hit = text.lines().filter(|line| line.starts_with("DA:") && !line.ends_with(",0")).count();
    assert!(text.contains(&format!("LH:{hit}\nLF:{all}\n")), "{text}");
    // A file that can't be written is known before anything runs.
    let (output, error) = run_image(&["--coverage", "/nonexistent/x"], &image);
    assert_eq!((output.status.code(), error.contains("can't write /nonexistent/x")), (Some(1), true), "{error}");
    for path in [source, image, file] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn the_end_says_where_the_guest_was() {
    let Some((source, image)) = compile("where", SOURCE) else { return };
    let (output, error) = run_image(&["--max-instructions", "3000"], &image);
    assert_eq!(output.status.code(), Some(3));
    assert!(error.contains("the budget is used up at 800300") && error.contains("[work+0x"), "{error}");
    assert!(error.contains("where.c:5") || error.contains("where.c:4"), "{error}");
    let wrong = SOURCE.replace("0xa0040000", "0xa1000000");
    let Some((other, broken)) = compile("broken", &wrong) else { return };
    let (output, error) = run_image(&["--strict"], &broken);
    assert_eq!(output.status.code(), Some(4));
    assert!(error.contains("wild-store") && error.contains("[_start+0x") && error.contains("broken.c:15]"), "{error}");
    let endless = SOURCE.replace("    halt();\n", "");
    let Some((third, stuck)) = compile("stuck", &endless) else { return };
    let (output, error) = run_image(&[], &stuck);
    assert_eq!(output.status.code(), Some(5));
    assert!(error.contains("stuck at") && error.contains("[_start+0x") && error.contains("stuck.c:16]"), "{error}");
    for path in [source, image, other, broken, third, stuck] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn a_floating_point_unit_when_asked_for() {
    let text = format!("li $8, 0x30000000; mtc0 $8, $12; nop; nop; nop; cfc1 $2, $0; nop; {HALT}");
    let image = write("fpu", &elf(&assemble(&text)));
    let (output, error) = run_image(&["--strict"], &image);
    assert_eq!((output.status.code(), error.contains("strict: fpu at")), (Some(4), true), "{error}");
    let (output, error) = run_image(&["--strict", "--fpu", "--stats"], &image);
    assert_eq!((output.status.code(), error.contains("floating point")), (Some(0), true), "{error}");
    let _ = std::fs::remove_file(image);
}
