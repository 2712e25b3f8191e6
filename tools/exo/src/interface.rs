//! `interface`: what is written from the interface as it stands in `aegis/abi`: the header for C, and the reference of all calls.
//!
//! Numbers, layouts and errors come from the crate, what a call does from the comments beside its number. A test compares both files
//! with what this would write.

use std::fmt::Write;
use std::fs;
use std::mem::offset_of;

use aegis_abi::console::WRITE_MAX;
use aegis_abi::exception::SavePage;
use aegis_abi::network::{HEADER, MESSAGE_MAX};
use aegis_abi::public::Public;
use aegis_abi::{Error, VERSION, call, frame, mark, slice, vm};
use anyhow::{Context, Result, ensure};

use crate::book;
use crate::workspace::Workspace;

/// Where the calls are defined.
const SOURCE: &str = "aegis/abi/src/call.rs";
/// What is written.
const HEADER_FILE: &str = "exos/c/include/aegis.h";
const REFERENCE: &str = "docs/calls.md";

/// Writes both files.
pub fn run(workspace: &Workspace) -> Result<()> {
    let write = |path: &str, text: &str| {
        let file = workspace.root.join(path);
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            return Ok(());
        }
        println!("written: {path}");
        fs::write(file, text).with_context(|| format!("cannot write {path}"))
    };
    files(workspace)?.iter().try_for_each(|(path, text)| write(path, text))?;
    book::pages(workspace)?.iter().try_for_each(|(path, text)| write(path, text))
}

fn files(workspace: &Workspace) -> Result<[(&'static str, String); 2]> {
    let source = fs::read_to_string(workspace.root.join(SOURCE)).with_context(|| format!("cannot read {SOURCE}"))?;
    let calls = calls(&source)?;
    Ok([(HEADER_FILE, header(&calls)), (REFERENCE, reference(&calls))])
}

/// A call, as it is described.
struct Call {
    name: &'static str,
    number: u32,
    /// Paragraphs.
    text: Vec<String>,
    /// The line of the source where it is defined.
    line: usize,
}

/// All calls, in the order of the source.
fn calls(source: &str) -> Result<Vec<Call>> {
    let (mut comment, mut found) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(source.lines()) {
        if let Some(words) = text.strip_prefix("///") {
            comment.push(words.trim().to_owned());
            continue;
        }
        let constant = text.strip_prefix("pub const ").and_then(|rest| rest.split_once(": u32"));
        let call = constant.and_then(|(name, _)| call::ALL.iter().find(|(call, _)| call.to_ascii_uppercase() == name));
        if let Some(&(name, number)) = call {
            let paragraphs = comment.split(String::is_empty).map(|lines| plain(&lines.join(" "))).collect();
            found.push(Call { name, number, text: paragraphs, line });
        }
        comment.clear();
    }
    ensure!(found.len() == call::ALL.len(), "{SOURCE} describes {} calls of {}", found.len(), call::ALL.len());
    Ok(found)
}

/// A comment without its links.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((inside, behind)) = after.split_once(']') else {
            rest = after;
            continue;
        };
        plain.push_str(inside);
        rest = match behind.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, behind)) => behind,
            None => behind,
        };
    }
    plain + rest
}

impl Call {
    fn says(&self, what: &str) -> bool {
        self.text.iter().any(|text| text.contains(what))
    }

    /// Which of the four argument registers it takes: those that its description names.
    fn arguments(&self) -> Vec<u32> {
        let named = |number: &u32| self.says(&format!("`a{number}`")) || self.says(&format!("`$a{number}`"));
        (0..4).filter(named).collect()
    }

    /// Whether a function can make it: it returns to whom it is called by, and only its result is new.
    fn is_function(&self) -> bool {
        !self.says("saves its registers first")
            && !self.says("transfer (the paper")
            && !self.says("Does not return")
            && !self.says("Asynchronous protected")
            && !self.says("Gives up the caller's slices")
    }

    fn constant(&self) -> String {
        format!("AEGIS_CALL_{}", self.name.to_ascii_uppercase())
    }
}

/// `NoSuchCall` in the words of C.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_uppercase());
    }
    snake
}

/// Text in lines of at most so many characters.
fn wrap(text: &str, first: &str, then: &str, width: usize) -> String {
    let (mut all, mut line) = (String::new(), first.to_owned());
    for word in text.split_whitespace() {
        if line.len() + word.len() + 1 > width && line.trim() != then.trim() {
            all.push_str(line.trim_end());
            all.push('\n');
            line = then.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    all + line.trim_end()
}

/// The width of a line.
const WIDTH: usize = 116;

fn header(calls: &[Call]) -> String {
    let mut text = String::from(HEADER_BEGIN);
    let mut define = |name: &str, value: String| _ = writeln!(text, "#define AEGIS_{name} {value}");
    define("VERSION", VERSION.to_string());
    define("PAGE_BYTES", vm::PAGE_BYTES.to_string());
    define("USER_END", format!("{:#x}u", vm::USER_END));
    define("NORMAL_START", format!("{:#x}u", vm::NORMAL_START));
    define("PROGRAM_START", format!("{:#x}u", vm::PROGRAM_START));
    define("SAVE_PAGE", format!("{:#x}u", vm::SAVE_PAGE));
    define("PUBLIC_PAGE", format!("{:#x}u", vm::PUBLIC_PAGE));
    define("ENTRY_VALID", format!("{:#x}u", vm::entry_lo::VALID));
    define("ENTRY_DIRTY", format!("{:#x}u", vm::entry_lo::DIRTY));
    define("ENTRY_UNCACHED", format!("{:#x}u", vm::entry_lo::UNCACHED));
    define("SLICES", slice::COUNT.to_string());
    define("SLICE_MICROSECONDS", slice::MICROSECONDS.to_string());
    define("CONSOLE_WRITE_MAX", WRITE_MAX.to_string());
    define("MESSAGE_MIN", HEADER.to_string());
    define("MESSAGE_MAX", MESSAGE_MAX.to_string());
    for (name, right) in
        [("READ", frame::READ), ("WRITE", frame::WRITE), ("CONTROL", frame::CONTROL), ("REVOKE", frame::REVOKE)]
    {
        define(&format!("RIGHT_{name}"), right.to_string());
    }
    text.push_str("\n/* What a call can refuse with. A result that is not negative is a success. */\n");
    for error in Error::ALL {
        let _ = writeln!(text, "#define AEGIS_{} ({})", snake(&format!("{error:?}")), error as i32);
    }
    text.push_str("\n/* What the kernel shows: where on the public page. See aegis/abi/src/public.rs. */\n");
    macro_rules! offsets {
        ($($field:ident)*) => {
            [$((stringify!($field), offset_of!(Public, $field))),*]
        };
    }
    for (name, offset) in offsets!(version ticks position frames frame_table directory software_tlb colours archive
        archive_bytes slices statistics interface filters)
    {
        let _ = writeln!(text, "#define AEGIS_PUBLIC_{} {offset}", name.to_ascii_uppercase());
    }
    let capability = offset_of!(SavePage, capability);
    let _ = write!(text, "\n/* The tag of a capability that a call takes or gives: two words of the save page. */\n");
    let _ = writeln!(text, "#define AEGIS_CAPABILITY ((volatile uint32_t *)(AEGIS_SAVE_PAGE + {capability}))");
    let _ = writeln!(text, "\n/* Marks: instructions that do nothing, between which a tool counts. */");
    let _ = writeln!(
        text,
        "#define AEGIS_MARK_BEGIN(id) __asm__ volatile(\".word %0\" : : \"i\"({:#x} | (id)) : \"memory\")",
        mark::WORD
    );
    let _ = writeln!(text, "#define AEGIS_MARK_END(id) AEGIS_MARK_BEGIN({:#x} | (id))", mark::END);
    text.push_str(HEADER_CALL);
    for call in calls {
        let paragraphs: Vec<_> = call.text.iter().map(|text| wrap(text, "   ", "   ", WIDTH)).collect();
        let comment = paragraphs.join("\n\n");
        let _ = write!(text, "\n/* {} */\n", comment.trim_start().replace('`', ""));
        let _ = writeln!(text, "#define {} {:#x}", call.constant(), call.number);
        if call.is_function() {
            let arguments = call.arguments();
            let parameters: Vec<_> = arguments.iter().map(|number| format!("uint32_t a{number}")).collect();
            let parameters = if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
            let value = |number: u32| if arguments.contains(&number) { format!("a{number}") } else { "0".to_owned() };
            let values: Vec<_> = (0..4).map(value).collect();
            let _ = writeln!(text, "static inline int32_t aegis_{}({parameters})\n{{", call.name);
            let _ = writeln!(text, "    return aegis_call({}, {});\n}}", call.constant(), values.join(", "));
        }
    }
    text + "\n#endif\n"
}

const HEADER_BEGIN: &str = "/* The calls of Aegis for programs in C.

   Written by `cargo exo interface` from aegis/abi, which is the place to change anything. For an R3000: gcc -EL -march=mips1
   -msoft-float -mno-abicalls -G0. Transfers, and calls that end a slice, need what the runtime knows: see exos.h. */
#ifndef AEGIS_H
#define AEGIS_H

#include <stdint.h>

";

const HEADER_CALL: &str = r#"
/* A word of the public page. */
static inline uint32_t aegis_public(uint32_t offset)
{
    return *(const volatile uint32_t *)(AEGIS_PUBLIC_PAGE + offset);
}

/* A position of the slice vector: who owns it, and who runs in it. */
static inline const volatile uint32_t *aegis_public_slice(uint32_t position)
{
    return (const volatile uint32_t *)(AEGIS_PUBLIC_PAGE + AEGIS_PUBLIC_SLICES) + 2 * position;
}

/* Makes a call, again as long as it answers that there is more to do. */
static inline int32_t aegis_call(uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3)
{
    for (;;) {
        register uint32_t in0 __asm__("$4") = a0;
        register uint32_t in1 __asm__("$5") = a1;
        register uint32_t in2 __asm__("$6") = a2;
        register uint32_t in3 __asm__("$7") = a3;
        register int32_t v0 __asm__("$2") = (int32_t)number;

        __asm__ volatile("syscall"
                         : "+r"(v0), "+r"(in0), "+r"(in1), "+r"(in2), "+r"(in3)
                         :
                         : "$1", "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi", "lo",
                           "memory");
        if (v0 != AEGIS_AGAIN)
            return v0;
    }
}
"#;

fn reference(calls: &[Call]) -> String {
    let mut text = format!(
        "# All calls\n\n<!-- Written by `cargo exo interface` from aegis/abi. -->\n\nThe calls of version {VERSION} of the interface, as they are described \
         beside their numbers in\n[`call.rs`](../{SOURCE}). How a call is made, and how the parts fit, is in [abi.md](abi.md).\n\n| call | number | arguments |\n|---|---|---|\n"
    );
    for call in calls {
        let arguments: Vec<_> = call.arguments().iter().map(|number| format!("`$a{number}`")).collect();
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1:#x} | {2} |", call.name, call.number, arguments.join(" "));
    }
    text.push_str("\n## Errors\n\n| error | value |\n|---|---|\n");
    for error in Error::ALL {
        let _ = writeln!(text, "| `{error:?}` | {} |", error as i32);
    }
    for call in calls {
        let _ = write!(text, "\n## {}\n\n", call.name);
        let _ = writeln!(text, "Number {:#x} ([line {}](../{SOURCE}#L{})).", call.number, call.line, call.line);
        for paragraph in &call.text {
            let _ = writeln!(text, "\n{}", wrap(paragraph, "", "", WIDTH));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_left_out() {
        assert_eq!(plain("as [`A`](crate::A), or [`B`]; not c[0"), "as `A`, or `B`; not c0");
    }

    #[test]
    fn files_are_those_of_the_interface() {
        let workspace = Workspace::find().unwrap();
        for (path, text) in files(&workspace).unwrap() {
            let found = fs::read_to_string(workspace.root.join(path)).unwrap_or_default();
            assert!(found == text, "{path} is not what `cargo exo interface` writes; that command makes it so");
        }
    }
}
