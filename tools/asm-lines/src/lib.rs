//! `global_asm!` and `naked_asm!` whose instructions know their source lines.
//!
//! For assembly that is not part of a compiled function the compiler makes no debug information. These macros are used
//! like those of `core::arch`, to which they pass everything on, and add it: for each section's code a compilation unit
//! (DWARF, version 4) with a line table. Each string, or macro that stands for one, is a row, also within the
//! assembler's own macros and repetitions; of a string of many lines, those that go through `lines!` have a row each. Not
//! an instruction is added, and nothing of it is loaded.
//!
//! The assembler's labels 80 to 87 are taken.

use std::env;
use std::fmt::Display;

use proc_macro::{Delimiter, Group, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// As `core::arch::global_asm!`.
#[proc_macro]
pub fn global_asm(input: TokenStream) -> TokenStream {
    with_lines("::core::arch::global_asm!", input)
}

/// As `core::arch::naked_asm!`.
#[proc_macro]
pub fn naked_asm(input: TokenStream) -> TokenStream {
    with_lines("::core::arch::naked_asm!", input)
}

/// A raw string of many lines that stands in one of the other macros, in this file or another: each line is a row.
#[proc_macro]
pub fn lines(input: TokenStream) -> TokenStream {
    let argument: Argument = input.into_iter().collect();
    let span = span(&argument);
    let text = argument[0].to_string();
    let text = text.trim_start_matches(['r', '#']).trim_end_matches('#').trim_matches('"');
    let mut result = another_file(&span.file());
    for (number, line) in (span.line()..).zip(text.lines()) {
        if Part::of_text(line) == Part::Line {
            result.push_str(&row(FILES, number));
            result.push('\n');
        }
        result.push_str(line);
        result.push('\n');
    }
    TokenTree::from(Literal::string(&result)).into()
}

/// The call of a macro with `input`, and with what tells the lines of its strings.
fn with_lines(callee: &str, input: TokenStream) -> TokenStream {
    let (strings, operands): (Vec<_>, Vec<_>) = arguments(input).into_iter().partition(is_string);
    let mut files: Vec<_> = strings.iter().map(|argument| span(argument).file()).collect();
    files.sort();
    files.dedup();
    let mut all = Vec::new();
    // Before the first directive that names a section, code goes where the compiler wants it.
    let mut in_code = !strings.first().is_some_and(|first| matches!(Part::of(first), Part::Code | Part::Data));
    if in_code {
        all.push(string(&head(&files)));
    }
    for argument in strings {
        let part = Part::of(&argument);
        match part {
            Part::Line if in_code => all.push(string(&row(number(&argument, &files), span(&argument).line()))),
            Part::Code | Part::Data if in_code => all.push(string(&tail(&files))),
            _ => {}
        }
        all.push(argument);
        match part {
            Part::Code => all.push(string(&head(&files))),
            Part::Data | Part::Directive | Part::Line => {}
        }
        in_code = part == Part::Code || (in_code && part != Part::Data);
    }
    if in_code {
        all.push(string(&tail(&files)));
    }
    all.extend(operands);
    let comma = || TokenTree::from(Punct::new(',', Spacing::Alone));
    let all = all.into_iter().flat_map(|argument| argument.into_iter().chain([comma()])).collect();
    let callee: TokenStream = callee.parse().expect("it is a path");
    callee.into_iter().chain([TokenTree::from(Group::new(Delimiter::Brace, all))]).collect()
}

/// The tokens between commas.
type Argument = Vec<TokenTree>;

fn arguments(input: TokenStream) -> Vec<Argument> {
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let tokens: Vec<_> = input.into_iter().collect();
    tokens.split(is_comma).filter(|argument| !argument.is_empty()).map(<[_]>::to_vec).collect()
}

/// Whether it is assembly, and not an operand: a literal, or the call of a macro, which may have a path. What a macro of
/// the user's was given comes in a group without brackets.
fn is_string(argument: &Argument) -> bool {
    match &argument[..] {
        [TokenTree::Literal(_)] => true,
        [TokenTree::Group(group)] => group.delimiter() == Delimiter::None,
        [TokenTree::Ident(_), TokenTree::Punct(punct), ..] if punct.as_char() == '!' => true,
        [TokenTree::Ident(_), TokenTree::Punct(first), TokenTree::Punct(second), ..] => {
            first.as_char() == ':' && second.as_char() == ':'
        }
        _ => false,
    }
}

/// Where assembly stands in the source.
fn span(argument: &Argument) -> Span {
    match &argument[0] {
        TokenTree::Group(group) => group.stream().into_iter().next().map_or(group.span(), |token| token.span()),
        token => token.span(),
    }
}

fn string(text: &str) -> Argument {
    vec![Literal::string(text).into()]
}

/// What a line of assembly is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The beginning of a section with code.
    Code,
    /// The beginning of another section.
    Data,
    /// What makes no instruction.
    Directive,
    /// What may be an instruction.
    Line,
}

impl Part {
    fn of(argument: &Argument) -> Self {
        match &argument[..] {
            [TokenTree::Literal(literal)] => Self::of_text(&literal.to_string()),
            _ => Self::Line,
        }
    }

    /// `text` is a literal as it stands in the source.
    fn of_text(text: &str) -> Self {
        let mut words = text.trim_matches('"').split_whitespace();
        match words.next() {
            Some(".text" | ".popsection") => Self::Code,
            Some(".section" | ".pushsection") if text.contains(r#"\"ax"#) => Self::Code,
            Some(".section" | ".pushsection") => Self::Data,
            Some(".word") => Self::Line,
            Some(comment) if comment.starts_with('#') => Self::Directive,
            Some(word) if word.starts_with('.') => Self::Directive,
            Some(label) if label.ends_with(':') && words.next().is_none() => Self::Directive,
            Some(_) => Self::Line,
            None => Self::Directive,
        }
    }
}

/// What goes before the code: the beginning of its line table.
fn head(files: &[String]) -> String {
    let count = files.len();
    let files: String = files.iter().map(|file| format!(".asciz {}\n.byte 0, 0, 0\n", quote(file))).collect();
    format!(
        "80: .pushsection .debug_line, \"\", @{TYPE}, unique, 80
        81: .4byte 87f - 81b - 4
        .2byte 2                       # the version
        .4byte 83f - 82f
        82: .byte 1, 1, 1, 1, 10       # instructions are bytes, rows are statements; no special opcodes are used
        .byte 0, 1, 1, 1, 1, 0, 0, 0, 1
        .byte 0                        # no directories
        {files}
        .byte 0
        83: .popsection
        .set {FILES}, {count}"
    )
}

/// Adds a file to the line table; it is the one with the number [`FILES`] then.
fn another_file(name: &str) -> String {
    let bytes = 1 + name.len() + 4;
    let name = quote(name);
    format!(
        ".set {FILES}, {FILES} + 1
        .pushsection .debug_line, \"\", @{TYPE}, unique, 80
        .byte 0, {bytes}, 3              # DW_LNE_define_file
        .asciz {name}
        .byte 0, 0, 0
        .popsection
        "
    )
}

/// The number of the file in which an argument stands.
fn number(argument: &Argument, files: &[String]) -> usize {
    let file = span(argument).file();
    1 + files.iter().position(|known| *known == file).expect("it is one of the files")
}

/// A row of the line table for what follows. Each begins at line 1, and goes back there, for in a macro nobody knows
/// which was before.
fn row(file: impl Display, line: usize) -> String {
    let forward = line - 1;
    format!(
        "84: .pushsection .debug_line, \"\", @{TYPE}, unique, 80
        .byte 0, 5, 2                  # DW_LNE_set_address
        .4byte 84b
        .byte 4, {file}, 3             # DW_LNS_set_file, DW_LNS_advance_line
        .sleb128 {forward}
        .byte 1, 3                     # DW_LNS_copy, DW_LNS_advance_line
        .sleb128 -{forward}
        .popsection"
    )
}

/// What goes behind the code: the end of its line table, and the unit.
fn tail(files: &[String]) -> String {
    let directory = env::current_dir().unwrap_or_default();
    let directory = quote(&directory.to_string_lossy());
    let name = quote(files.first().map_or("", String::as_str));
    format!(
        "84: .pushsection .debug_line, \"\", @{TYPE}, unique, 80
        .byte 0, 5, 2                  # DW_LNE_set_address
        .4byte 84b
        .byte 0, 1, 1                  # DW_LNE_end_sequence
        87: .popsection
        .pushsection .debug_abbrev, \"\", @{TYPE}, unique, 80
        85: .byte 1, 0x11, 0           # DW_TAG_compile_unit, without children
        .byte 0x10, 0x17               # DW_AT_stmt_list, DW_FORM_sec_offset
        .byte 0x11, 0x01               # DW_AT_low_pc, DW_FORM_addr
        .byte 0x12, 0x06               # DW_AT_high_pc, DW_FORM_data4
        .byte 0x03, 0x08               # DW_AT_name, DW_FORM_string
        .byte 0x1b, 0x08               # DW_AT_comp_dir, DW_FORM_string
        .byte 0x13, 0x05               # DW_AT_language, DW_FORM_data2
        .byte 0, 0, 0
        .popsection
        .pushsection .debug_info, \"\", @{TYPE}, unique, 80
        .4byte 87f - 86f
        86: .2byte 4                   # the version
        .4byte 85b
        .byte 4, 1                     # bytes of an address; the abbreviation
        .4byte 81b, 80b, 84b - 80b
        .asciz {name}
        .asciz {directory}
        .2byte 0x8001                  # DW_LANG_Mips_Assembler
        87: .popsection"
    )
}

/// The assembler's name for the number of files that the line table has so far.
const FILES: &str = "asm_lines_files";

/// The type that a section of debug information has on MIPS.
const TYPE: &str = "0x7000001e";

/// A text as the assembler reads it, within a template.
fn quote(text: &str) -> String {
    format!("{text:?}").replace('{', "{{").replace('}', "}}")
}
