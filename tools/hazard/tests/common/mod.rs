//! Builds minimal ELF files for the tests.

use mips1::Register as R;
use mips1::encode::*;

/// Where [`Program`] puts its code.
pub const BASE: u32 = 0x8000_1000;

/// Symbol types.
pub const OBJECT: u8 = 1;
pub const FUNC: u8 = 2;

/// A linked program with one executable section.
#[derive(Default)]
pub struct Program {
    pub code: Vec<u32>,
    /// Name, type, first word and number of words.
    pub symbols: Vec<(&'static str, u8, u32, u32)>,
    /// Add debug information that says: file `lib.rs`, line 42.
    pub debug: bool,
}

impl Program {
    pub fn new(code: &[u32]) -> Self {
        Self { code: code.to_vec(), ..Self::default() }
    }

    /// One hazard in function `probe::walk`, with everything that a file can have.
    pub fn with_hazard() -> Self {
        Self {
            code: vec![lw(R::T0, 0, R::A0), lw(R::V0, 0, R::T0), jr(R::RA), nop(), 0xffff_ffff],
            symbols: vec![("_ZN5probe4walk17h0123456789abcdefE", FUNC, 0, 4), ("TABLE", OBJECT, 4, 1)],
            debug: true,
        }
    }

    /// The ELF file.
    pub fn link(&self) -> Vec<u8> {
        let code: Vec<u8> = self.code.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut names = vec![0];
        let mut symbols = vec![0; 16];
        for &(name, kind, start, length) in &self.symbols {
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend((BASE + 4 * start).to_le_bytes());
            symbols.extend((4 * length).to_le_bytes());
            symbols.extend([0x10 | kind, 0, 1, 0]); // global, in section 1
            names.extend(name.bytes().chain([0]));
        }
        let text = Section { flags: 6, address: BASE, ..Section::new(".text", code) };
        let symbols = Section { kind: 2, link: 3, entry_size: 16, ..Section::new(".symtab", symbols) };
        let names = Section { kind: 3, ..Section::new(".strtab", names) };
        let mut sections = vec![Section::default(), text, symbols, names];
        if self.debug {
            let size = 4 * self.code.len() as u32;
            sections.push(Section::new(".debug_abbrev", debug_abbrev()));
            sections.push(Section::new(".debug_info", debug_info(size)));
            sections.push(Section::new(".debug_line", debug_line(size)));
        }
        let mut section_names: Vec<u8> = sections.iter().flat_map(|section| section.name.bytes().chain([0])).collect();
        section_names.extend(b".shstrtab\0");
        sections.push(Section { kind: 3, ..Section::new(".shstrtab", section_names) });

        let mut contents: Vec<u8> = Vec::new();
        let mut headers: Vec<u8> = Vec::new();
        let mut name = 0;
        for section in &sections {
            let Section { kind, flags, address, link, entry_size, .. } = *section;
            let offset = 52 + contents.len() as u32;
            let size = section.contents.len() as u32;
            for field in [name, kind, flags, address, offset, size, link, 1, 4, entry_size] {
                headers.extend(field.to_le_bytes());
            }
            contents.extend(&section.contents);
            name += section.name.len() as u32 + 1;
        }

        let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([2, 0, 8, 0]); // executable, MIPS
        for field in [1, BASE, 0, 52 + contents.len() as u32, 0x1000] {
            file.extend(u32::to_le_bytes(field)); // version, entry, program headers, section headers, flags
        }
        let count = sections.len() as u16;
        for field in [52, 32, 0, 40, count, count - 1] {
            file.extend(u16::to_le_bytes(field)); // sizes and numbers of headers
        }
        file.extend(contents);
        file.extend(headers);
        file
    }
}

/// A section, with the fields of its header that are not the same for all.
#[derive(Default)]
struct Section {
    name: &'static str,
    kind: u32,
    flags: u32,
    address: u32,
    link: u32,
    entry_size: u32,
    contents: Vec<u8>,
}

impl Section {
    fn new(name: &'static str, contents: Vec<u8>) -> Self {
        Self { name, kind: 1, contents, ..Self::default() }
    }
}

/// One kind of entry: a compilation unit with name, line table, and address range.
fn debug_abbrev() -> Vec<u8> {
    vec![1, 0x11, 0, 0x03, 0x08, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0, 0]
}

fn debug_info(size: u32) -> Vec<u8> {
    let mut unit = vec![4, 0, 0, 0, 0, 0, 4]; // DWARF 4, abbreviations at 0, addresses of 4 bytes
    unit.push(1);
    unit.extend(b"lib.rs\0");
    unit.extend(0u32.to_le_bytes());
    unit.extend(BASE.to_le_bytes());
    unit.extend(size.to_le_bytes());
    with_length(unit)
}

fn debug_line(size: u32) -> Vec<u8> {
    let mut header = vec![4, 1, 1, 0xfb, 14, 13]; // instructions of 4 bytes, then the usual parameters
    header.extend([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
    header.push(0); // no directories
    header.extend(b"lib.rs\0\0\0\0\0");
    let mut unit = vec![4, 0]; // DWARF 4
    unit.extend(with_length(header));
    unit.extend([0, 5, 2]); // set the address
    unit.extend(BASE.to_le_bytes());
    unit.extend([3, 41, 1]); // from line 1 to line 42, and a row
    unit.extend([2, (size / 4) as u8, 0, 1, 1]); // advance to the end, and the last row
    with_length(unit)
}

fn with_length(bytes: Vec<u8>) -> Vec<u8> {
    let mut unit = (bytes.len() as u32).to_le_bytes().to_vec();
    unit.extend(bytes);
    unit
}
