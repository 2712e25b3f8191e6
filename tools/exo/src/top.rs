//! `top`: slices, environments, frames and TLB of what runs on the model, live in a terminal or once.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use aegis_abi::frame;
use aegis_abi::vm::PAGE_BYTES;
use anyhow::{Result, bail, ensure};
use crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, size};
use crossterm::{cursor, execute, queue, style, terminal};
use decstation::{Limits, Machine, Stop};

use crate::console::Console;
use crate::crossings::Boot;
use crate::machine::{Clock, decstation as model};
use crate::setup::{Need, ensure_all};
use crate::shown::{Environment, Owner, Shown};
use crate::workspace::Workspace;

/// What `top` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The program; what its source says is to run with it is started too
    #[arg(value_name = "PROGRAM")]
    program: String,
    /// How many times as fast as the wall's clock the machine's goes, if the host can
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,
    /// Print one screen and end: for what is no terminal
    #[arg(long)]
    once: bool,
    /// The simulated time of that screen, or of the first; by default the beginning of the first slice
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    at: u64,
    /// The clock and memory system
    #[arg(long, value_enum, default_value_t = Clock::Dec5000_200)]
    clock: Clock,
}

/// Slower and faster than anybody can want.
const SPEEDS: (f64, f64) = (0.0001, 1000.0);

/// Builds, boots and shows.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure!(
        (SPEEDS.0..=SPEEDS.1).contains(&arguments.speed),
        "--speed is between {} and {}, not {}",
        SPEEDS.0,
        SPEEDS.1,
        arguments.speed
    );
    ensure!(arguments.once || stdout().is_terminal(), "this is no terminal: --once prints one screen");
    ensure_all(workspace, &[Need::Compiler])?;
    let boot = Boot::new(workspace, "top", &arguments.program, quiet)?;
    if arguments.once {
        once(&boot, arguments.clock, arguments.at)?.iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    let mut watched = Watched::new(&boot, arguments.clock)?;
    watched.go_to(arguments.at);
    let screen = Screen::open()?;
    let shown = watched.show(arguments.speed);
    drop(screen);
    shown
}

/// One screen, at a simulated time in milliseconds.
pub fn once(boot: &Boot, clock: Clock, at: u64) -> Result<Vec<String>> {
    let mut watched = Watched::new(boot, clock)?;
    watched.go_to(at);
    Ok(watched.screen(120))
}

/// A run that is watched.
struct Watched<'a> {
    machine: Machine,
    console: Console<'a>,
    /// Why it does not go on.
    ended: Option<String>,
}

impl<'a> Watched<'a> {
    fn new(boot: &'a Boot, clock: Clock) -> Result<Self> {
        let machine = model::machine(&boot.job(clock, Duration::MAX), 0)?;
        Ok(Self { machine, console: Console::new(&boot.symbols, |_| {}), ended: None })
    }

    /// Runs to a simulated time; to the first slice if it is 0.
    fn go_to(&mut self, milliseconds: u64) {
        let is_there = |machine: &Machine| match milliseconds {
            0 => Shown(machine).ticks() > 0,
            _ => machine.microseconds() >= milliseconds as f64 * 1000.0,
        };
        while !is_there(&self.machine) && self.go_on(0.1) {}
    }

    /// Runs for so many simulated milliseconds; false if it has ended.
    fn go_on(&mut self, milliseconds: f64) -> bool {
        if self.ended.is_none() {
            let cycles = (self.machine.config().profile.hz as f64 * milliseconds / 1000.0) as u64;
            let stop = self.machine.run(Limits::cycles(cycles.max(1)));
            let _ = self.console.take(self.machine.take_output().as_bytes());
            if stop != Stop::Budget {
                self.ended = Some(self.machine.describe(&stop));
            }
        }
        self.ended.is_none()
    }

    /// Shows it until the person leaves.
    fn show(&mut self, mut speed: f64) -> Result<()> {
        /// Between two screens.
        const FRAME: Duration = Duration::from_millis(100);
        let mut halted = false;
        loop {
            let begun = Instant::now();
            if !halted {
                // In pieces, so that a host that is too slow still shows a screen in time.
                let mut left = FRAME.as_secs_f64() * 1000.0 * speed;
                while left > 0.0 && begun.elapsed() < FRAME && self.go_on(left.min(1.0)) {
                    left -= 1.0;
                }
            }
            let (width, height) = size()?;
            let mut lines = self.screen(width.into());
            lines.insert(1, format!("speed {speed}{}", if halted { ", halted" } else { "" }));
            let mut output = stdout().lock();
            queue!(output, cursor::MoveTo(0, 0))?;
            for line in lines.iter().take(usize::from(height).saturating_sub(1)) {
                let line: String = line.chars().take(width.into()).collect();
                queue!(output, style::Print(line), Clear(ClearType::UntilNewLine), cursor::MoveToNextLine(1))?;
            }
            queue!(output, Clear(ClearType::FromCursorDown))?;
            output.flush()?;
            drop(output);
            let mut wait = FRAME.saturating_sub(begun.elapsed());
            while poll(wait)? {
                if let Event::Key(key) = read()? {
                    match key.code {
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                        KeyCode::Char(' ') => halted = !halted,
                        KeyCode::Char('+') => speed = (speed * 2.0).min(SPEEDS.1),
                        KeyCode::Char('-') => speed = (speed / 2.0).max(SPEEDS.0),
                        _ => {}
                    }
                }
                wait = Duration::ZERO;
            }
        }
    }

    /// What there is to see, in lines of so many characters.
    fn screen(&self, width: usize) -> Vec<String> {
        let machine = &self.machine;
        let shown = Shown(machine);
        let time = machine.microseconds() / 1000.0;
        let (instructions, profile) = (machine.instructions(), &machine.config().profile);
        let mut lines = vec![format!("{time:.2} ms on a {profile}, {instructions} instructions")];
        if !shown.is_up() {
            lines.push("the kernel is not up yet".to_owned());
            return lines;
        }
        let environments = shown.environments();
        let running = shown.running().map_or("the kernel".to_owned(), |running| running.name);
        lines.push(format!("tick {}, position {}, running: {running}", shown.ticks(), shown.position()));
        lines.push(String::new());

        let slices = shown.slices();
        lines.push("SLICES: who runs in each, a small letter where it is lent".to_owned());
        let letters = slices.iter().map(|slice| match letter(&environments, slice.runner) {
            letter if slice.owner != slice.runner => letter.to_ascii_lowercase(),
            letter => letter,
        });
        lines.push(format!("  {}", String::from_iter(letters)));
        lines.push(format!("  {:>1$}", "^", shown.position() as usize + 1));
        lines.push(String::new());

        let frames = shown.frames();
        let of = |owner: Owner| frames.iter().filter(|&&other| other == owner).count();
        lines.push(format!("ENVIRONMENTS: {}", environments.len()));
        lines.push(format!("    {:<10} {:<24} {:>6} {:>6} {:>5}  entered by", "id", "name", "slices", "frames", "TLB"));
        for environment in &environments {
            let Environment { id, name, entry } = environment;
            let owned = slices.iter().filter(|slice| slice.owner == *id).count();
            let held = of(Owner::Environment(*id));
            let ways = [("transfer", entry.synchronous), ("message", entry.asynchronous), ("yield", entry.runnable)];
            let ways: Vec<_> = ways.into_iter().filter(|(_, word)| word == id).map(|(way, _)| way).collect();
            let valid = machine.tlb().iter().filter(|entry| entry.lo & LO_V != 0);
            let mapped = valid.filter(|entry| frames.get((entry.lo >> 12) as usize) == Some(&Owner::Environment(*id)));
            let (letter, mapped, ways) = (letter(&environments, *id), mapped.count(), ways.join(" "));
            lines.push(format!("  {letter} {id:#010x} {name:<24} {owned:>6} {held:>6} {mapped:>5}  {ways}"));
        }
        lines.push(String::new());

        let (free, kernel, public) = (of(Owner::Free), of(Owner::Kernel), of(Owner::Public));
        let dead = frames.iter().filter(|owner| match owner {
            Owner::Environment(id) => !environments.iter().any(|environment| environment.id == *id),
            _ => false,
        });
        let dead = dead.count();
        lines.push(format!(
            "FRAMES: {} of {} KB; {free} free, {kernel} the kernel's (#), {public} public (=), {dead} of the dead (-)",
            frames.len(),
            PAGE_BYTES / 1024
        ));
        let columns = width.saturating_sub(2).clamp(1, 128);
        let each = frames.len().div_ceil(columns * 8).max(1);
        // A character stands for several frames, and shows whoever has most of them.
        let signs: Vec<char> = frames.chunks(each).map(|part| most(&environments, part)).collect();
        lines.extend(signs.chunks(columns).map(|row| format!("  {}", String::from_iter(row))));
        lines.push(String::new());

        let valid = machine.tlb().iter().filter(|entry| entry.lo & LO_V != 0).count();
        lines.push(format!("TLB: {valid} of 64 entries valid; software TLB: {} of 4096", shown.software_tlb()));
        let signs = machine.tlb().iter().map(|entry| match frames.get((entry.lo >> 12) as usize) {
            _ if entry.lo & LO_V == 0 => '.',
            Some(owner) => sign(&environments, *owner),
            None => '?',
        });
        lines.push(format!("  {}", String::from_iter(signs)));
        let statistics = shown.statistics();
        let statistics: Vec<_> = statistics.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        lines.push(statistics.join(", "));
        lines.push(String::new());
        const LINES: usize = 5;
        lines.push("CONSOLE".to_owned());
        let printed = &self.console.lines;
        lines.extend(printed[printed.len().saturating_sub(LINES)..].iter().map(|line| format!("  {line}")));
        lines.extend(self.ended.iter().map(|why| format!("  ({why})")));
        lines
    }
}

/// EntryLo: valid.
const LO_V: u32 = aegis_abi::vm::entry_lo::VALID;

/// What stands for an environment: A to Z by its place, a star for those behind, a dot for nobody.
fn letter(environments: &[Environment], id: u32) -> char {
    match environments.iter().position(|environment| environment.id == id) {
        _ if id == frame::FREE => '.',
        Some(place @ 0..26) => char::from(b'A' + place as u8),
        Some(_) => '*',
        None => '-',
    }
}

/// What stands for the owner of a frame.
fn sign(environments: &[Environment], owner: Owner) -> char {
    match owner {
        Owner::Free => '.',
        Owner::Kernel => '#',
        Owner::Public => '=',
        Owner::Environment(id) => letter(environments, id),
    }
}

/// The sign that most of these frames have.
fn most(environments: &[Environment], frames: &[Owner]) -> char {
    let signs: Vec<char> = frames.iter().map(|&owner| sign(environments, owner)).collect();
    let times = |sign: char| signs.iter().filter(|&&other| other == sign).count();
    signs.iter().copied().max_by_key(|&sign| times(sign)).unwrap_or(' ')
}

/// The terminal while the screen is shown. Dropped, it is as before.
struct Screen;

impl Screen {
    fn open() -> Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        if let Err(error) = execute!(stdout(), EnterAlternateScreen, cursor::Hide) {
            bail!("cannot use the terminal: {error}");
        }
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It was so before.
        let _ = execute!(stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}
