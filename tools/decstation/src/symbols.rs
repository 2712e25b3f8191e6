//! From guest addresses to functions and source lines.

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian};
use goblin::elf::{Elf, sym};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

type Reader = EndianArcSlice<LittleEndian>;

/// What is known of one file.
struct File {
    /// Functions by address: size and name.
    functions: BTreeMap<u32, (u32, String)>,
    /// Its DWARF sections.
    dwarf: Option<Arc<Dwarf<Reader>>>,
    /// The index of its lines, made when the first line is wanted.
    lines: OnceCell<Option<Context<Reader>>>,
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
        self.files.push(File { functions, dwarf: dwarf.ok().map(Arc::new), lines: OnceCell::new() });
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
            let index = || Context::from_arc_dwarf(file.dwarf.clone()?).ok();
            let context = file.lines.get_or_init(index).as_ref()?;
            let location = context.find_location(address.into()).ok()??;
            Some(Place { file: location.file?.to_string(), line: location.line? })
        })
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
