//! From guest addresses to functions and source lines.

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian};
use goblin::elf::{Elf, program_header::PT_LOAD, sym};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

type Reader = EndianArcSlice<LittleEndian>;

/// What is known of one file.
struct File {
    /// Functions by address: size and name.
    functions: BTreeMap<u32, (u32, String)>,
    /// Where its code is: start and end.
    code: Vec<(u64, u64)>,
    /// Its DWARF sections.
    dwarf: Option<Arc<Dwarf<Reader>>>,
    /// The index of its lines, made when the first line is wanted.
    lines: OnceCell<Option<Context<Reader>>>,
}

impl File {
    /// The index of its lines.
    fn context(&self) -> Option<&Context<Reader>> {
        self.lines.get_or_init(|| Context::from_arc_dwarf(self.dwarf.clone()?).ok()).as_ref()
    }
}

/// The symbols of all files.
#[derive(Default)]
pub struct Symbols {
    files: Vec<File>,
}

/// A place in the guest's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source file.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// Instructions in a row that come from one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first one's address.
    pub start: u32,
    /// Their length in bytes.
    pub length: u32,
    /// The line.
    pub place: Place,
}

impl Symbols {
    /// Adds a file; one without symbols adds nothing.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let Ok(elf) = Elf::parse(bytes) else { return };
        let mut functions = BTreeMap::new();
        for symbol in &elf.syms {
            let code = matches!(symbol.st_type(), sym::STT_FUNC | sym::STT_NOTYPE);
            let Some(name) = elf.strtab.get_at(symbol.st_name) else { continue };
            if code && symbol.st_shndx != 0 && symbol.st_shndx < 0xff00 && !name.is_empty() && !name.starts_with('$') {
                let name = rustc_demangle::try_demangle(name).map_or(name.to_string(), |name| format!("{name:#}"));
                functions.insert(symbol.st_value as u32, (symbol.st_size as u32, name));
            }
        }
        let code = elf
            .program_headers
            .iter()
            .filter(|header| header.p_type == PT_LOAD && header.is_executable())
            .map(|header| (header.p_vaddr, header.p_vaddr.saturating_add(header.p_memsz)))
            .collect();
        let dwarf = Dwarf::load(|id| {
            let data = elf
                .section_headers
                .iter()
                .find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(id.name()))
                .and_then(|header| header.file_range())
                .and_then(|range| bytes.get(range))
                .unwrap_or(&[]);
            Ok::<_, gimli::Error>(EndianArcSlice::new(Arc::from(data), LittleEndian))
        });
        self.files.push(File { functions, code, dwarf: dwarf.ok().map(Arc::new), lines: OnceCell::new() });
    }

    /// The address of a function or label.
    pub fn address(&self, name: &str) -> Option<u32> {
        self.files
            .iter()
            .find_map(|file| file.functions.iter().find(|(_, (_, n))| n == name).map(|(&address, _)| address))
    }

    /// The function that holds an address, and the distance from its start.
    pub fn function(&self, address: u32) -> Option<(&str, u32)> {
        self.files
            .iter()
            .filter_map(|file| {
                let (&start, (size, name)) = file.functions.range(..=address).next_back()?;
                let offset = address - start;
                // A label of assembly has no size: it reaches to the next, within reason.
                let reach = if *size == 0 { 0x1000 } else { *size };
                (offset < reach).then_some((name.as_str(), offset))
            })
            .min_by_key(|&(_, offset)| offset)
    }

    /// The source line of an address.
    pub fn line(&self, address: u32) -> Option<Place> {
        self.files.iter().find_map(|file| {
            let location = file.context()?.find_location(address.into()).ok()??;
            Some(Place { file: location.file?.to_string(), line: location.line? })
        })
    }

    /// Everything that is known of lines, for all of the code. Programs at the same addresses are all there.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for file in &self.files {
            let Some(context) = file.context() else { continue };
            // What the linker threw away has lines too, at addresses where there is no code.
            for &(start, end) in &file.code {
                let Ok(found) = context.find_location_range(start, end) else { continue };
                rows.extend(found.filter_map(|(start, length, location)| {
                    // Line 0 is code that comes from no line.
                    let line = location.line.filter(|&line| line != 0)?;
                    let place = Place { file: location.file?.to_string(), line };
                    Some(Row { start: start.try_into().ok()?, length: length.try_into().ok()?, place })
                }));
            }
        }
        rows
    }

    /// Function, offset and line of an address in one phrase.
    pub fn describe(&self, address: u32) -> Option<String> {
        let function = self.function(address).map(|(name, offset)| match offset {
            0 => name.to_string(),
            _ => format!("{name}+{offset:#x}"),
        });
        let line = self.line(address).map(|place| format!("{}:{}", place.file, place.line));
        match (function, line) {
            (Some(function), Some(line)) => Some(format!("{function}, {line}")),
            (found, None) | (None, found) => found,
        }
    }
}
