//! ELF files: where the code is, what is data in it, and names for addresses.

use std::collections::BTreeSet;
use std::ops::Range;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use goblin::elf::header::{EM_MIPS, ET_EXEC, et_to_str, machine_to_str};
use goblin::elf::section_header::{SHF_EXECINSTR, SHT_NOBITS};
use goblin::elf::sym::{STT_FUNC, STT_NOTYPE, STT_OBJECT};
use goblin::elf::{Elf, SectionHeader};
use mips1::Instruction;
use rustc_demangle::demangle;

use crate::check::check;
use crate::code::Code;
use crate::{Location, Options, Report};

/// Why a file could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no ELF file, or a damaged one.
    #[error("not a readable ELF file: {0}")]
    Unreadable(#[from] goblin::error::Error),
    /// It is for some other machine.
    #[error("not 32-bit little-endian MIPS, but {bits}-bit {endian}-endian {machine}")]
    WrongMachine {
        /// 32 or 64.
        bits: u32,
        /// `little` or `big`.
        endian: &'static str,
        /// The machine's name.
        machine: &'static str,
    },
    /// It is an object file or a shared library: addresses are not final.
    #[error("not a linked program, but an ELF file of type {0}")]
    NotLinked(&'static str),
    /// An executable section lies outside of the file, for example.
    #[error("executable section {name} {problem}")]
    BadSection {
        /// The section's name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is nothing to check.
    #[error("no executable section, so nothing to check")]
    NoCode,
}

/// Checks every executable section of a linked 32-bit little-endian MIPS program, the contents of an ELF file.
pub fn check_elf(file: &[u8], options: &Options) -> Result<Report, Error> {
    let elf = Elf::parse(file)?;
    check_header(&elf)?;
    let sections = executable_sections(&elf, file)?;
    let functions = Functions::new(&elf);

    let mut code = Code::default();
    for &(base, bytes) in &sections {
        code.add_section(
            base,
            bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])),
        );
    }
    add_symbols(&mut code, &elf);
    for function in functions.0.iter().filter(|function| function.is_in(&options.restartable)) {
        code.add_restartable(function.addresses.clone());
    }

    let mut findings = check(&code, options);
    if !findings.is_empty() {
        let lines = source_lines(&elf, file);
        for finding in &mut findings {
            finding.function = functions.at(finding.address);
            finding.location = lines.as_ref().and_then(|lines| location(lines, finding.address));
        }
    }
    let instructions = sections.iter().map(|(_, bytes)| bytes.len() / 4).sum();
    Ok(Report { sections: sections.len(), instructions, findings })
}

/// The code of a program, to be looked at word by word.
pub struct Program<'a> {
    elf: Elf<'a>,
    /// Address, place in the file, and words of each section.
    sections: Vec<(u32, usize, Vec<u32>)>,
    targets: BTreeSet<u32>,
}

impl<'a> Program<'a> {
    /// Reads the contents of an ELF file.
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let elf = Elf::parse(file)?;
        check_header(&elf)?;
        let mut sections = Vec::new();
        for (base, bytes) in executable_sections(&elf, file)? {
            let offset = bytes.as_ptr() as usize - file.as_ptr() as usize;
            let words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            sections.push((base, offset, words.collect::<Vec<_>>()));
        }
        let all = sections.iter().flat_map(|(base, _, words)| (*base..).step_by(4).zip(words));
        let targets = all.filter_map(|(address, &word)| Instruction::decode(word)?.target(address)).collect();
        Ok(Self { elf, sections, targets })
    }

    /// The addresses of a function with this name.
    pub fn function(&self, name: &str) -> Option<Range<u32>> {
        let is_it = |symbol: &goblin::elf::Sym| self.elf.strtab.get_at(symbol.st_name) == Some(name);
        let symbol = self.elf.syms.iter().find(is_it)?;
        let start = symbol.st_value as u32;
        Some(start..start + symbol.st_size as u32)
    }

    /// The addresses of all words.
    pub fn addresses(&self) -> impl Iterator<Item = u32> {
        self.sections.iter().flat_map(|(base, _, words)| (*base..).step_by(4).take(words.len()))
    }

    /// The word at an address.
    pub fn word(&self, address: u32) -> Option<u32> {
        self.sections.iter().find_map(|(base, _, words)| words.get((address.checked_sub(*base)? / 4) as usize).copied())
    }

    /// Where it is in the file.
    pub fn offset(&self, address: u32) -> Option<usize> {
        self.sections.iter().find_map(|(base, offset, words)| {
            let distance = address.checked_sub(*base)? as usize;
            (distance / 4 < words.len()).then_some(offset + distance)
        })
    }

    /// Whether a branch or a jump goes there.
    pub fn is_target(&self, address: u32) -> bool {
        self.targets.contains(&address)
    }
}

fn check_header(elf: &Elf) -> Result<(), Error> {
    let machine = elf.header.e_machine;
    if elf.is_64 || !elf.little_endian || machine != EM_MIPS {
        let bits = if elf.is_64 { 64 } else { 32 };
        let endian = if elf.little_endian { "little" } else { "big" };
        return Err(Error::WrongMachine { bits, endian, machine: machine_to_str(machine) });
    }
    if elf.header.e_type != ET_EXEC {
        return Err(Error::NotLinked(et_to_str(elf.header.e_type)));
    }
    Ok(())
}

/// Address and contents of every executable section, by ascending address.
fn executable_sections<'a>(elf: &Elf, file: &'a [u8]) -> Result<Vec<(u32, &'a [u8])>, Error> {
    let mut sections = Vec::new();
    for header in &elf.section_headers {
        if header.sh_flags & u64::from(SHF_EXECINSTR) == 0 || header.sh_type == SHT_NOBITS || header.sh_size == 0 {
            continue;
        }
        let bad = |problem| Error::BadSection { name: section_name(elf, header).into(), problem };
        let bytes = contents(header, file).ok_or_else(|| bad("lies outside of the file"))?;
        if !header.sh_addr.is_multiple_of(4) || !header.sh_size.is_multiple_of(4) {
            return Err(bad("is not made of whole, aligned words"));
        }
        if header.sh_addr + header.sh_size > 1 << 32 {
            return Err(bad("lies outside of the address space"));
        }
        sections.push((header.sh_addr as u32, bytes, header));
    }
    sections.sort_by_key(|&(base, ..)| base);
    for pair in sections.windows(2) {
        if u64::from(pair[0].0) + pair[0].1.len() as u64 > u64::from(pair[1].0) {
            let name = section_name(elf, pair[1].2).into();
            return Err(Error::BadSection { name, problem: "overlaps with another" });
        }
    }
    if sections.is_empty() {
        return Err(Error::NoCode);
    }
    Ok(sections.into_iter().map(|(base, bytes, _)| (base, bytes)).collect())
}

fn section_name<'a>(elf: &Elf<'a>, header: &SectionHeader) -> &'a str {
    elf.shdr_strtab.get_at(header.sh_name).unwrap_or("without a name")
}

fn contents<'a>(header: &SectionHeader, file: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(header.sh_offset).ok()?;
    let size = usize::try_from(header.sh_size).ok()?;
    file.get(start..start.checked_add(size)?)
}

/// Tells `code` which addresses execution may come to from elsewhere, and which words are data.
fn add_symbols(code: &mut Code, elf: &Elf) {
    code.add_entry(elf.entry as u32);
    let mut data = Vec::new();
    for symbol in elf.syms.iter() {
        let address = symbol.st_value as u32;
        match symbol.st_type() {
            STT_FUNC | STT_NOTYPE => code.add_entry(address),
            STT_OBJECT => data.push(address..address.saturating_add(symbol.st_size as u32)),
            _ => {}
        }
    }
    code.mark_data(data);
}

struct Function<'a> {
    name: &'a str,
    /// Empty if the symbol has no size.
    addresses: Range<u32>,
}

impl Function<'_> {
    fn demangled(&self) -> String {
        format!("{:#}", demangle(self.name))
    }

    fn is_in(&self, names: &[String]) -> bool {
        names.iter().any(|name| name == self.name || *name == self.demangled())
    }
}

/// The program's functions, by ascending address.
struct Functions<'a>(Vec<Function<'a>>);

impl<'a> Functions<'a> {
    fn new(elf: &Elf<'a>) -> Self {
        let symbols = elf.syms.iter().filter(|symbol| symbol.st_type() == STT_FUNC);
        let mut functions: Vec<Function> = symbols
            .filter_map(|symbol| {
                let start = symbol.st_value as u32;
                let addresses = start..start.saturating_add(symbol.st_size as u32);
                Some(Function { name: elf.strtab.get_at(symbol.st_name)?, addresses })
            })
            .collect();
        functions.sort_by_key(|function| function.addresses.start);
        Self(functions)
    }

    /// The name of the function that an address lies in. One whose symbol has no size reaches up to the next.
    fn at(&self, address: u32) -> Option<String> {
        let before = &self.0[..self.0.partition_point(|function| function.addresses.start <= address)];
        let function = before.last()?;
        (function.addresses.is_empty() || function.addresses.contains(&address)).then(|| function.demangled())
    }
}

type Lines<'a> = Context<EndianSlice<'a, LittleEndian>>;

/// The debug information. Where it is missing or damaged, findings have no source lines; the check itself needs none.
fn source_lines<'a>(elf: &Elf, file: &'a [u8]) -> Option<Lines<'a>> {
    let section = |id: addr2line::gimli::SectionId| {
        let header = elf.section_headers.iter().find(|header| section_name(elf, header) == id.name());
        let bytes = header.and_then(|header| contents(header, file)).unwrap_or(&[]);
        Ok::<_, addr2line::gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}

fn location(lines: &Lines, address: u32) -> Option<Location> {
    let location = lines.find_location(u64::from(address)).ok()??;
    Some(Location { file: location.file?.to_string(), line: location.line? })
}
