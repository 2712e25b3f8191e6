//! The parts that a library operating system is made of, where each is, and how large.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};

use crate::workspace::Workspace;

/// A part: its name, files and directories, and the option of `new` that begins with another in its place.
struct Part {
    name: &'static str,
    places: &'static [&'static str],
    replaced: &'static str,
}

/// All of ExOS, what it stands on, and what stands beside it.
const PARTS: [Part; 16] = [
    part("runtime: calls, start, transfers, console", &["exos/rt/src"], "cargo exo new NAME keeps this alone"),
    part("page tables", &["exos/tables/src", "exos/exos/src/page_table.rs"], "--replace page-table"),
    part("memory: zeros, copies, rights, paging", &["exos/exos/src/vm.rs", "exos/exos/src/backing.rs"], ""),
    part("exceptions and signals", &["exos/exos/src/exception.rs", "exos/exos/src/signal.rs"], ""),
    part("what it keeps of an environment", &["exos/exos/src/state.rs", "exos/exos/src/lib.rs"], ""),
    part("schedulers and paging policies", &["exos/policy/src", "exos/exos/src/scheduler.rs"], "--replace scheduler"),
    part("threads", &["exos/exos/src/thread.rs", "exos/exos/src/sync.rs"], ""),
    part("communication: pipes, procedures", &["exos/exos/src/pipe.rs", "exos/exos/src/rpc.rs"], "--replace ipc"),
    part("protocols: TCP/IP, over smoltcp", &["exos/net/src"], "--replace protocol"),
    part("files of a server of NFS", &["exos/nfs/src"], ""),
    part("processes, files, terminal", &["exos/exos/src/process", "exos/exos/src/console.rs"], ""),
    part("programs: a shell, tools, a web server", &["exos/apps/src"], ""),
    part("mini, a library operating system of events", &["exos/mini/src"], ""),
    part("programs in C, under picolibc", &["exos/c/src"], "--c"),
    part("begun with: templates of `new`", &["exos/templates"], ""),
    part("the interface that all stand on", &["aegis/abi/src"], "no: it is the kernel's"),
];

const fn part(name: &'static str, places: &'static [&'static str], replaced: &'static str) -> Part {
    Part { name, places, replaced }
}

/// Prints the parts, with their size in lines.
pub fn list(workspace: &Workspace) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["part", "lines", "where", "to begin with another"]);
    for part in &PARTS {
        let mut lines = 0;
        for place in part.places {
            for file in files(&workspace.root.join(place))? {
                lines += code_lines(&fs::read_to_string(&file)?);
            }
        }
        table.add_row([part.name, &lines.to_string(), &part.places.join("\n"), part.replaced]);
    }
    table.column_mut(1).expect("there are four").set_cell_alignment(CellAlignment::Right);
    println!("{table}");
    println!("lines: of Rust and assembly, without those that are blank or a comment alone");
    Ok(())
}

/// The files of Rust at a place.
pub fn files(place: &Path) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    Ok(all)
}

fn code_lines(source: &str) -> usize {
    source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_code() {
        assert_eq!(code_lines("//! What.\n\nfn f() { // here\n    // there\n}\n"), 2);
    }

    #[test]
    fn every_file_is_of_one_part() {
        let workspace = Workspace::find().unwrap();
        let mut of_parts = Vec::new();
        for place in PARTS.iter().flat_map(|part| part.places) {
            of_parts.extend(files(&workspace.root.join(place)).unwrap());
        }
        let all = files(&workspace.root.join("exos")).unwrap();
        for file in all.iter().filter(|file| file.components().any(|part| part.as_os_str() == "src")) {
            let count = of_parts.iter().filter(|other| *other == file).count();
            assert_eq!(count, 1, "{}", file.display());
        }
    }
}
