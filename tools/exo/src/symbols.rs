//! From addresses to source lines: wherever the console says `pc=0x…`, the place in the source is added.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use aegis_abi::console::{KERNEL, PC};
use aegis_abi::vm::USER_END;

use crate::image;

/// The ELF files of everything that runs.
#[derive(Default)]
pub struct Symbols {
    root: PathBuf,
    /// Kernel and loader, which share the addresses above [`USER_END`].
    kernels: Vec<File>,
    /// The programs, by name.
    programs: BTreeMap<String, File>,
}

/// An ELF file that is read when it is first asked for.
struct File {
    path: PathBuf,
    contents: OnceCell<Option<Contents>>,
}

/// Where an instruction comes from.
pub struct Origin {
    /// Source file and line, if a compiler made it.
    pub location: Option<(String, u32)>,
    /// The function it is in, and how many bytes from its beginning.
    pub function: Option<(String, usize)>,
}

struct Contents {
    /// The addresses of its code.
    code: Vec<Range<u64>>,
    /// What stands there.
    words: Vec<Vec<u8>>,
    /// The functions, by address.
    functions: BTreeMap<u64, String>,
    debug: Loader,
}

impl Symbols {
    /// Symbols of these files; paths of sources below `root` are shown relative to it.
    pub fn new<'a>(
        root: &Path,
        kernels: impl IntoIterator<Item = &'a Path>,
        programs: impl IntoIterator<Item = (&'a str, &'a Path)>,
    ) -> Self {
        Self {
            root: root.to_owned(),
            kernels: kernels.into_iter().map(File::new).collect(),
            programs: programs.into_iter().map(|(name, path)| (name.to_owned(), File::new(path))).collect(),
        }
    }

    /// The line with ` (FILE:LINE in FUNCTION)` behind each `pc=0x…` whose place is known.
    ///
    /// The line says whose address it is: `aegis: NAME: …` and `NAME: …` speak about the program NAME.
    pub fn annotate(&self, line: &str) -> String {
        let about = line.strip_prefix(KERNEL).unwrap_or(line);
        let program = about.split_once(": ").and_then(|(name, _)| self.programs.get(name));
        let mut result = String::new();
        let mut rest = line;
        while let Some(found) = rest.find(PC) {
            let digits = found + PC.len();
            let length = rest[digits..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len() - digits);
            let (before, behind) = rest.split_at(digits + length);
            result.push_str(before);
            let address = u32::from_str_radix(&rest[digits..digits + length], 16).ok();
            if let Some(place) = address.and_then(|address| self.place(program, address)) {
                result.push_str(&format!(" ({place})"));
            }
            rest = behind;
        }
        result + rest
    }

    /// The text with the same additions, the program being the one it speaks about.
    pub fn annotate_as(&self, program: &str, text: &str) -> String {
        let about = format!("{program}: ");
        self.annotate(&format!("{about}{text}")).split_off(about.len())
    }

    /// The addresses of a function of the kernel whose name ends so, and of what fills up the room behind it; none if there is
    /// no such function.
    pub fn of_kernel(&self, function: &str) -> Range<u32> {
        let find = |file: &File| file.contents()?.range(function);
        self.kernels.iter().find_map(find).unwrap_or_default()
    }

    /// All functions of the file, kernel or loader, that has this one: their addresses and names.
    pub fn functions_beside(&self, function: &str) -> Vec<(Range<u32>, String)> {
        let contents = self.kernels.iter().filter_map(File::contents).find(|file| file.range(function).is_some());
        let functions = contents.map(|file| {
            let ends = file.functions.keys().skip(1).map(|&end| end as u32).chain([u32::MAX]);
            file.functions.iter().zip(ends).map(|((&start, name), end)| (start as u32..end, readable(name))).collect()
        });
        functions.unwrap_or_default()
    }

    /// Where an instruction of the kernel or of a program comes from.
    pub fn origin(&self, program: Option<&str>, address: u32) -> Option<Origin> {
        let program = program.and_then(|name| self.programs.get(name));
        let files = program.map_or(&self.kernels[..], std::slice::from_ref);
        files.iter().find_map(|file| file.contents()?.origin(address.into()))
    }

    /// Which of some programs has a word at an address. Several may, being linked at the same addresses.
    pub fn who_has<'a>(&self, programs: impl IntoIterator<Item = &'a str>, address: u32, word: u32) -> Option<&'a str> {
        let has = |name: &&str| self.programs.get(*name)?.contents()?.word(address.into()).map(|there| there == word);
        programs.into_iter().find(|name| has(name) == Some(true))
    }

    /// `FILE:LINE in FUNCTION` of an address of the kernel or else of a program.
    fn place(&self, program: Option<&File>, address: u32) -> Option<String> {
        let files = if address >= USER_END { &self.kernels[..] } else { std::slice::from_ref(program?) };
        files.iter().find_map(|file| file.contents()?.place(&self.root, address.into()))
    }
}

impl File {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), contents: OnceCell::new() }
    }

    /// What the file holds; nothing if it cannot be read, since a place is a help and not what was asked for.
    fn contents(&self) -> Option<&Contents> {
        let read = || {
            let bytes = fs::read(&self.path).ok()?;
            let elf = image::parse(&bytes).ok()?;
            let code = elf.program_headers.iter().filter(|segment| segment.is_executable());
            let (code, words) = code
                .filter_map(|segment| {
                    let in_file = bytes.get(segment.file_range())?.to_owned();
                    Some((segment.p_vaddr..segment.p_vaddr + segment.p_memsz, in_file))
                })
                .unzip();
            let functions = elf.syms.iter().filter(|symbol| symbol.is_function());
            let functions = functions.filter_map(|symbol| Some((symbol.st_value, elf.strtab.get_at(symbol.st_name)?)));
            let functions = functions.map(|(start, name)| (start, name.to_owned())).collect();
            Some(Contents { code, words, functions, debug: Loader::new(&self.path).ok()? })
        };
        self.contents.get_or_init(read).as_ref()
    }
}

impl Contents {
    /// The word of code at an address.
    fn word(&self, address: u64) -> Option<u32> {
        let (range, bytes) = self.code.iter().zip(&self.words).find(|(range, _)| range.contains(&address))?;
        let at = (address - range.start) as usize;
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }

    fn origin(&self, address: u64) -> Option<Origin> {
        self.code.iter().find(|range| range.contains(&address))?;
        let location = self.debug.find_location(address).ok().flatten();
        let location = location.and_then(|location| Some((location.file?.to_owned(), location.line?)));
        let function = self.functions.range(..=address).next_back();
        Some(Origin { location, function: function.map(|(start, name)| (readable(name), (address - start) as usize)) })
    }

    fn range(&self, function: &str) -> Option<Range<u32>> {
        let mut from = self.functions.iter().skip_while(|(_, name)| !readable(name).ends_with(function));
        let (&start, _) = from.next()?;
        let end = from.next().map_or(start, |(&end, _)| end);
        Some(start as u32..end as u32)
    }

    fn place(&self, root: &Path, address: u64) -> Option<String> {
        if !self.code.iter().any(|range| range.contains(&address)) {
            return None;
        }
        let Ok(mut frames) = self.debug.find_frames(address) else { return None };
        // The first frame is the innermost function, the ones behind it are those that it was inlined into.
        let mut inlined = None;
        let mut first = None;
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.and_then(|name| name.raw_name().ok().map(|name| name.into_owned()));
            let function = function.map(|name| readable(&name));
            let file = frame.location.as_ref().and_then(|location| location.file);
            let line = frame.location.as_ref().and_then(|location| location.line);
            let place = match (file, line, &function) {
                (Some(file), Some(line), Some(function)) => format!("{}:{line} in {function}", shorten(file, root)),
                (Some(file), Some(line), None) => format!("{}:{line}", shorten(file, root)),
                (_, _, Some(function)) => function.clone(),
                _ => continue,
            };
            // A line of ours says more than one of the compiler's library that was inlined there.
            if file.is_some_and(|file| Path::new(file).starts_with(root)) {
                return Some(match inlined {
                    Some(function) => format!("{place}, inlined {function}"),
                    None => place,
                });
            }
            if first.is_none() {
                (inlined, first) = (function, Some(place));
            }
        }
        first.or_else(|| self.debug.find_symbol(address).map(readable))
    }
}

/// A function's name without the compiler's additions.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A source's path as it is shown: relative to the workspace, or within the compiler's library.
fn shorten<'a>(file: &'a str, root: &Path) -> &'a str {
    if let Some(rest) = root.to_str().and_then(|root| file.strip_prefix(root)) {
        return rest.trim_start_matches('/');
    }
    match file.split_once("/library/") {
        Some((_, rest)) => rest,
        None => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one function, `start`, of two instructions at 0x10000, and no debug information.
    fn program(directory: &Path) -> PathBuf {
        let path = directory.join("counter");
        fs::write(&path, image::tests::elf(&[(0x1_0000, &[0; 8])])).unwrap();
        path
    }

    #[test]
    fn unknown_addresses_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = program(directory.path());
        let absent = directory.path().join("absent");
        let symbols = Symbols::new(Path::new("/src"), [absent.as_path()], [("counter", path.as_path())]);
        for line in [
            "",
            "pc=0x",
            "pc=0xzz",
            "pc=0x123456789012",
            "counter: pc=0x00010000",
            "counter: pc=0x00020000",
            "aegis: counter: overflow pc=0x00010004, pc=0x80030000",
            "nobody: pc=0x00010000",
            "aegis: PANIC: x pc=0x80030000",
            "ünïcode pc=0x€",
        ] {
            assert_eq!(symbols.annotate(line), line);
        }
    }

    #[test]
    fn own_code_is_found() {
        let landmark = std::hint::black_box(exo_landmark as extern "C" fn() -> u32);
        assert!(landmark() > 0);
        // The test itself is an ELF file with debug information; its class is not the guest's, so only `place` is tried.
        let path = std::env::current_exe().unwrap();
        let debug = Loader::new(&path).unwrap();
        let object = fs::read(&path).unwrap();
        let elf = goblin::elf::Elf::parse(&object).unwrap();
        let symbol = elf.syms.iter().find(|symbol| elf.strtab.get_at(symbol.st_name) == Some("exo_landmark")).unwrap();
        let whole = 0..u64::MAX;
        let contents = Contents { code: vec![whole], words: Vec::new(), functions: BTreeMap::new(), debug };
        let place = contents.place(Path::new("/"), symbol.st_value).unwrap();
        assert!(place.contains("src/symbols.rs:") && place.ends_with(" in exo_landmark"), "{place}");
    }

    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn exo_landmark() -> u32 {
        line!()
    }

    #[test]
    fn paths_are_short() {
        let root = Path::new("/home/me/aegis");
        assert_eq!(shorten("/home/me/aegis/tests/src/bin/x.rs", root), "tests/src/bin/x.rs");
        assert_eq!(shorten("/usr/src/rustc-1.96.0/library/core/src/num.rs", root), "core/src/num.rs");
        assert_eq!(shorten("/elsewhere/y.rs", root), "/elsewhere/y.rs");
    }
}
