//! The model against published measurements of these machines: `cargo run --release -p decstation --example calibrate`.
//!
//! Prints the tables of docs/model.md. The C programs need Debian's gcc-mipsel-linux-gnu.

#[path = "../tests/common/mod.rs"]
mod common;

use common::load;
use decstation::profile::{DEC2100, DEC3100, DEC5000, DEC5000_200};
use decstation::{Config, Limits, Machine, Mark, Profile, Stop};
use std::path::Path;
use std::process::Command;

/// Runs to the end; the first and the last mark.
fn marks(machine: &mut Machine) -> (Mark, Mark) {
    let stop = machine.run(Limits::instructions(1_000_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    let marks = machine.take_marks();
    (marks[0], marks[marks.len() - 1])
}

fn timed(profile: Profile) -> Config {
    Config { profile, strict: false, timed: true, ..Config::default() }
}

/// Cycles of a program between its marks.
fn assembly(profile: Profile, text: &str) -> f64 {
    let (mut machine, _) = load(timed(profile), &format!("{text}\n{}", common::HALT));
    let (first, last) = marks(&mut machine);
    first.cycles_to(&last) as f64
}

/// Compiles a C file with a start that calls `setup`, then `work` between marks.
fn compile(directory: &Path, name: &str, source: &str, level: &str) -> Option<Vec<u8>> {
    let file = |extension: &str| directory.join(format!("{name}{extension}"));
    let start = "
        .set noreorder
        .globl __start
    __start: lui $29, 0x8020
        jal setup
        nop
        lui $0, 1
        jal work
        nop
        lui $0, 2
        lui $25, 0xbfc0
        ori $25, 0x8138
        jr $25
        nop
    ";
    std::fs::write(file(".S"), start).ok()?;
    std::fs::write(file(".c"), source).ok()?;
    let status = Command::new("mipsel-linux-gnu-gcc")
        .args(["-march=mips1", "-mabi=32", "-EL", "-msoft-float", "-mno-abicalls", "-fno-pic", "-G0", "-ffreestanding"])
        .args(["-fno-builtin", "-nostdlib", "-static", "-Wl,-Ttext=0x80030000", "-Wl,--build-id=none"])
        .args(["-Wl,-z,max-page-size=0x1000", "-Wl,--no-warn-rwx-segments", "-Wl,-N"])
        .args([level, "-o"])
        .args([file(".elf"), file(".S"), file(".c")])
        .status()
        .ok()?;
    if !status.success() {
        return None;
    }
    // The linker adds notes in kuseg as a segment; only code and data matter.
    Command::new("mipsel-linux-gnu-objcopy")
        .args(["-R", ".reginfo", "-R", ".MIPS.abiflags", "-R", ".gnu.attributes"])
        .arg(file(".elf"))
        .output()
        .ok()?;
    std::fs::read(file(".elf")).ok()
}

/// The same loop written by hand, in the order of the source: both pointers step, and the counter is kept and compared with
/// the bound.
const COUNTED: &str = "
    la $8, 0x80040000; la $9, 0x80055f90; la $10, 0x8006bf20; li $11, 0; mark 1
    i: li $12, 0
    j: sll $13, $12, 2; addu $13, $9, $13; move $14, $8; li $15, 0; li $16, 0
    k: lw $2, 0($14); lw $3, 0($13); nop; mult $2, $3; mflo $2; addu $16, $16, $2
       addiu $15, $15, 1; addiu $14, $14, 4; slt $4, $15, $17; bne $4, $0, k; addiu $13, $13, 600
       sw $16, 0($10); addiu $12, $12, 1; slt $4, $12, $17; bne $4, $0, j; addiu $10, $10, 4
       addiu $11, $11, 1; slt $4, $11, $17; bne $4, $0, i; addiu $8, $8, 600
    mark 2";

const MATRIX: &str = "
#define N 150
int a[N][N], b[N][N], c[N][N];
void setup(void) {
    int i, j;
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) { a[i][j] = i + j; b[i][j] = i - j; c[i][j] = 0; }
}
void work(void) {
    int i, j, k;
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) {
            int sum = 0;
            for (k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}
";

const CALL: &str = "
__attribute__((noinline)) void null(void) { __asm__ volatile(\"\"); }
void setup(void) {}
void work(void) {
    int i;
    for (i = 0; i < 100000; i++)
        null();
}
";

/// Paper seconds for the matrix multiply: UNIX and library operating system.
const MATRIX_PAPER: [(Profile, f64, f64); 3] = [(DEC2100, 7.1, 7.0), (DEC3100, 5.2, 5.2), (DEC5000, 3.8, 3.7)];

fn matrix(directory: &Path) {
    println!(
        "\n150x150 integer matrix multiply, seconds; in brackets the error against the nearer of the two published values,\n\
         and instructions / cycles an iteration:\n"
    );
    print!("| machine | published |");
    let mut images = Vec::new();
    for level in ["-O0", "-O1", "-O2"] {
        print!(" {level} |");
        images.push(compile(directory, "matrix", MATRIX, level));
    }
    images.push(Some(counted()));
    println!(" by hand, unscheduled |\n|---|---|{}", "---|".repeat(images.len()));
    for (profile, unix, exo) in MATRIX_PAPER {
        print!("| {} | {unix:.1}, {exo:.1} |", profile.name);
        for image in &images {
            let Some(image) = image else {
                print!(" no compiler |");
                continue;
            };
            let mut machine = Machine::new(timed(profile));
            machine.load_elf(image).expect("the compiler's image");
            let (first, last) = marks(&mut machine);
            let cycles = first.cycles_to(&last);
            let seconds = profile.microseconds(cycles) / 1e6;
            let nearer = if (seconds - unix).abs() < (seconds - exo).abs() { unix } else { exo };
            print!(
                " {seconds:.2} ({:+.0} %; {:.1} / {:.1}) |",
                (seconds / nearer - 1.0) * 100.0,
                first.instructions_to(&last) as f64 / 150f64.powi(3),
                cycles as f64 / 150f64.powi(3)
            );
        }
        println!();
    }
}

/// The loop written by hand, as an image.
fn counted() -> Vec<u8> {
    common::elf(&common::assemble(&format!("li $17, 150\n{COUNTED}\n{}", common::HALT)))
}

fn procedure_call(directory: &Path) {
    println!("\nNull procedure call, cycles (published: 7 on all three):\n");
    println!("| machine | -O0 | -O1 | -O2 | loop of 7 |\n|---|---|---|---|---|");
    let images: Vec<_> = ["-O0", "-O1", "-O2"].iter().map(|level| compile(directory, "call", CALL, level)).collect();
    for profile in [DEC2100, DEC3100, DEC5000, DEC5000_200] {
        print!("| {} |", profile.name);
        for image in &images {
            let Some(image) = image else {
                print!(" no compiler |");
                continue;
            };
            let mut machine = Machine::new(timed(profile));
            machine.load_elf(image).expect("the compiler's image");
            let (first, last) = marks(&mut machine);
            print!(" {:.2} |", first.cycles_to(&last) as f64 / 100_000.0);
        }
        let loop_of_seven = "
            li $8, 0; li $9, 10000; b start2; nop
        null: jr $31; nop
        start2: mark 1
        loop: jal null; addiu $8, $8, 1; slt $2, $8, $9; bne $2, $0, loop; nop
            mark 2";
        println!(" {:.2} |", assembly(profile, loop_of_seven) / 10_000.0);
    }
}

/// A loop of stores like that of a spin lock: n instructions, with two stores to one word, and one to another.
fn stores() {
    println!("\nStore loops on the DECstation 3100, cycles per iteration:\n");
    println!("| loop | published | model |\n|---|---|---|");
    let run = |body: &str| {
        let text = format!("la $8, 0x80040000; li $9, 1000; mark 0; loop: {body}; bne $9, $0, loop; nop; mark 2");
        assembly(DEC3100, &text) / 1000.0
    };
    println!(
        "| 8 instructions, 2 stores to one word | 8 | {:.2} |",
        run("sw $9, 0($8); lw $10, 0($8); nop; nop; addiu $9, $9, -1; sw $0, 0($8)")
    );
    println!(
        "| 9 instructions, and 1 store to another word | 12 | {:.2} |",
        run("sw $9, 0($8); lw $10, 0($8); nop; sw $9, 64($8); nop; addiu $9, $9, -1; sw $0, 0($8)")
    );
}

/// A pass over 4 KB that is or is not in the cache.
fn flushed_copy() {
    println!("\nExtra cycles per word for a pass over 4 KB that is not in the data cache:\n");
    println!("| machine | published | model |\n|---|---|---|");
    for (profile, published) in [(DEC3100, "5.5"), (DEC5000_200, "3.8"), (DEC5000, "")] {
        let pass = |second: &str| {
            // The pass runs once for the code, then over warm or cold words.
            let text = format!(
                "li $17, 2; la $8, 0x80040000
                 again: mark 1; addiu $9, $8, 4096
                 loop: lw $2, 0($8); addiu $8, $8, 4; bne $8, $9, loop; addu $3, $3, $2
                 mark 2
                 addiu $17, $17, -1; bne $17, $0, again; {second}"
            );
            let (mut machine, _) = load(timed(profile), &format!("{text}\n{}", common::HALT));
            let stop = machine.run(Limits::instructions(1_000_000));
            assert_eq!(stop, Stop::Halted, "{stop}");
            let marks = machine.take_marks();
            marks[2].cycles_to(&marks[3]) as f64
        };
        let extra = (pass("nop") - pass("addiu $8, $8, -4096")) / 1024.0;
        println!("| {} | {published} | {extra:.2} |", profile.name);
    }
}

/// A copy loop unrolled four times, data far apart and cold.
fn copy() {
    println!("\nCopy of 32 KB, unrolled four times:\n");
    println!("| machine | published | model, cycles per word | MB/s |\n|---|---|---|---|");
    for (profile, published) in [(DEC3100, ""), (DEC5000, ""), (DEC5000_200, "about 20 MB/s")] {
        let text = "la $8, 0x80040000; la $10, 0x80058000; ori $9, $8, 0x8000; mark 1
            loop: lw $2, 0($8); lw $3, 4($8); lw $4, 8($8); lw $5, 12($8); addiu $8, $8, 16
                  sw $2, 0($10); sw $3, 4($10); sw $4, 8($10); sw $5, 12($10); bne $8, $9, loop; addiu $10, $10, 16
            mark 2";
        let cycles = assembly(profile, text) / 8192.0;
        println!("| {} | {published} | {cycles:.2} | {:.1} |", profile.name, 4.0 * profile.hz as f64 / cycles / 1e6);
    }
}

/// How far the guessed parameters move the matrix multiply of the 5000/125.
fn ranges() {
    println!("\nThe guessed parameters of the 5000/125 over their range, matrix multiply by hand, in seconds:\n");
    println!("| parameter | low | frozen | high |\n|---|---|---|---|");
    let image = counted();
    let seconds = |profile: Profile| {
        let mut machine = Machine::new(timed(profile));
        machine.load_elf(&image).expect("the compiler's image");
        let (first, last) = marks(&mut machine);
        profile.microseconds(first.cycles_to(&last)) / 1e6
    };
    let with = |change: &dyn Fn(&mut Profile)| {
        let mut profile = DEC5000;
        change(&mut profile);
        seconds(profile)
    };
    let frozen = seconds(DEC5000);
    let row = |name: &str, low: f64, high: f64| println!("| {name} | {low:.2} | {frozen:.2} | {high:.2} |");
    row("read miss 27..38", with(&|p| p.read_miss = 27), with(&|p| p.read_miss = 38));
    row("refill 1 word at 9 cycles", with(&|p| (p.refill_words, p.read_miss) = (1, 9)), frozen);
    row("write 1/5..2/10", with(&|p| (p.write_buffer.page_write, p.write_buffer.other_write) = (1, 5)), frozen);
    row("result of mult at 12..13", frozen, with(&|p| p.mult = 13));
}

fn main() {
    let directory = std::env::temp_dir().join(format!("decstation-calibrate-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    procedure_call(&directory);
    matrix(&directory);
    stores();
    flushed_copy();
    copy();
    ranges();
    let _ = std::fs::remove_dir_all(&directory);
}
