//! Damaged images: each is a good one with one thing wrong, and the loader must refuse it in one line.

use std::sync::Arc;
use std::time::Duration;

use aegis_abi::boot::{KERNEL_NAME, PROGRAMS};
use aegis_abi::program::{KERNEL_NOTE_TYPE, NOTE_TYPE};
use anyhow::{Context, Result, ensure};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::{Elf, ProgramHeader};
use libtest_mimic::{Failed, Trial};

use crate::build::{self, read};
use crate::console::Verdict;
use crate::directives::{Expected, Test};
use crate::image::{self, ArchiveFile};
use crate::machine::{Job, Machine};
use crate::run::boot_and_watch;
use crate::test::{Bench, timed};

/// The program in the images.
const PROGRAM: &str = "boot_hello";

/// What an image is made of, to be damaged.
struct Parts {
    /// The archive's files: the kernel, then the program.
    files: Vec<ArchiveFile>,
    arguments: String,
    memory: Option<u32>,
    /// Applied to the archive once it is made.
    damage_archive: fn(&mut Vec<u8>),
    /// Applied to the archive with its header.
    damage_segment: fn(&mut Vec<u8>),
}

/// A damage: its name, what the refusal must say, and how it is done.
type Damage = (&'static str, &'static str, fn(&mut Parts) -> Result<()>);

const DAMAGES: &[Damage] = &[
    ("no_archive", "no boot archive", |parts| {
        parts.damage_segment = |segment| segment[4..].fill(0);
        Ok(())
    }),
    ("not_an_archive", "not a boot archive", |parts| {
        parts.damage_segment = |segment| segment[0] ^= 1;
        Ok(())
    }),
    ("archive_larger_than_memory", "too little memory", |parts| {
        parts.damage_segment = |segment| segment[4..8].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        Ok(())
    }),
    ("archive_cut_short", "cut short", |parts| {
        parts.damage_archive = |archive| archive.truncate(archive.len() / 2);
        Ok(())
    }),
    ("archive_without_end", "cut short", |parts| {
        // The entry that says where the archive ends is its last.
        parts.damage_archive = |archive| archive.truncate(archive.len() - 124);
        Ok(())
    }),
    ("archive_entry_damaged", "damaged", |parts| {
        parts.damage_archive = |archive| archive[0] = b'x';
        Ok(())
    }),
    ("kernel_missing", "no kernel", |parts| {
        parts.files.remove(0);
        Ok(())
    }),
    ("kernel_empty", KERNEL_NAME, |parts| with_kernel(parts, Vec::clear)),
    ("kernel_not_elf", "not an ELF file", |parts| with_kernel(parts, |kernel| kernel[0] = 0)),
    ("kernel_for_another_machine", "not for MIPS", |parts| with_kernel(parts, |kernel| kernel[18] = 62)),
    ("kernel_64_bit", "not a 32-bit ELF file", |parts| with_kernel(parts, |kernel| kernel[4] = 2)),
    ("kernel_big_endian", "not a little-endian ELF file", |parts| with_kernel(parts, |kernel| kernel[5] = 2)),
    ("kernel_cut_short", "cut short", |parts| with_kernel(parts, |kernel| kernel.truncate(kernel.len() / 2))),
    ("kernel_entry_outside", "the entry point", |parts| {
        with_kernel(parts, |kernel| kernel[24..28].copy_from_slice(&0x8000_0300_u32.to_le_bytes()))
    }),
    ("kernel_of_another_abi", "version", |parts| {
        let version = image::note(&parts.files[0].1, KERNEL_NOTE_TYPE)?.start;
        parts.files[0].1[version] ^= 0x40;
        Ok(())
    }),
    ("kernel_over_loader", "overlaps", |parts| {
        let header = load_header(&parts.files[0].1)?;
        parts.files[0].1[header + 8..header + 12].copy_from_slice(&0x8010_0000_u32.to_le_bytes());
        Ok(())
    }),
    ("program_of_another_abi", "version", |parts| {
        let version = image::note(&parts.files[1].1, NOTE_TYPE)?.start;
        parts.files[1].1[version] ^= 0x40;
        Ok(())
    }),
    ("program_in_kernel_memory", "out of range", |parts| {
        let header = load_header(&parts.files[1].1)?;
        parts.files[1].1[header + 8..header + 12].copy_from_slice(&0x8003_0000_u32.to_le_bytes());
        Ok(())
    }),
    ("program_is_kernel", PROGRAM, |parts| {
        parts.files[1].1 = parts.files[0].1.clone();
        Ok(())
    }),
    ("program_missing", "no program", |parts| {
        parts.files.truncate(1);
        Ok(())
    }),
    ("program_twice_in_archive", "twice", |parts| {
        parts.files.push(parts.files[1].clone());
        Ok(())
    }),
    ("too_many_programs", "too many programs", |parts| {
        parts.arguments = [PROGRAM; PROGRAMS + 1].join(" ");
        Ok(())
    }),
    ("argument_without_name", "names no program", |parts| {
        parts.arguments = ",x".to_owned();
        Ok(())
    }),
    ("too_little_memory", "too little memory", |parts| {
        // Its data as large as twice the memory.
        parts.memory = Some(4);
        let header = load_header(&parts.files[1].1)?;
        parts.files[1].1[header + 20..header + 24].copy_from_slice(&(8_u32 << 20).to_le_bytes());
        Ok(())
    }),
];

/// One test for each damage, and one for none.
pub fn trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Vec<Trial> {
    let refused = DAMAGES.iter().map(|&(name, message, damage)| {
        let bench = Arc::clone(bench);
        timed(format!("boot::refused::{name}{suffix}"), move || {
            let mut test = Test::new(Vec::new(), Verdict::Fail);
            test.expect.extend([Expected::text("loader: error: "), Expected::text(message)]);
            // Whatever the kernel says but for the verdict, it must not get to say it.
            test.forbid.extend(["programs ended".to_owned(), format!("{PROGRAM}: hello")]);
            boot(&bench, machine, name, damage, &test)
        })
    });
    let bench_of_good = Arc::clone(bench);
    let good = timed(format!("boot::refused::nothing{suffix}"), move || {
        let mut test = Test::new(Vec::new(), Verdict::Pass);
        test.expect.push(Expected::text("hello"));
        boot(&bench_of_good, machine, "nothing", |_| Ok(()), &test)
    });
    let bench = Arc::clone(bench);
    let silent = timed(format!("boot::silent_guest_is_stopped{suffix}"), move || {
        boot_silent(&bench, machine).map_err(|error| format!("{error:#}").into())
    });
    refused.chain([good, silent]).collect()
}

/// Boots a loader that does nothing, for ever.
fn boot_silent(bench: &Bench, machine: Machine) -> Result<()> {
    let mut loader = read(&bench.guest.system(machine).loader)?;
    let elf = image::parse(&loader)?;
    let holds_entry = |header: &&ProgramHeader| header.vm_range().contains(&(elf.entry as usize));
    let header = elf.program_headers.iter().find(holds_entry).context("the loader's entry is nowhere")?;
    let at = (elf.entry - header.p_vaddr + header.p_offset) as usize;
    // A branch to itself, and nothing in its delay slot.
    loader[at..at + 8].copy_from_slice(&0x1000_ffff_u64.to_le_bytes());
    let image = build::write(&bench.workspace, &format!("{machine}-silent"), &loader)?;
    let job = Job::new(&image, "", Duration::from_secs(1));
    let run = boot_and_watch(machine, &job, &bench.guest.symbols(&bench.workspace, machine), |_| {})?;
    let error = run.judge().err().context("it came to a verdict")?.to_string();
    // The model sees that no interrupt can end this.
    let expected = match machine {
        Machine::Decstation => "it loops on itself with interrupts off",
        Machine::Gxemul | Machine::Malta => "no verdict within 1 s, so it was stopped; its last line is nothing",
    };
    ensure!(error.contains(expected), "{error}");
    Ok(())
}

fn boot(
    bench: &Bench,
    machine: Machine,
    name: &str,
    damage: fn(&mut Parts) -> Result<()>,
    test: &Test,
) -> Result<(), Failed> {
    let make = || -> Result<_> {
        let nothing: fn(&mut Vec<u8>) = |_| {};
        let mut parts = Parts {
            files: bench.guest.archive_files(machine, &[PROGRAM.to_owned()])?,
            arguments: PROGRAM.to_owned(),
            memory: None,
            damage_archive: nothing,
            damage_segment: nothing,
        };
        damage(&mut parts)?;
        let mut archive = image::archive(&parts.files)?;
        (parts.damage_archive)(&mut archive);
        let mut segment = image::segment(&archive)?;
        (parts.damage_segment)(&mut segment);
        let image = image::image(&read(&bench.guest.system(machine).loader)?, &segment)?;
        Ok((build::write(&bench.workspace, &format!("{machine}-refused-{name}"), &image)?, parts))
    };
    let (image, parts) = make().map_err(|error| format!("{error:#}"))?;
    let job = Job { memory: parts.memory, ..Job::new(&image, &parts.arguments, test.timeout) };
    bench.run(machine, &job, test, |_| {})
}

fn with_kernel(parts: &mut Parts, damage: fn(&mut Vec<u8>)) -> Result<()> {
    damage(&mut parts.files[0].1);
    Ok(())
}

/// Where the header of the last loaded segment lies. It holds data, so the entry point is elsewhere.
fn load_header(file: &[u8]) -> Result<usize> {
    let elf = Elf::parse(file)?;
    let index = elf.program_headers.iter().rposition(|header| header.p_type == PT_LOAD).context("nothing is loaded")?;
    Ok(elf.header.e_phoff as usize + 32 * index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = DAMAGES.iter().map(|damage| damage.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DAMAGES.len());
    }
}
