//! The proof that the guest's machine code has no pipeline hazards: the checker `hazard`, run over every file of a build.

use std::fs;
use std::mem::offset_of;
use std::path::Path;

use aegis_abi::program::{NOTE_TYPE, ProgramHeader};
use anyhow::{Context, Result, ensure};
use hazard::Options;

use crate::build::{Board, Guest, Program, read};
use crate::directives::excepted_rules;
use crate::image;
use crate::workspace::Workspace;

/// Mends the programs that have room for it.
pub fn mend(workspace: &Workspace, guest: &Guest) -> Result<()> {
    for Program { file: path, .. } in guest.programs.values() {
        let mut file = read(path)?;
        let name = || workspace.show(path).display().to_string();
        if hazard::mend_elf(&mut file).with_context(|| format!("cannot mend {}", name()))? != 0 {
            fs::write(path, file).with_context(|| format!("cannot write {}", name()))?;
        }
    }
    Ok(())
}

/// Checks every file; prints what is found and fails if anything is.
pub fn check(workspace: &Workspace, guest: &Guest) -> Result<()> {
    let mut count = 0;
    let mut check = |path: &Path, what: What| -> Result<()> {
        let name = workspace.show(path).display();
        let file = read(path)?;
        let options = match what {
            What::Program(source) => {
                let source = fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
                let except = excepted_rules(&source)?;
                Options { user: true, restartable: restartable(&file)?, except, ..Options::default() }
            }
            What::Supervisor(Board::Malta) => Options { mips32_kernel: true, ..Options::default() },
            // The kernel hands the floating-point unit on, and so clears its registers.
            What::Supervisor(Board::Decstation) => Options { fpu: true, ..Options::default() },
        };
        let report = hazard::check_elf(&file, &options)?;
        if !report.findings.is_empty() {
            eprint!("{name}: {report}");
            count += report.findings.len();
        }
        Ok(())
    };
    let supervisor = guest
        .systems
        .iter()
        .flat_map(|(board, system)| [&system.kernel, &system.loader].map(|path| (path, What::Supervisor(*board))));
    let programs = guest.programs.values().map(|program| (&program.file, What::Program(&program.source)));
    for (path, what) in supervisor.chain(programs) {
        check(path, what).with_context(|| format!("cannot check {} for hazards", workspace.show(path).display()))?;
    }
    ensure!(
        count == 0,
        "the machine code has {count} hazards; they are shown above (if the compiler made them, of products or divisions, \
         exos_rt::room_for_mends!() in the program lets them be mended)"
    );
    Ok(())
}

/// What a file is.
#[derive(Clone, Copy)]
enum What<'a> {
    /// The kernel or the loader for a board.
    Supervisor(Board),
    /// A program, which runs on an R3000 wherever else it runs, and its source.
    Program(&'a Path),
}

/// The functions of a program that may use `$k0` and `$k1`: those in the ranges that its header tells the kernel to restart.
fn restartable(file: &[u8]) -> Result<Vec<String>> {
    let elf = image::parse(file)?;
    let header = image::note(file, NOTE_TYPE)?;
    // Two ranges of a beginning and an end each.
    ensure!(header.len() == size_of::<ProgramHeader>(), "the program's header has the wrong size");
    let ranges = &file[header.clone()][offset_of!(ProgramHeader, return_sequences)..];
    let word = |at: usize| u32::from_le_bytes([ranges[at], ranges[at + 1], ranges[at + 2], ranges[at + 3]]);
    let ranges = [word(0)..word(4), word(8)..word(12)].map(|range| u64::from(range.start)..u64::from(range.end));
    let inside = |symbol: &goblin::elf::Sym| {
        let end = symbol.st_value + symbol.st_size;
        symbol.is_function() && ranges.iter().any(|range| range.contains(&symbol.st_value) && end <= range.end)
    };
    let functions = elf.syms.iter().filter(inside);
    Ok(functions.filter_map(|symbol| elf.strtab.get_at(symbol.st_name).map(str::to_owned)).collect())
}

const _: () = assert!(offset_of!(ProgramHeader, resume) == offset_of!(ProgramHeader, return_sequences) + 8);
