//! The report on the terminal: a table for each of the paper's.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::{ALIKE, LINUX, MODEL_ERROR, Report, Row, alike, title};
use crate::figure;
use crate::machine::Clock;
use crate::paper::{Paper, REFERENCE, UNIX};

/// Prints all of it.
pub fn print(report: &Report, paper: &Paper) {
    let clocks = report.clocks();
    // What was measured may be somebody's own, of which the paper says nothing.
    let of_paper = report.tables().iter().any(|rows| paper.table(&rows[0].table).is_some());
    if of_paper {
        println!("Table 1: the paper's machines, and the model of each\n{}\n", machines(report, paper));
    }
    for rows in report.tables() {
        println!("{}", title(&rows[0].table, paper));
        println!("{}", table(&rows, paper, &report.clocks_of(&rows), &report.witnesses));
        notes(&rows, paper, !clocks.is_empty());
        println!();
    }
    for figure in report.figures() {
        figure::print(&figure, paper);
    }
    println!(
        "instructions: executed on {}, delay slots too; the median of n, and how many of n differ from it because",
        report.machine
    );
    println!("  of an interrupt or a TLB miss");
    if clocks.is_empty() {
        println!("{} has no clock, so there are no times of ours", report.machine);
    } else {
        println!(
            "cycles, us: a round of the loop, on the model's clock and memory system (docs/model.md says what that is worth)"
        );
    }
    if of_paper {
        println!("in parentheses: the paper's times as printed, for the same system; its cycles are time x clock");
        println!(
            "{ALIKE}: no further from the paper's than the model may be off, {:.0} %: neither is faster",
            100.0 * MODEL_ERROR
        );
        println!("x faster: the paper's time by ours, on the fastest machine that the paper has for it");
    }
    if report.tables().concat().iter().any(|row| row.linux_instructions.is_some()) {
        println!(
            "{LINUX}: instructions that it executes on {} for the same, a round of its loop, and how many times ours that is;",
            report.machine
        );
        println!("  measured by `cargo exo baseline` (docs/baseline.md says what is compared)");
    }
    if let Some(longest) = &report.longest {
        println!("longest path in the kernel: {longest}");
    }
}

/// Table 1. What was measured of ours is how many instructions of the matrix multiplication, Table 9, a microsecond has.
fn machines(report: &Report, paper: &Paper) -> Table {
    let matrix = report.row("9", "matrix", "exos");
    let mut table = new([
        "machine",
        "the model's",
        "processor",
        "MHz",
        "SPEC\n(the paper's)",
        "MIPS\n(the paper's)",
        "MIPS of the\nmatrix, Table 9",
    ]);
    for clock in Clock::PAPER {
        let profile = crate::machine::decstation::profile(clock);
        let of_paper = paper.machines.get(clock.name());
        let mips = matrix.and_then(|row| Some(row.loop_instructions? / row.clocks.get(clock.name())?.us));
        let paper = |what: fn(&crate::paper::Machine) -> String| of_paper.map_or("-".to_owned(), what);
        table.add_row([
            clock.name().to_owned(),
            profile.machine.to_owned(),
            paper(|machine| machine.cpu.clone()),
            paper(|machine| machine.mhz.to_string()),
            paper(|machine| machine.spec.clone()),
            paper(|machine| machine.mips.to_string()),
            number(mips, 1),
        ]);
    }
    table.column_iter_mut().skip(3).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn new<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    // On a narrow terminal cells are broken rather than lines.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// A table; on a machine without a clock the columns of times hold the paper's alone.
fn table(rows: &[&Row], paper: &Paper, clocks: &[Clock], witnesses: &BTreeMap<String, String>) -> Table {
    let columns = if clocks.is_empty() { &Clock::PAPER[..] } else { clocks };
    let mut header = ["operation", "system", "instructions", "n", "spread\n(differ)"].map(str::to_owned).to_vec();
    header.extend(witnesses.keys().map(|witness| format!("on\n{witness}")));
    if !clocks.is_empty() {
        header.push("instructions\nin the loop".to_owned());
    }
    let of_paper = paper.table(&rows[0].table);
    let reference = of_paper.map_or(REFERENCE, crate::paper::Table::reference);
    // Cycles hardly differ from clock to clock; the results as data have all.
    let named = columns.iter().find(|clock| clock.name() == reference);
    let last = *named.or(columns.last()).expect("there is a clock");
    header.push(format!("cycles\n{}", last.name()));
    header.extend(columns.iter().map(|clock| format!("us\n{}", clock.name())));
    let with_ratio = rows.iter().any(|row| row.ratio.is_some());
    header.extend(with_ratio.then(|| "x\nfaster".to_owned()));
    header.extend(of_paper.map(|_| format!("{UNIX} us\n{reference}")));
    let with_linux = rows.iter().any(|row| row.linux_instructions.is_some());
    header.extend(with_linux.then(|| format!("{LINUX}\n(times ours)")));
    let mut table = new([]);
    table.set_header(header);
    for row in rows {
        let us = |system: Option<&str>, machine: &str| of_paper?.us(system?, machine, row.in_paper());
        let system = of_paper.and_then(|table| table.counterpart(&row.system));
        let mut cells = vec![
            row.op.clone(),
            row.system.clone(),
            row.instructions.map_or("-".to_owned(), |count| count.to_string()),
            row.n.map_or("-".to_owned(), |n| n.to_string()),
            spread(row),
        ];
        cells.extend(witnesses.keys().map(|witness| number(row.witnesses.get(witness).copied(), 0)));
        if !clocks.is_empty() {
            cells.push(number(row.loop_instructions, 1));
        }
        let paper_us = |clock: &Clock| us(system, clock.name());
        let theirs = paper_us(&last).zip(paper.mhz(last.name())).map(|(us, mhz)| us * mhz);
        let ours = row.clocks.get(last.name());
        let cycles = ours.map(|ours| number(Some(ours.cycles), 1));
        cells.push(beside(cycles, theirs.map(|cycles| format!("{cycles:.0}"))));
        cells.extend(columns.iter().map(|clock| {
            let ours = row.clocks.get(clock.name()).map(|ours| ours.us);
            let theirs = paper_us(clock).map(|us| format!("{}{us}", ours.map_or("", |ours| alike(ours, us))));
            beside(ours.map(|ours| number(Some(ours), 2)), theirs)
        }));
        let mut cells: Vec<Cell> = cells.into_iter().map(Cell::new).collect();
        if with_ratio {
            let cell = Cell::new(row.ratio.map_or("-".to_owned(), ratio));
            cells.push(match row.ratio {
                Some(ratio) if ratio >= 1.0 => cell.fg(Color::Green),
                Some(_) => cell.fg(Color::Red),
                None => cell,
            });
        }
        if of_paper.is_some() {
            cells.push(Cell::new(us(Some(UNIX), reference).map_or("-".to_owned(), |us| us.to_string())));
        }
        if with_linux {
            let theirs = row.linux_instructions.zip(row.linux_ratio);
            cells
                .push(Cell::new(theirs.map_or("-".to_owned(), |(theirs, times)| format!("{theirs:.0} ({times:.1}x)"))));
        }
        table.add_row(cells);
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// What each operation is, how the paper measured, and what is done otherwise.
fn notes(rows: &[&Row], paper: &Paper, with_loops: bool) {
    let table = paper.table(&rows[0].table);
    for row in rows {
        println!("  {} ({}): {}", row.op, row.system, row.how);
        if let (true, Some(how), Some(n), Some(rounds)) = (with_loops, &row.loop_how, row.loop_n, row.loop_rounds) {
            println!("    in the loop: {how} ({n} loops of {rounds} rounds, the median)");
        }
        if let Some(changed) = table.and_then(|table| table.changed_for(row.in_paper())) {
            println!("    unlike the paper: {changed}");
        }
    }
    if let Some(table) = table {
        println!("  the paper: {}", table.method);
        if let Some(changed) = table.changed() {
            println!("  unlike the paper: {changed}");
        }
    }
}

fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
}

/// How many times as fast.
pub fn ratio(ratio: f64) -> String {
    format!("{ratio:.*}", if ratio < 10.0 { 2 } else { 0 })
}

/// Ours and, in parentheses, theirs.
fn beside(ours: Option<String>, theirs: Option<String>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{ours} ({theirs})"),
        (Some(ours), None) => ours,
        (None, Some(theirs)) => format!("({theirs})"),
        (None, None) => "-".to_owned(),
    }
}

/// How far the counts lie apart.
pub fn spread(row: &Row) -> String {
    match (row.instructions_min, row.instructions_max, row.disturbed) {
        (_, _, Some(0)) => "none".to_owned(),
        (Some(min), Some(max), Some(disturbed)) => format!("{min}..{max} ({disturbed})"),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Measured;
    use crate::bench::measure::tests::measured;

    #[test]
    fn table_stands_beside_the_paper() {
        let paper = Paper::read().unwrap();
        let cells = |measured: Measured, clocks: &[Clock]| {
            let text = table(&[&Row::new(&measured, &paper)], &paper, clocks, &BTreeMap::new()).to_string();
            let row = text.lines().nth_back(1).unwrap().to_owned();
            let cells = row.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect::<Vec<_>>()
        };
        let counts = ["syscall", "aegis", "18", "4", "18..300 (1)"];
        let ours = ["22.0", "25.0 (40)", "1.00 (1.6)", "1.60", "21.3"];
        assert_eq!(cells(measured(), &[Clock::Dec5000]), [&counts[..], &ours].concat());
        // Nearer than the model knows.
        let mut row = Row::new(&measured(), &paper);
        row.clocks.get_mut("dec5000").unwrap().us = 1.55;
        assert!(table(&[&row], &paper, &[Clock::Dec5000], &BTreeMap::new()).to_string().contains("1.55 (\u{2248}1.6)"));
        let theirs = ["(40)", "(3.2)", "(2.9)", "(1.6)", "21.3"];
        assert_eq!(cells(Measured { timed: None, ..measured() }, &[]), [&counts[..], &theirs].concat());
    }
}
