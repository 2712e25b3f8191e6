//! The proof that the guest's machine code has no pipeline hazards: the checker `hazard`, run over every file of a build.

use std::path::Path;

use aegis_abi::program::{NOTE_TYPE, ProgramHeader};
use anyhow::{Context, Result, ensure};
use hazard::Options;

use crate::build::{Guest, read};
use crate::image;
use crate::workspace::Workspace;

/// Checks every file; prints what is found and fails if anything is.
pub fn check(workspace: &Workspace, guest: &Guest) -> Result<()> {
    let mut count = 0;
    let mut check = |path: &Path, is_program: bool| -> Result<()> {
        let name = workspace.show(path).display();
        let file = read(path)?;
        let options = match is_program {
            true => Options { user: true, restartable: restartable(&file)?, ..Options::default() },
            false => Options::default(),
        };
        let report = hazard::check_elf(&file, &options)?;
        if !report.findings.is_empty() {
            eprint!("{name}: {report}");
            count += report.findings.len();
        }
        Ok(())
    };
    let supervisor = [&guest.kernel, &guest.loader].map(|path| (path, false));
    let programs = guest.programs.values().map(|program| (&program.file, true));
    for (path, is_program) in supervisor.into_iter().chain(programs) {
        check(path, is_program)
            .with_context(|| format!("cannot check {} for hazards", workspace.show(path).display()))?;
    }
    ensure!(count == 0, "the machine code has {count} hazards on an R3000; they are shown above");
    Ok(())
}

/// The functions of a program that may use `$k0` and `$k1`: those in the ranges that its header tells the kernel to restart.
fn restartable(file: &[u8]) -> Result<Vec<String>> {
    let elf = image::parse(file)?;
    let header = image::note(file, NOTE_TYPE)?;
    // Two ranges of a beginning and an end each are the last thing in the header.
    let ranges = header.len().checked_sub(16).filter(|_| header.len() == size_of::<ProgramHeader>());
    let ranges = &file[header.clone()][ranges.context("the program's header has the wrong size")?..];
    let word = |at: usize| u32::from_le_bytes([ranges[at], ranges[at + 1], ranges[at + 2], ranges[at + 3]]);
    let ranges = [word(0)..word(4), word(8)..word(12)].map(|range| u64::from(range.start)..u64::from(range.end));
    let inside = |symbol: &goblin::elf::Sym| {
        let end = symbol.st_value + symbol.st_size;
        symbol.is_function() && ranges.iter().any(|range| range.contains(&symbol.st_value) && end <= range.end)
    };
    let functions = elf.syms.iter().filter(inside);
    Ok(functions.filter_map(|symbol| elf.strtab.get_at(symbol.st_name).map(str::to_owned)).collect())
}

const _: () = {
    let size = size_of::<ProgramHeader>();
    assert!(std::mem::offset_of!(ProgramHeader, return_sequences) == size - 16);
    assert!(std::mem::offset_of!(ProgramHeader, resume) == size - 8);
};
