//! Lockstep with GXemul (`-e 3max`): the same instructions in the same order, from the entry into user mode and back.
//!
//! The program here does what a kernel's start does and stays clear of where GXemul differs from the machine. What differs, and so
//! ends the lockstep of a program that does it:
//! - a load's delay slot sees the new value; `mult` near `mfhi`, and CP0 writes, have no delays
//! - interrupts are taken late, the clock follows the host, Random moves with each `tlbwr` only
//! - user mode reaches recently used kernel pages and coprocessor 0; `jr` to an odd address raises nothing
//! - stores reach the instruction cache at once, isolated caches are small, absent memory reads as zero
//! - MIPS II instructions are executed, and `addi` never overflows
//!
//! With `DECSTATION_IMAGE=kernel.elf` the test runs that image instead and says how far the two agree.

mod common;
use common::*;
use decstation::{Config, Limits, Machine};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const PROGRAM: &str = "
    .org 0x80000000
        mfc0 $26, $8; lui $27, 0x0004; or $26, $26, $27; srl $26, $26, 12; sll $26, $26, 12; ori $26, $26, 0x700
        mtc0 $26, $2; mfc0 $26, $14; tlbwr; jr $26; rfe
    .org 0x80000080
        mfc0 $26, $13; mfc0 $27, $14; andi $26, $26, 0x7c; addu $16, $16, $26; addiu $27, $27, 4; jr $27; rfe
    .org 0x80030000
    start:  move $17, $7; li $16, 0
            lw $8, 0x30($17); la $4, text; jalr $8; li $5, 1995
            lw $8, 0x64($17); la $4, name; jalr $8; nop
            lw $8, 0x30($17); la $4, string; move $5, $2; jalr $8; nop
            lw $8, 0x80($17); nop; jalr $8; nop; move $18, $2
            li $8, 5; la $9, 0x80040000
    fill:   sw $8, 0($9); addiu $8, $8, -1; bne $8, $0, fill; addiu $9, $9, 4
            syscall; break
            lw $2, 1($9); nop
            li $8, 0x7fffffff; add $2, $8, $8
            sw $8, 2($9); nop
            li $9, 0x3000; lw $2, 4($9); nop; addiu $2, $2, 1; sw $2, 0x1004($9)
            li $9, 0x3ffe; lwl $2, 3($9); lwr $2, 0($9); nop
            mult $2, $8; mflo $3; mfhi $4; nop; nop; div $8, $9; mflo $5
            la $8, user; mtc0 $0, $4; la $9, 0x00050000; or $9, $9, $0; li $10, 0x30000008
            mtc0 $10, $12; nop; nop
            lui $11, 0x8005; la $12, user
    copy:   lw $2, 0($12); addiu $12, $12, 4; sw $2, 0($11); bne $2, $13, copy; addiu $11, $11, 4
            la $12, 0x00010000; jr $12; rfe
    user:   addiu $16, $16, 1; syscall; bgezal $0, on; nop
    on:     addu $16, $16, $31; la $8, 0x00010000; sw $0, 0x200($8); lw $2, 0x200($8); nop
            .word 0x0000000c
            .word 0
    name:   .word 0x736e6f63, 0x00656c6f
    text:   .word 0x0a216925
            .word 0
    string: .word 0x00000a73
";

/// `address: word` lines of GXemul's instruction trace.
fn gxemul_trace(image: &std::path::Path, limit: usize) -> Option<Vec<(u32, u32)>> {
    // The file's name is an argument of the guest; the model says "kernel".
    let directory = std::env::temp_dir().join(format!("decstation-gxemul-{}", std::process::id()));
    std::fs::create_dir_all(&directory).ok()?;
    std::fs::copy(image, directory.join("kernel")).ok()?;
    let mut child = Command::new("gxemul")
        .args(["-A", "-q", "-i", "-e", "3max", "-M", "16", "-o", "", "kernel"])
        .current_dir(&directory)
        // An open, silent pipe: at the end of input GXemul would hang.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut lines = Vec::new();
    let mut text = Vec::new();
    let mut output = child.stdout.take()?;
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
        while let Some(end) = text.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            lines.extend(parse(&String::from_utf8_lossy(&line)));
        }
        if lines.len() >= limit {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(directory);
    Some(lines)
}

fn parse(line: &str) -> Option<(u32, u32)> {
    // Console output may stand before the address on the same line.
    let at = line.find(": ")?;
    let address = line.get(at.checked_sub(8)?..at)?;
    let word = line.get(at + 2..at + 10)?;
    Some((u32::from_str_radix(address, 16).ok()?, u32::from_str_radix(word, 16).ok()?))
}

#[test]
fn lockstep() {
    let directory = std::env::temp_dir();
    let own = directory.join(format!("decstation-gxemul-{}.elf", std::process::id()));
    let image = std::env::var_os("DECSTATION_IMAGE").map(std::path::PathBuf::from);
    // The word that ends the copy is fetched into $13 first.
    let text = PROGRAM.replace("lui $11, 0x8005;", "lui $11, 0x8005; li $13, 0;");
    std::fs::write(&own, elf(&assemble(&text))).expect("a temporary file");
    let path = image.clone().unwrap_or_else(|| own.clone());
    let bytes = std::fs::read(&path).expect("the image");

    let steps = Arc::new(Mutex::new(Vec::new()));
    let mut machine = Machine::new(Config { timed: false, strict: false, ram_mb: 16, ..Config::default() });
    machine.load_elf(&bytes).expect("the image");
    let sink = steps.clone();
    machine.set_tracer(Some(Box::new(move |step| sink.lock().expect("one thread").push((step.pc, step.word)))));
    let limit = if image.is_some() { 2_000_000 } else { 250 };
    let stop = machine.run(Limits::instructions(limit));
    let mut ours = steps.lock().expect("one thread").clone();

    let Some(mut theirs) = gxemul_trace(&path, ours.len()) else {
        eprintln!("SKIPPED: no gxemul here (apt-get install gxemul)");
        return;
    };
    let _ = std::fs::remove_file(own);
    // The two ROMs have the same functions at the same addresses, but not the same instructions.
    for (_, word) in ours.iter_mut().chain(&mut theirs).filter(|(address, _)| *address >= 0xbfc0_0000) {
        *word = 0;
    }
    let equal = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let show = |trace: &[(u32, u32)]| {
        trace
            .iter()
            .skip(equal.saturating_sub(3))
            .take(8)
            .map(|(a, w)| format!("{a:08x}: {w:08x}\n"))
            .collect::<String>()
    };
    if image.is_some() {
        println!(
            "{equal} instructions agree; the model: {}\n{}\nGXemul:\n{}",
            machine.describe(&stop),
            show(&ours),
            show(&theirs)
        );
        return;
    }
    assert!(
        equal == ours.len() && equal == 250,
        "{equal} of {} instructions agree ({stop}).\nthe model:\n{}GXemul:\n{}",
        ours.len(),
        show(&ours),
        show(&theirs)
    );
}
