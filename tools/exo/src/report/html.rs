//! The report as one page: tables and plots, the method, the machines' parameters, and what the numbers are not. It needs no
//! other file, in the light and in the dark.

use std::fs;

use anyhow::{Context, Result};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plot::{Axis, Bar, Curve, Scale, Shape, bars, curves, legend, short};
use super::{ALIKE, LINUX, MODEL_ERROR, Report, Row, alike, terminal, title};
use crate::figure::{Series, order};
use crate::machine::{Clock, decstation};
use crate::paper::{Paper, REFERENCE, Table, UNIX};
use crate::workspace::Workspace;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &Report, paper: &Paper, workspace: &Workspace) -> Result<String> {
    let model = workspace.root.join("docs/model.md");
    let model = fs::read_to_string(&model).with_context(|| format!("cannot read {}", model.display()))?;
    let figures = report.figures();
    // A figure's own operations are shown with it.
    let is_of_figure = |rows: &Vec<&Row>| figures.iter().any(|figure| figure[0].table == rows[0].table);
    let (of_figures, tables): (Vec<_>, Vec<_>) = report.tables().into_iter().partition(is_of_figure);
    let name = "Aegis and ExOS: the exokernel paper, measured again";
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (name) }
                    p {
                        "The tables and figures of Engler, Kaashoek and O'Toole, " em { "Exokernel" } ", SOSP'95, and of their paper on packet filters, "
                        "beside what this tree's kernel and libraries take on a " (machine_in_words(report)) "."
                    }
                    (origin(report))
                }
                nav {
                    a href="#overview" { "Overview" }
                    @for rows in &tables { a href={ "#" (anchor(&rows[0].table)) } { (short_title(&rows[0].table)) } }
                    @for figure in &figures { a href={ "#" (anchor(&figure[0].table)) } { (short_title(&figure[0].table)) } }
                    a href="#method" { "Method" }
                    a href="#not" { "What they are not" }
                    a href="#machines" { "The model" }
                }
                main {
                    (overview(report))
                    @for rows in &tables { (table(report, rows, paper)) }
                    @for figure in &figures {
                        (figure_section(figure, paper))
                        @if let Some(rows) = of_figures.iter().find(|rows| rows[0].table == figure[0].table) { (table(report, rows, paper)) }
                    }
                    (method(report))
                    (limits())
                    (machines(report, paper))
                    section #calibration {
                        h2 { "Where the parameters come from, and how far off they are" }
                        p { "From docs/model.md, as it is." }
                        (markdown(section(&model, "### Parameters")))
                        (markdown(section(&model, "### Sources")))
                        (markdown(section(&model, "### Against measurements")))
                    }
                }
            }
        }
    };
    Ok(page.into_string() + "\n")
}

fn machine_in_words(report: &Report) -> String {
    match report.machine.as_str() {
        "decstation" => "model of a MIPS R3000 DECstation".to_owned(),
        other => format!("machine emulated by {other}"),
    }
}

/// What was measured, with what.
fn origin(report: &Report) -> Markup {
    html! {
        dl.origin {
            @if let Some(commit) = &report.commit { dt { "commit" } dd { code { (commit) } } }
            dt { "compiler of the guest" } dd { (report.toolchain) }
            dt { "machine" } dd { (report.machine) " (" (report.machine_version) ")" }
            @for (witness, version) in &report.witnesses { dt { "counted on" } dd { (witness) " (" (version) ")" } }
            @if let Some(kernel) = report.linux.get("kernel") { dt { "Linux beside it" } dd { (kernel) } }
            @if let Some(longest) = &report.longest { dt { "longest path in the kernel" } dd { (longest) } }
        }
    }
}

/// How many times as fast each operation is as in the paper.
fn overview(report: &Report) -> Markup {
    let tables = report.tables();
    let with_ratio = |rows: &Vec<&Row>| -> Vec<(String, Vec<Bar>)> {
        let group = |row: &&Row| {
            let ratio = row.ratio?;
            let class = if ratio >= 1.0 { "ours" } else { "worse" };
            Some((label(row, rows), vec![Bar { class, value: ratio, text: terminal::ratio(ratio) }]))
        };
        // Where other programs stand in for the paper's rivals the ratio says little of ours.
        rows.iter()
            .filter(|row| !["bpf", "trie", "bare", LINUX].contains(&row.system.as_str()))
            .filter_map(group)
            .collect()
    };
    let groups: Vec<_> = tables.iter().flat_map(with_ratio).collect();
    let cells = || {
        tables.iter().flatten().flat_map(|row| row.clocks.values()).filter_map(|time| Some((time.us, time.paper_us?)))
    };
    let (all, kept) = (cells().count(), cells().filter(|(us, paper)| us <= paper).count());
    let against_linux = |rows: &Vec<&Row>| -> Vec<(String, Vec<Bar>)> {
        let group = |row: &&Row| {
            let ratio = row.linux_ratio?;
            let class = if ratio >= 1.0 { "linux" } else { "worse" };
            Some((label(row, rows), vec![Bar { class, value: ratio, text: terminal::ratio(ratio) }]))
        };
        rows.iter().filter_map(group).collect()
    };
    let linux: Vec<_> = tables.iter().flat_map(against_linux).collect();
    html! {
        section #overview {
            h2 { "Overview" }
            @if all > 0 {
                p {
                    "Of the " (all) " times that the paper prints for what was measured here, on each of its machines, " (kept)
                    " are reached or bettered. The bars say how many times as fast each operation is as the paper's, by table, on the fastest "
                    "machine that the paper has for it; the line is the paper."
                }
                (bars("times as fast as the paper", &Axis { label: "times as fast as the paper's", scale: Scale::Log }, Some(1.0), &groups))
                @if !linux.is_empty() {
                    p { "How many times as many instructions Linux executes for the same work on the same machine:" }
                    (bars("Linux's instructions by ours", &Axis { label: "Linux's instructions by ours", scale: Scale::Log }, Some(1.0), &linux))
                }
            } @else {
                p { "This machine has no clock, so there are counts of instructions and no times." }
            }
        }
    }
}

/// What a bar of the overview stands for; where a table has two systems, with the system.
fn label(row: &Row, rows: &[&Row]) -> String {
    let number = if row.table.parse::<u32>().is_ok() { format!("{} ", row.table) } else { String::new() };
    let is_other = |other: &&Row| {
        other.op == row.op && other.ratio.is_some() && other.system != row.system && other.system != LINUX
    };
    let system = if rows.iter().any(is_other) { row.system.trim_start_matches("exos_") } else { "" };
    format!("{number}{} {system}", row.op).trim_end().to_owned()
}

/// A table: bars, numbers, and what each number is.
fn table(report: &Report, rows: &[&Row], paper: &Paper) -> Markup {
    let id = &rows[0].table;
    let of_paper = paper.table(id);
    let of_figure = report.figures().iter().any(|figure| figure[0].table == *id);
    html! {
        section id={ (anchor(id)) @if of_figure { "-numbers" } } {
            @if of_figure { h3 { (title(id, paper)) } } @else { h2 { (title(id, paper)) } }
            (plot(rows, paper))
            (numbers(report, rows, paper))
            @if let Some(table) = of_paper {
                p.method { b { "The paper: " } (table.method) "." }
                @if let Some(changed) = table.changed() { p.method { b { "Unlike the paper: " } (changed) "." } }
            }
            details {
                summary { "What each number is" }
                dl {
                    @for row in rows {
                        dt { code { (row.op) } " (" (row.system) ")" }
                        dd {
                            (row.how) "."
                            @if let (Some(how), Some(n), Some(rounds)) = (&row.loop_how, row.loop_n, row.loop_rounds) {
                                " In the loop: " (how) " (" (n) " loops of " (rounds) " rounds, the median)."
                            }
                            @if let Some(changed) = of_paper.and_then(|table| table.changed_for(row.in_paper())) {
                                " Unlike the paper: " (changed) "."
                            }
                        }
                    }
                }
                @if let Some(table) = of_paper { p { "The paper's numbers: " (paper.source(table)) "." } }
            }
        }
    }
}

/// The table's plot: curves where the operations are a number, else bars, if there are times to show.
fn plot(rows: &[&Row], paper: &Paper) -> Markup {
    let id = rows[0].table.as_str();
    match id {
        "dpf-filters" => scaling(rows, paper, "filters_", "filters", Scale::Log),
        "dpf-depth" => scaling(rows, paper, "depth_", "protocols", Scale::Linear),
        _ => bars_of(rows, paper),
    }
}

/// Time against the number behind `prefix`.
fn scaling(rows: &[&Row], paper: &Paper, prefix: &str, label: &'static str, scale: Scale) -> Markup {
    let x = |row: &Row| row.op.strip_prefix(prefix)?.parse::<f64>().ok();
    let ours = rows.iter().filter_map(|row| Some((x(row)?, row.us?))).collect();
    let table = paper.table(&rows[0].table);
    let theirs = |system: &str| -> Vec<_> {
        rows.iter().filter_map(|row| Some((x(row)?, table?.us(system, table?.reference(), row.in_paper())?))).collect()
    };
    let curve = |name: &str, class, points| Curve { name: name.to_owned(), class, shape: Shape::Points, points };
    let all = [
        curve("PATHFINDER, as the paper cites it", "unix", theirs("pathfinder")),
        curve("the paper's DPF, on a 5000/200", "paper", theirs("dpf")),
        curve("ours, on the model of a 5000/200", "ours", ours),
    ];
    let all: Vec<_> = all.into_iter().filter(|curve: &Curve| !curve.points.is_empty()).collect();
    let y = Axis { label: "us a packet", scale: if all.len() > 2 { Scale::Log } else { Scale::Linear } };
    curves("time against their number", &Axis { label, scale }, &y, &all)
}

/// Bars of ours, the paper's, and of UNIX.
fn bars_of(rows: &[&Row], paper: &Paper) -> Markup {
    let Some(table) = paper.table(&rows[0].table) else { return html! {} };
    let mut groups: Vec<(String, Vec<Bar>)> = Vec::new();
    let mut classes: Vec<(&str, String)> = Vec::new();
    for row in rows.iter().filter(|row| row.us.is_some()) {
        let is_linux = row.system == LINUX;
        let bar = |class, us: f64| Bar { class, value: us, text: short(us) };
        let mut add = |class, name: &str, bars: &mut Vec<Bar>, us: Option<f64>| {
            let Some(us) = us else { return };
            bars.push(bar(class, us));
            if classes.iter().all(|(known, _)| *known != class) {
                classes.push((class, name.to_owned()));
            }
        };
        if is_linux && let Some((_, bars)) = groups.iter_mut().find(|(label, _)| *label == row.op) {
            add("linux", "Linux, on the same model", bars, row.us);
            continue;
        }
        let mut bars = Vec::new();
        let system = table.counterpart(&row.system);
        add("ours", "ours", &mut bars, row.us);
        add(
            "paper",
            "the paper's",
            &mut bars,
            system.and_then(|system| table.us(system, table.reference(), row.in_paper())),
        );
        add("unix", "the paper's Ultrix", &mut bars, table.us(UNIX, table.reference(), row.in_paper()));
        let label = if groups.iter().any(|(label, _)| *label == row.op) {
            format!("{} ({})", row.op, row.system)
        } else {
            row.op.clone()
        };
        groups.push((label, bars));
    }
    // Numbers without another beside them are in the table.
    if !classes.iter().any(|(class, _)| *class != "ours") {
        return html! {};
    }
    html! {
        (bars("times", &Axis { label: "us", scale: Scale::Log }, None, &groups))
        p.legend { "On a " (clock_in_words(table)) ":" }
        (legend(classes.iter().map(|(class, name)| (*class, name.as_str()))))
    }
}

/// The machine that a table's plot is of.
fn clock_in_words(table: &Table) -> &'static str {
    let clock = Clock::ALL.into_iter().find(|clock| clock.name() == table.reference());
    clock.map_or("machine", |clock| decstation::profile(clock).machine)
}

/// The table's numbers.
fn numbers(report: &Report, rows: &[&Row], paper: &Paper) -> Markup {
    let clocks = report.clocks_of(rows);
    let table = paper.table(&rows[0].table);
    let columns = if clocks.is_empty() { Clock::PAPER.to_vec() } else { clocks.clone() };
    let reference = table.map_or(REFERENCE, Table::reference);
    let last =
        columns.iter().find(|clock| clock.name() == reference).or(columns.last()).map_or("", |clock| clock.name());
    let theirs = |row: &Row, clock: Clock| {
        let table = table?;
        table.us(table.counterpart(&row.system)?, clock.name(), row.in_paper())
    };
    let unix = |row: &Row| table?.us(UNIX, table?.reference(), row.in_paper());
    let has_unix = rows.iter().any(|row| unix(row).is_some());
    let has_linux = rows.iter().any(|row| row.linux_instructions.is_some());
    let has_ratio = rows.iter().any(|row| row.ratio.is_some());
    html! {
        div.scroll {
            table {
                thead { tr {
                    th { "operation" } th { "system" } th.number { "instructions" } th.number { "n" } th.number { "spread (differ)" }
                    @for witness in report.witnesses.keys() { th.number { "on " (witness) } }
                    @if !clocks.is_empty() { th.number { "cycles" br; (last) } }
                    @for clock in &columns { th.number { "us" br; (clock.name()) } }
                    @if has_ratio { th.number { "x faster" } }
                    @if has_unix { th.number { "Ultrix us" } }
                    @if has_linux { th.number { "Linux" br; "instructions" } th.number { "times ours" } }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (row.op) } td { (row.system) }
                            td.number { (maybe(row.instructions.map(|count| count.to_string()))) }
                            td.number { (maybe(row.n.map(|n| n.to_string()))) }
                            td.number { (terminal::spread(row)) }
                            @for witness in report.witnesses.keys() { td.number { (maybe(row.witnesses.get(witness).map(f64::to_string))) } }
                            @if !clocks.is_empty() {
                                td.number { (maybe(row.clocks.get(last).map(|time| format!("{:.1}", time.cycles)))) }
                            }
                            @for clock in &columns {
                                td.number {
                                    @let ours = row.clocks.get(clock.name()).map(|time| time.us);
                                    (maybe(ours.map(|us| format!("{us:.2}"))))
                                    @if let Some(us) = theirs(row, *clock) { " " span.theirs { "(" (ours.map_or("", |ours| alike(ours, us))) (us) ")" } }
                                }
                            }
                            @if has_ratio {
                                td.number.(row.ratio.map_or("none", |ratio| if ratio < 1.0 { "slower" } else { "faster" })) {
                                    (maybe(row.ratio.map(terminal::ratio)))
                                }
                            }
                            @if has_unix { td.number { (maybe(unix(row).map(|us| us.to_string()))) } }
                            @if has_linux {
                                td.number { (maybe(row.linux_instructions.map(|count| format!("{count:.0}")))) }
                                td.number { (maybe(row.linux_ratio.map(|ratio| format!("{ratio:.1}")))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn maybe(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// A figure: our points, and the paper's behind them.
fn figure_section(figure: &[&Series], paper: &Paper) -> Markup {
    let number = number_of(figure[0]);
    let of_paper = paper.figure(number);
    const OURS: [&str; 3] = ["ours", "second", "third"];
    let mut all: Vec<Curve> = Vec::new();
    if let Some(of_paper) = of_paper {
        for (name, ys) in &of_paper.series {
            let points = of_paper.x.iter().copied().zip(ys.iter().copied()).collect();
            all.push(Curve { name: format!("{name}, the paper's"), class: "paper", shape: Shape::Points, points });
        }
        if let Some(thousands) = of_paper.thousands {
            // As the paper's ideal lines: whoever runs gets as much in each quantum.
            for series in figure {
                let mut y = 0.0;
                let mut points = vec![(0.0, 0.0)];
                for (quantum, name) in of_paper.schedule(series.n).enumerate() {
                    if series.op.starts_with(name) {
                        y += thousands * 1000.0;
                        points.push((quantum as f64 + 1.0, y));
                    }
                }
                all.push(Curve {
                    name: format!("{}, the paper's ideal line", series.op),
                    class: "paper",
                    shape: Shape::Line,
                    points,
                });
            }
        }
    }
    for (series, class) in figure.iter().zip(OURS.into_iter().cycle()) {
        let points = series.points.iter().map(|&(x, y)| (x as f64, y as f64)).collect();
        all.push(Curve { name: series.op.clone(), class, shape: Shape::Dots, points });
    }
    let unit = figure[0].unit.clone();
    let (x, y) = match number {
        "2" => ("active processes", "us a round trip"),
        "3" => ("quanta", "iterations"),
        _ => ("number", "value"),
    };
    html! {
        section id=(anchor(&figure[0].table)) {
            h2 { (short_title(&figure[0].table)) @if let Some(of_paper) = of_paper { ": " (of_paper.title) } @else { ", as it goes" } }
            (curves("a figure", &Axis { label: x, scale: Scale::Linear }, &Axis { label: y, scale: Scale::Linear }, &all))
            @if let Some(of_paper) = of_paper.filter(|of_paper| !of_paper.run_order.is_empty()) {
                p.method { "Who ran in each quantum: " code.wrap { (order(figure)) } }
                p.method { "The paper's: " code { (of_paper.run_order) } ", again and again." }
                div.scroll { table {
                    thead { tr { th { "process" } th.number { "at the end" } th.number { "of all" } th.number { "the paper's" } th.number { "its ideal" } } }
                    tbody {
                        @let sum = figure.iter().filter_map(|series| series.last()).sum::<u64>().max(1);
                        @for series in figure {
                            @let last = series.last().unwrap_or_default();
                            tr {
                                td { (series.op) } td.number { (last) } td.number { (format!("{:.2} %", 100.0 * last as f64 / sum as f64)) }
                                td.number { (maybe(of_paper.last.get(&series.op).map(f64::to_string))) }
                                td.number { (maybe(of_paper.ideal.get(&series.op).map(f64::to_string))) }
                            }
                        }
                    }
                } }
            }
            details {
                summary { "What each series is" }
                dl { @for series in figure { dt { (series.op) } dd { (series.how) " (" (unit) @if let Some(clock) = &series.clock { ", " (clock) } ")." } } }
            }
        }
    }
}

fn method(report: &Report) -> Markup {
    html! {
        section #method {
            h2 { "Method" }
            ul {
                li { "An operation stands between two marks, instructions that do nothing. Each instruction executed between them is counted, in the program and in the kernel, in delay slots too. "
                     "Counts need no clock and repeat exactly; what is shown is the median of n, and how many of them differ from it because an interrupt or a miss of the TLB fell into them." }
                li { "Times are those of a loop around the operation, as the paper's are: its own instructions are in the time. A loop is run several times, and the median taken. Caches and TLB are warm, as the paper says of its own." }
                li { "The paper's times are as printed, in parentheses, for the same machine. Those of its tables of packet filters are of a DECstation 5000/200, and so are ours beside them." }
                li { "Where " (ALIKE) " is before one, ours is no further from it than the model was off where real machines were measured, " (format!("{:.0}", 100.0 * MODEL_ERROR)) " %: neither is faster." }
                @if !report.linux.is_empty() {
                    li { "Linux was built for this DECstation, without a change, and runs on the same model: its instructions are a round of its loop, those of the process and of its kernel. "
                         code { "cargo exo baseline" } " measures it; docs/baseline.md says what is compared." }
                }
                @if !report.witnesses.is_empty() {
                    li { "Columns headed " em { "on" } " are counts that other emulators made of the same programs: GXemul of the same image, QEMU's malta with a kernel for MIPS32, which differs where docs/malta.md says." }
                }
                li { code { "cargo exo bench --html FILE" } " writes this page, " code { "cargo exo trace PROGRAM OPERATION" } " shows each instruction of an operation." }
            }
        }
    }
}

fn limits() -> Markup {
    html! {
        section #not {
            h2 { "What these numbers are not" }
            ul {
                li { b { "Not times of a DECstation. " } "A count is a measurement. A time is a model's: cycles of a modelled processor, caches and write buffer, divided by the clock. Its parameters were frozen before anything of this kernel was measured; some have sources, some are guesses, and below is how far the model is off where real machines were measured. Where two times differ by less than that, neither is faster." }
                li { b { "Not times of a cold machine. " } "Nothing misses in caches but where it is said. A program that does other work between two calls pays for what it displaced." }
                li { b { "Not of the compiler of 1995. " } "What is in Rust was compiled by a compiler of today, the paper's C by gcc 2.6. Paths written by hand do not depend on that." }
                li { b { "Not the same system. " } "The paper says that Aegis and ExOS offered less than Ultrix; ours are not theirs either: capabilities are wider and checked at other places, page tables are others, libraries do more here and less there. What is in each number is said at the number." }
                li { b { "Not Ultrix's today. " } "Ultrix's times are the paper's. Its yield was made of signals." }
            }
        }
    }
}

/// Table 1 and the parameters of the model.
fn machines(report: &Report, paper: &Paper) -> Markup {
    let profiles = Clock::ALL.map(decstation::profile);
    type Field = (&'static str, fn(&::decstation::Profile) -> String);
    const FIELDS: [Field; 17] = [
        ("clock, MHz", |p| format!("{:.2}", p.hz as f64 / 1e6)),
        ("processor identity", |p| format!("{:#06x}", p.prid)),
        ("refill, words", |p| p.refill_words.to_string()),
        ("read miss, cycles", |p| p.read_miss.to_string()),
        ("write buffer, entries", |p| p.write_buffer.depth.to_string()),
        ("gathers writes to one word", |p| yes(p.write_buffer.merge)),
        ("write in page mode / other, cycles", |p| {
            format!("{} / {}", p.write_buffer.page_write, p.write_buffer.other_write)
        }),
        ("extra for a sub-word write in memory", |p| p.write_buffer.partial_write.to_string()),
        ("reads wait for all writes", |p| yes(p.write_buffer.drain_before_read)),
        ("uncached read, cycles", |p| p.uncached_read.to_string()),
        ("device read / write, cycles", |p| format!("{} / {}", p.device_read, p.device_write)),
        ("sub-word store that hits, extra", |p| p.partial_store.to_string()),
        ("mult / div ready after", |p| format!("{} / {}", p.mult, p.div)),
        ("exception / interrupt, cycles lost", |p| format!("{} / {}", p.exception, p.interrupt)),
        ("micro-TLB, entries / miss", |p| format!("{} / {}", p.micro_tlb, p.micro_tlb_miss)),
        ("Ethernet memory read, cycles", |p| p.ether.read.to_string()),
        ("Ethernet: to the preamble / to the descriptor, us", |p| {
            format!("{} / {}", p.ether.transmit as f64 / 1e3, p.ether.receive as f64 / 1e3)
        }),
    ];
    let matrix = report.row("9", "matrix", "exos");
    html! {
        section #machines {
            h2 { "Table 1: the paper's machines" }
            div.scroll { table {
                thead { tr { th { "machine" } th { "the model's" } th { "processor" } th.number { "MHz" } th { "SPEC" } th.number { "MIPS" } th.number { "MIPS of the matrix," br; "Table 9, measured" } } }
                tbody {
                    @for clock in Clock::PAPER {
                        @if let Some(machine) = paper.machines.get(clock.name()) {
                            @let mips = matrix.and_then(|row| Some(row.loop_instructions? / row.clocks.get(clock.name())?.us));
                            tr {
                                td { (clock.name()) } td { (decstation::profile(clock).machine) } td { (machine.cpu) } td.number { (machine.mhz) }
                                td { (machine.spec) } td.number { (machine.mips) } td.number { (maybe(mips.map(|mips| format!("{mips:.1}")))) }
                            }
                        }
                    }
                }
            } }
            h2 { "The model's parameters" }
            div.scroll { table {
                thead { tr { th { "parameter" } @for profile in &profiles { th.number { (profile.name) } } } }
                tbody {
                    @for (name, field) in FIELDS { tr { td { (name) } @for profile in &profiles { td.number { (field(profile)) } } } }
                }
            } }
            h3 { "Guesses, with their ranges" }
            p { code { "cargo exo bench --guesses" } " shows what each is worth." }
            ul.guesses { @for guess in guesses() { li { (guess) } } }
        }
    }
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// The guessed parameters, each with the machines that it is one of.
fn guesses() -> Vec<String> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for clock in Clock::ALL {
        for guess in clock.guesses() {
            match all.iter_mut().find(|(parameter, _)| *parameter == guess.parameter) {
                Some((_, clocks)) => clocks.push(clock.name()),
                None => all.push((guess.parameter, vec![clock.name()])),
            }
        }
    }
    let text = |(parameter, clocks): (&str, Vec<&str>)| match clocks.len() == Clock::ALL.len() {
        true => parameter.to_owned(),
        false => format!("{parameter} ({})", clocks.join(", ")),
    };
    all.into_iter().map(text).collect()
}

/// A section of a text with headings, without its own.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let level = heading.chars().take_while(|&c| c == '#').count();
    let Some(start) = text.find(&format!("\n{heading}\n")) else { return "" };
    let body = &text[start + heading.len() + 2..];
    let is_end = |line: &str| (1..=level).any(|level| line.starts_with(&format!("{} ", "#".repeat(level))));
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        if is_end(line) {
            break;
        }
        end += line.len();
    }
    &body[..end]
}

fn markdown(text: &str) -> Markup {
    let options = pulldown_cmark::Options::ENABLE_TABLES;
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, pulldown_cmark::Parser::new_ext(text, options));
    // Wide tables scroll by themselves.
    let out = out.replace("<table>", "<div class=\"scroll\"><table>").replace("</table>", "</table></div>");
    PreEscaped(out)
}

fn anchor(table: &str) -> String {
    format!("t-{}", table.replace('.', "-"))
}

fn short_title(table: &str) -> String {
    match table {
        "5.4" => "Section 5.4".to_owned(),
        table if table.parse::<u32>().is_ok() => format!("Table {table}"),
        table => table.strip_prefix("figure").map_or(table.to_owned(), |number| format!("Figure {number}")),
    }
}

fn number_of(series: &Series) -> &str {
    series.table.trim_start_matches("figure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::tests::measured;
    use crate::report::{Line, SCHEMA};
    use std::collections::BTreeMap;

    fn report(results: Vec<Line>) -> Report {
        Report {
            schema: SCHEMA,
            commit: Some("c<d".to_owned()),
            toolchain: "rustc".to_owned(),
            machine: "decstation".to_owned(),
            machine_version: "1".to_owned(),
            clocks: vec!["dec5000".to_owned()],
            witnesses: BTreeMap::new(),
            linux: BTreeMap::new(),
            longest: None,
            results,
        }
    }

    #[test]
    fn page_is_whole_and_alone() {
        let paper = Paper::read().unwrap();
        let workspace = Workspace::find().unwrap();
        let row = Row::new(&measured(), &paper);
        let page = page(&report(vec![Line::Row(Box::new(row))]), &paper, &workspace).unwrap();
        assert!(
            page.contains("c&lt;d") && page.contains("Table 4: ") && page.contains("<svg") && page.contains("21.3")
        );
        for foreign in ["http-equiv", "src=", "<link", "url(", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
        assert!(page.contains("Null procedure call, cycles"), "the calibration is there");
    }

    #[test]
    fn nothing_measured_is_a_page_too() {
        let page = page(&report(Vec::new()), &Paper::read().unwrap(), &Workspace::find().unwrap()).unwrap();
        assert!(page.contains("no clock") && !page.contains("NaN"));
    }

    #[test]
    fn sections_are_cut_out() {
        let text = "a\n## One\nx\n### Two\ny\n### Three\nz\n## Four\n";
        assert_eq!(section(text, "### Two"), "y\n");
        assert_eq!(section(text, "## One"), "x\n### Two\ny\n### Three\nz\n");
        assert_eq!(section(text, "## Five"), "");
    }
}
