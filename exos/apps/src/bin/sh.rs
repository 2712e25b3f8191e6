//! The shell: `sh`, or `sh -c COMMANDS`.
//!
//! A line is pipelines, with `;` or `&` behind each: `cat motd | wc > /dev/null &`. Words are parted by blanks; quotes,
//! `'` and `"`, and `\` keep characters as they are; `$NAME`, `$?` and `$!` stand for values, not in `'`. `< FILE`, `> FILE`,
//! `>> FILE` and `2> FILE` say where a command reads and writes. `NAME=VALUE` sets a variable, which every program gets.

#![no_std]
#![no_main]

use exos::process::table::{Status, signal, state, world};
use exos::process::{
    self, Fail, Spawn, arguments, file, fork, kill_job, signals, spawn, terminal, try_wait, variables, wait,
};
use exos::{complain, println};
use exos_apps::line::Editor;

exos::process!(main);

/// Characters of a line.
const LINE: usize = 256;
/// Words of a command.
const WORDS: usize = 24;
/// Variables.
const VARIABLES: usize = 16;
/// Characters of a variable, its name and `=` among them.
const VARIABLE: usize = 80;
/// Characters of all words of a line, once values stand for names.
const TEXT: usize = 1024;

/// What the shell knows.
struct Shell {
    /// Whether it is used by a person.
    interactive: bool,
    /// How the last pipeline ended.
    status: u32,
    /// The last job in the background.
    last: u32,
    variables: [([u8; VARIABLE], usize); VARIABLES],
    /// Jobs in the background, by number; 0 is none.
    jobs: [u32; 8],
}

/// Why a command was not started.
enum Stop {
    /// The user was told already.
    Said,
    /// That is to be told.
    Failed(Fail),
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Self {
        Self::Failed(fail)
    }
}

/// A command's words and where it reads and writes.
struct Command<'a> {
    words: [&'a str; WORDS],
    count: usize,
    input: Option<&'a str>,
    output: Option<&'a str>,
    /// Whether the output is added to what the file has.
    appended: bool,
    errors: Option<&'a str>,
}

/// A part of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Pipe,
    Semicolon,
    Background,
    From,
    To,
    Append,
    ErrorsTo,
}

fn main() -> u32 {
    let interactive =
        arguments().nth(1).is_none() && file::is_terminal(file::INPUT) && world().terminal.connected.get() != 0;
    let mut shell = Shell { interactive, status: 0, last: 0, variables: [([0; VARIABLE], 0); VARIABLES], jobs: [0; 8] };
    for variable in variables() {
        shell.set(variable);
    }
    match (arguments().nth(1), arguments().nth(2)) {
        (Some("-c"), Some(commands)) => shell.line(commands),
        (Some(_), _) => {
            complain!("sh, or sh -c COMMANDS");
            return 2;
        }
        (None, _) if interactive => shell.converse(),
        (None, _) => shell.read_lines(),
    }
    shell.status
}

/// Reads a line from a descriptor that is no terminal, byte by byte, since what is behind it is not this program's.
fn read_line(line: &mut [u8; LINE]) -> Option<usize> {
    let mut used = 0;
    let mut byte = [0];
    loop {
        match file::read(file::INPUT, &mut byte) {
            Ok(1) if byte[0] == b'\n' => return Some(used),
            Ok(1) if used < LINE => {
                line[used] = byte[0];
                used += 1;
            }
            Ok(1) => {}
            _ => return (used != 0).then_some(used),
        }
    }
}

impl Shell {
    /// With a person.
    fn converse(&mut self) {
        // What is typed between two jobs is for neither.
        let _ = signals::handle(signal::INT, Some(|_| ()));
        println!("ExOS on Aegis. `help` tells what there is.");
        let mut editor = Editor::new();
        loop {
            self.report_jobs();
            terminal::set_foreground(process::me().job.get());
            terminal::set_raw(true);
            let mut prompt = [0; VARIABLE];
            let length = self.get("PS1").map_or(0, |value| {
                prompt[..value.len()].copy_from_slice(value.as_bytes());
                value.len()
            });
            let line = editor.read(core::str::from_utf8(&prompt[..length]).unwrap_or("$ "));
            terminal::set_raw(false);
            match line {
                Some(line) => self.line(line),
                None => break,
            }
        }
    }

    /// From a pipe or a file.
    fn read_lines(&mut self) {
        let mut line = [0; LINE];
        while let Some(length) = read_line(&mut line) {
            match core::str::from_utf8(&line[..length]) {
                Ok(text) => self.line(text),
                Err(_) => complain!("not text"),
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find_map(|(bytes, length)| {
            core::str::from_utf8(&bytes[..*length]).ok()?.strip_prefix(name)?.strip_prefix('=')
        })
    }

    /// Sets `NAME=VALUE`.
    fn set(&mut self, setting: &str) {
        let name = setting.split_once('=').map_or(setting, |(name, _)| name);
        let is_it = |(bytes, length): &([u8; VARIABLE], usize)| {
            *length > name.len() && bytes[..name.len()] == *name.as_bytes() && bytes[name.len()] == b'='
        };
        let place =
            self.variables.iter().position(is_it).or_else(|| self.variables.iter().position(|entry| entry.1 == 0));
        match place {
            Some(place) if setting.len() <= VARIABLE => {
                let (bytes, length) = &mut self.variables[place];
                bytes[..setting.len()].copy_from_slice(setting.as_bytes());
                *length = setting.len();
            }
            _ => complain!("no room for {name}"),
        }
    }

    /// Obeys a line: one pipeline after the other, each with what the one before has set.
    fn line(&mut self, line: &str) {
        let mut rest = line;
        while !rest.is_empty() {
            let mut text = [0; TEXT];
            let mut tokens = [Token::Pipe; 2 * WORDS];
            match self.tokens(rest, &mut text, &mut tokens) {
                Ok((count, end)) => {
                    rest = rest.get(end..).unwrap_or("");
                    let tokens = &tokens[..count];
                    match tokens.split_last() {
                        Some((Token::Semicolon, commands)) => self.pipeline(commands, false),
                        Some((Token::Background, commands)) => self.pipeline(commands, true),
                        _ => self.pipeline(tokens, false),
                    }
                }
                Err(error) => {
                    complain!("{error}");
                    self.status = 2;
                    return;
                }
            }
        }
    }

    /// Parts the first pipeline of a line; how many parts it has, and where it ends. Words are put together in `text`.
    fn tokens<'a>(
        &self,
        line: &str,
        text: &'a mut [u8; TEXT],
        tokens: &mut [Token<'a>],
    ) -> Result<(usize, usize), &'static str> {
        let mut count = 0;
        let mut rest = &mut text[..];
        let mut bytes = line.bytes().enumerate().peekable();
        while let Some(&(at, byte)) = bytes.peek() {
            let next = line.as_bytes().get(at + 1).copied();
            let simple = match (byte, next) {
                (b' ' | b'\t' | b'\r', _) => {
                    bytes.next();
                    continue;
                }
                (b'#', _) => break,
                (b'|', Some(b'|')) | (b'&', Some(b'&')) => return Err("&& and || are not known"),
                (b'|', _) => Some((Token::Pipe, 1)),
                (b';', _) => Some((Token::Semicolon, 1)),
                (b'&', _) => Some((Token::Background, 1)),
                (b'<', _) => Some((Token::From, 1)),
                (b'>', Some(b'>')) => Some((Token::Append, 2)),
                (b'>', _) => Some((Token::To, 1)),
                (b'2', Some(b'>')) => Some((Token::ErrorsTo, 2)),
                _ => None,
            };
            let slot = tokens.get_mut(count).ok_or("too many words")?;
            count += 1;
            if let Some((token, length)) = simple {
                *slot = token;
                (0..length).for_each(|_| _ = bytes.next());
                if matches!(token, Token::Semicolon | Token::Background) {
                    return Ok((count, at + length));
                }
                continue;
            }
            let mut used = 0;
            let mut put = |byte: u8, rest: &mut [u8]| -> Result<(), &'static str> {
                *rest.get_mut(used).ok_or("too long")? = byte;
                used += 1;
                Ok(())
            };
            let mut quote = None;
            while let Some(&(at, byte)) = bytes.peek() {
                match (quote, byte) {
                    (None, b' ' | b'\t' | b'\r' | b'|' | b';' | b'&' | b'<' | b'>') => break,
                    (None, b'\'' | b'"') => quote = Some(byte),
                    (Some(mark), byte) if mark == byte => quote = None,
                    (None | Some(b'"'), b'\\') => {
                        bytes.next();
                        let &(_, byte) = bytes.peek().ok_or("what is behind \\?")?;
                        put(byte, rest)?;
                    }
                    (None | Some(b'"'), b'$') => {
                        let name = &line[at + 1..];
                        let number = match name.as_bytes().first() {
                            Some(b'?') => Some(self.status),
                            Some(b'!') => Some(self.last),
                            _ => None,
                        };
                        if let Some(number) = number {
                            let mut digits = [0; 10];
                            for &digit in decimal(number, &mut digits) {
                                put(digit, rest)?;
                            }
                            bytes.next();
                        } else {
                            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                            if end == 0 {
                                put(b'$', rest)?;
                            }
                            for byte in self.get(&name[..end]).unwrap_or("").bytes() {
                                put(byte, rest)?;
                            }
                            (0..end).for_each(|_| _ = bytes.next());
                        }
                    }
                    (_, byte) => put(byte, rest)?,
                }
                bytes.next();
            }
            if quote.is_some() {
                return Err("a quote is not closed");
            }
            let (word, others) = rest.split_at_mut(used);
            rest = others;
            *slot = Token::Word(core::str::from_utf8(word).map_err(|_| "not text")?);
        }
        Ok((count, line.len()))
    }

    /// Runs commands that are parted by `|`.
    fn pipeline(&mut self, tokens: &[Token], background: bool) {
        if tokens.is_empty() {
            return;
        }
        let mut commands = tokens.split(|token| *token == Token::Pipe).peekable();
        let mut job = None;
        let mut last = None;
        let mut input = file::INPUT;
        let alone = !tokens.contains(&Token::Pipe) && !background;
        while let Some(tokens) = commands.next() {
            let command = match Command::parse(tokens) {
                Ok(command) => command,
                Err(error) => {
                    complain!("{error}");
                    self.status = 2;
                    break;
                }
            };
            if alone && let Some(status) = self.builtin(&command) {
                self.status = status;
                return;
            }
            let pipe = match commands.peek().map(|_| file::pipe()).transpose() {
                Ok(pipe) => pipe,
                Err(error) => {
                    complain!("{error}");
                    break;
                }
            };
            let output = pipe.map_or(file::OUTPUT, |(_, write)| write);
            match self.start(&command, input, output, job) {
                Ok(pid) => {
                    if self.interactive && !background && job.is_none() {
                        terminal::set_foreground(pid);
                    }
                    job = job.or(Some(pid));
                    last = Some(pid);
                }
                Err(error) => {
                    self.status = match error {
                        Stop::Said => 1,
                        Stop::Failed(error) => {
                            complain!("{}: {error}", command.words[0]);
                            if error == Fail::NotFound { 127 } else { 126 }
                        }
                    };
                    last = None;
                }
            }
            if input != file::INPUT {
                let _ = file::close(input);
            }
            input = file::INPUT;
            if let Some((read, write)) = pipe {
                let _ = file::close(write);
                input = read;
            }
        }
        if input != file::INPUT {
            let _ = file::close(input);
        }
        let Some(job) = job else { return };
        if background {
            if let Some(slot) = self.jobs.iter_mut().find(|slot| **slot == 0) {
                *slot = job;
            }
            if self.interactive {
                println!("[{job}]");
            }
            self.last = job;
            self.status = 0;
        } else {
            self.wait_for(job, last);
        }
    }

    /// Waits until all of a job have ended.
    fn wait_for(&mut self, job: u32, last: Option<u32>) {
        if self.interactive {
            terminal::set_foreground(job);
        }
        loop {
            let Some(pid) = process::children().find(|child| child.job.get() == job).map(|child| child.pid.get())
            else {
                break;
            };
            let fault = world().find(pid).map_or([0; 2], |process| process.fault.get());
            let Ok((pid, status)) = wait(Some(pid)) else { break };
            let fault = world().at(pid & 0xff).map_or(fault, |process| process.fault.get());
            if last == Some(pid) {
                self.status = status.code();
            }
            report(pid, status, fault);
        }
        if self.interactive {
            terminal::set_foreground(process::me().job.get());
        }
    }

    /// Says which jobs in the background have ended.
    fn report_jobs(&mut self) {
        while let Ok(Some((pid, status))) = try_wait(None) {
            let fault = world().at(pid & 0xff).map_or([0; 2], |process| process.fault.get());
            report(pid, status, fault);
            if let Some(slot) = self.jobs.iter_mut().find(|slot| **slot == pid) {
                println!("[{pid}] ended: {}", status.code());
                *slot = 0;
            }
        }
    }

    /// Starts a command.
    fn start(&mut self, command: &Command, input: u32, output: u32, job: Option<u32>) -> Result<u32, Stop> {
        let mut opened = [None; 3];
        let result = self.start_with(command, [input, output, file::ERROR], job, &mut opened);
        for descriptor in opened.into_iter().flatten() {
            if let Err(error) = file::close(descriptor) {
                complain!("{}: {error}", command.words[0]);
            }
        }
        result
    }

    fn start_with(
        &mut self,
        command: &Command,
        mut files: [u32; 3],
        job: Option<u32>,
        opened: &mut [Option<u32>; 3],
    ) -> Result<u32, Stop> {
        let mut settings = [""; VARIABLES];
        let mut count = 0;
        for (bytes, length) in self.variables.iter().filter(|entry| entry.1 != 0) {
            settings[count] = core::str::from_utf8(&bytes[..*length]).unwrap_or("");
            count += 1;
        }
        let settings = &settings[..count];
        for (place, name) in [command.input, command.output, command.errors].into_iter().enumerate() {
            if let Some(name) = name {
                let result = if place == 0 {
                    file::open_with(name, settings)
                } else {
                    file::create_with(name, place == 1 && command.appended, settings)
                };
                let descriptor = result.inspect_err(|error| complain!("{name}: {error}")).map_err(|_| Stop::Said)?;
                opened[place] = Some(descriptor);
                files[place] = descriptor;
            }
        }
        let words = &command.words[..command.count];
        if is_builtin(words[0]) {
            // In a pipeline it is a process of its own.
            return match fork()? {
                Some(pid) => {
                    if let Some(process) = world().find(pid) {
                        process.job.set(job.unwrap_or(pid));
                    }
                    Ok(pid)
                }
                None => {
                    self.interactive = false;
                    for (to, from) in (0..).zip(files) {
                        let _ = file::dup2(from, to);
                    }
                    process::exit(self.builtin(command).unwrap_or(0));
                }
            };
        }
        Ok(spawn(&Spawn { program: words[0], arguments: words, variables: settings, files, job })?)
    }

    /// Does what the shell does itself; its status, if it is that.
    fn builtin(&mut self, command: &Command) -> Option<u32> {
        let words = &command.words[..command.count];
        match words {
            [] => {}
            [setting] if is_setting(setting) => self.set(setting),
            ["exit", status @ ..] => {
                let status = status.first().map_or(Some(self.status), |status| status.parse().ok()).unwrap_or(2);
                process::exit(status);
            }
            ["set"] => {
                for (bytes, length) in self.variables.iter().filter(|entry| entry.1 != 0) {
                    println!("{}", core::str::from_utf8(&bytes[..*length]).unwrap_or("?"));
                }
            }
            ["jobs"] => {
                for &job in self.jobs.iter().filter(|&&job| job != 0) {
                    let of = |process: &&process::table::Process| process.job.get() == job;
                    for process in process::children().filter(of) {
                        process.name(|name| println!("[{job}] {name}"));
                    }
                }
            }
            ["wait"] => {
                for place in 0..self.jobs.len() {
                    let job = core::mem::take(&mut self.jobs[place]);
                    if job != 0 {
                        self.wait_for(job, Some(job));
                    }
                }
            }
            ["fg", rest @ ..] => {
                let wanted = rest.first().and_then(|word| word.parse::<u32>().ok());
                let place = self.jobs.iter().rposition(|&job| job != 0 && wanted.is_none_or(|wanted| wanted == job));
                let Some(place) = place else {
                    complain!("no such job");
                    return Some(1);
                };
                let job = core::mem::take(&mut self.jobs[place]);
                if self.interactive {
                    terminal::set_foreground(job);
                }
                println!("[{job}] in the foreground");
                self.wait_for(job, Some(job));
                return Some(self.status);
            }
            ["help"] => {
                HELP.iter().for_each(|line| println!("{line}"));
            }
            _ => return None,
        }
        Some(0)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for &job in self.jobs.iter().filter(|&&job| job != 0) {
            kill_job(job, signal::TERM);
        }
    }
}

fn is_builtin(word: &str) -> bool {
    ["exit", "set", "jobs", "wait", "fg", "help"].contains(&word) || is_setting(word)
}

fn is_setting(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// What `help` says, in lines of a terminal's width.
const HELP: [&str; 10] = [
    "Programs are what `ls` shows as bin/NAME. Of the system they show:",
    "  ps  free  slices  tlb  caps   processes, memory, slices, mappings, rights",
    "  kill [-SIGNAL] PID, -JOB      ends a process, or a job",
    "  time COMMAND                  what a command takes",
    "Of the shell: exit  fg [JOB]  help  jobs  set  wait  NAME=VALUE",
    "  a | b   a ; b   a &           pipelines; one by one; in the background",
    "  a < FILE   a > FILE   a >> FILE   a 2> FILE   'as it is'   \"$NAME $? $!\"",
    "Keys: left, right, Home, End, Ctrl-A, Ctrl-E; up and down are former lines;",
    "  Ctrl-U, Ctrl-K, Ctrl-W delete, Ctrl-L clears; Ctrl-C ends a job, Ctrl-D the",
    "  input and the shell; Ctrl-] leaves the machine.",
];

const _: () = {
    let mut line = 0;
    while line < HELP.len() {
        assert!(HELP[line].len() < 80);
        line += 1;
    }
};

/// Tells of a process that was ended by a signal.
fn report(pid: u32, status: Status, [pc, address]: [u32; 2]) {
    let text = signal::text(status.signal_number());
    match status.signal_number() {
        0 | signal::INT | signal::PIPE => {}
        signal::SEGV => complain!("{pid}: {text}, address {address:#010x}, at {pc:#010x}"),
        signal::TERM | signal::KILL => complain!("{pid}: {text}"),
        _ => complain!("{pid}: {text}, at {pc:#010x}"),
    }
}

/// A number's digits.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

impl<'a> Command<'a> {
    fn parse(tokens: &[Token<'a>]) -> Result<Self, &'static str> {
        let mut command =
            Self { words: [""; WORDS], count: 0, input: None, output: None, appended: false, errors: None };
        let mut tokens = tokens.iter();
        while let Some(token) = tokens.next() {
            let target = match token {
                Token::Word(word) => {
                    *command.words.get_mut(command.count).ok_or("too many words")? = word;
                    command.count += 1;
                    continue;
                }
                Token::From => &mut command.input,
                Token::To | Token::Append => {
                    command.appended = *token == Token::Append;
                    &mut command.output
                }
                Token::ErrorsTo => &mut command.errors,
                _ => return Err("what is that mark for?"),
            };
            match tokens.next() {
                Some(Token::Word(word)) => *target = Some(word),
                _ => return Err("a file's name is missing"),
            }
        }
        if command.count == 0 { Err("a command is missing") } else { Ok(command) }
    }
}

const _: () = assert!(state::ZOMBIE != state::FREE);
