//! Figures: what a program says of its series, and their points.
//!
//! A program that measures a figure says on the console, one line each:
//!
//! - `figure ID series=NAME system=S unit=U how=TEXT`: what a series shows
//! - `point ID series=NAME x=X y=Y`: one of its points, in their order; with `loop=N` for `y=`, what a round of that loop takes, in microseconds

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::paper::{Figure, Paper};

/// A line of a figure. As data it is a row like any other, with `points` in place of instructions and times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Series {
    /// `figure` and its number, or another name.
    pub table: String,
    /// The series' name.
    pub op: String,
    /// The system.
    pub system: String,
    /// Points.
    pub n: usize,
    /// What is on the vertical axis.
    pub unit: String,
    /// The clock of the machine, on one that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// The points.
    pub points: Vec<(u64, u64)>,
    /// What it shows.
    pub how: String,
}

/// The value behind `key=` among words.
fn field<'a>(words: &'a str, key: &str) -> Result<&'a str> {
    words
        .split(' ')
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .with_context(|| format!("it lacks {key}="))
}

/// The series that a program's lines describe, with their points. `time` knows what a round of a loop takes, on a machine with a clock; on
/// another there are no points of loops, and no series of them.
pub fn parse(lines: &[String], clock: Option<&'static str>, time: impl Fn(u32) -> Option<f64>) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for line in lines {
        let added = if let Some(rest) = line.strip_prefix("figure ") {
            describe(rest, clock).map(|series| all.push(series))
        } else if let Some(rest) = line.strip_prefix("point ") {
            add_point(rest, clock.is_some(), &time, &mut all)
        } else {
            Ok(())
        };
        added.with_context(|| format!("the line {line:?}"))?;
    }
    if clock.is_none() {
        all.retain(|series: &Series| series.n > 0 || !of_loops(lines, series));
    }
    for series in &all {
        ensure!(series.n > 0, "the series {} of {} has no points", series.op, series.table);
    }
    Ok(all)
}

/// The table's name: a number is a figure of the paper's.
fn table(words: &str) -> String {
    let id = words.split(' ').next().unwrap_or_default();
    if id.parse::<u32>().is_ok() { format!("figure{id}") } else { id.to_owned() }
}

fn describe(rest: &str, clock: Option<&'static str>) -> Result<Series> {
    let (words, how) = rest.split_once(" how=").context("it lacks how=")?;
    let word = |key| field(words, key).map(str::to_owned);
    Ok(Series {
        table: table(words),
        op: word("series")?,
        system: word("system")?,
        n: 0,
        unit: word("unit")?,
        clock: clock.map(str::to_owned),
        points: Vec::new(),
        how: how.to_owned(),
    })
}

/// Whether a series' points are what loops take.
fn of_loops(lines: &[String], series: &Series) -> bool {
    let mut points = lines.iter().filter_map(|line| line.strip_prefix("point "));
    points.any(|rest| {
        table(rest) == series.table
            && field(rest, "series").is_ok_and(|name| name == series.op)
            && field(rest, "loop").is_ok()
    })
}

fn add_point(rest: &str, timed: bool, time: impl Fn(u32) -> Option<f64>, all: &mut [Series]) -> Result<()> {
    let table = table(rest);
    let name = field(rest, "series")?;
    let number = |key| field(rest, key)?.parse::<u64>().with_context(|| format!("{key}= is not a number"));
    let mut series = all.iter_mut();
    let series = series.find(|series| series.table == table && series.op == name).context("is of no series")?;
    let y = match number("loop") {
        Ok(_) if !timed => return Ok(()),
        Ok(id) => time(id as u32).with_context(|| format!("there is no loop {id}"))?.round() as u64,
        Err(_) => number("y")?,
    };
    series.points.push((number("x")?, y));
    series.n += 1;
    Ok(())
}

/// Prints a figure: all points beside the paper's, if it has them; otherwise of each series the last point, and in which order they grew.
pub fn print(figure: &[&Series], paper: &Paper) {
    let Some(first) = figure.first() else { return };
    let of_paper = paper.figure(first.table.trim_start_matches("figure"));
    match of_paper {
        Some(of_paper) => println!("Figure {}: {}", of_paper.id, of_paper.title),
        None => println!("{} (not in the paper)", first.table),
    }
    match of_paper.filter(|of_paper| !of_paper.series.is_empty()) {
        Some(of_paper) => print_points(figure, of_paper),
        None => print_ends(figure, of_paper),
    }
    for series in figure {
        println!(
            "  {}: {} ({}{})",
            series.op,
            series.how,
            series.unit,
            series.clock.as_ref().map_or(String::new(), |clock| format!(", {clock}"))
        );
    }
    println!();
}

/// A row for each place on the horizontal axis.
fn print_points(figure: &[&Series], of_paper: &Figure) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let ours = figure.iter().map(|series| series.op.clone());
    table.set_header(
        [String::new()]
            .into_iter()
            .chain(ours)
            .chain(of_paper.series.keys().map(|name| format!("{name},\nthe paper's"))),
    );
    for (number, x) in of_paper.x.iter().enumerate() {
        let at = |series: &&Series| series.points.iter().find(|point| point.0 as f64 == *x).map(|point| point.1 as f64);
        let ours = figure.iter().map(at);
        let theirs = of_paper.series.values().map(|ys| ys.get(number).copied());
        let cells = ours.chain(theirs).map(|y| y.map_or("-".to_owned(), |y| y.to_string()));
        table.add_row([x.to_string()].into_iter().chain(cells));
    }
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    println!("{table}");
}

/// A row for each series.
fn print_ends(figure: &[&Series], of_paper: Option<&Figure>) {
    let sum: u64 = figure.iter().filter_map(|series| series.last()).sum();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["series", "system", "points", "last", "of all", "the paper's\nlast, ideal"]);
    for series in figure {
        let last = series.last().unwrap_or_default();
        let share = format!("{:.2} %", 100.0 * last as f64 / sum.max(1) as f64);
        let theirs = of_paper.and_then(|paper| Some((paper.last.get(&series.op)?, paper.ideal.get(&series.op)?)));
        let theirs = theirs.map_or("-".to_owned(), |(last, ideal)| format!("{last}, {ideal}"));
        let cells = [series.op.clone(), series.system.clone(), series.n.to_string(), last.to_string(), share, theirs];
        table.add_row(cells);
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    println!("{table}");
    if let Some(of_paper) = of_paper {
        println!("  order: {}", order(figure));
        println!("  the paper's: {}, again and again", of_paper.run_order);
    }
}

/// Which series grew most from each point to the next.
pub fn order(figure: &[&Series]) -> String {
    let points = figure.iter().map(|series| series.n).min().unwrap_or(0);
    let grown = |series: &Series, point: usize| {
        let before = if point == 0 { 0 } else { series.points[point - 1].1 };
        series.points[point].1.saturating_sub(before)
    };
    let most = |point| figure.iter().max_by_key(|series| grown(series, point)).map_or("", |series| series.op.as_str());
    (0..points).map(most).collect()
}

impl Series {
    /// Where it ends.
    pub fn last(&self) -> Option<u64> {
        self.points.last().map(|&(_, y)| y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    const GOOD: &str = "figure 3 series=A system=exos unit=iterations how=so and so
figure 3 series=B system=exos unit=iterations how=so
point 3 series=A x=1 y=50
point 3 series=B x=1 y=0
something else
point 3 series=A x=2 y=51
point 3 series=B x=2 y=40";

    #[test]
    fn series_are_read() {
        let figure = parse(&lines(GOOD), Some("dec5000"), |_| None).unwrap();
        assert_eq!(figure.len(), 2);
        assert_eq!(order(&figure.iter().collect::<Vec<_>>()), "AB");
        let json = serde_json::to_value(&figure[0]).unwrap();
        let expected = serde_json::json!({
            "table": "figure3", "op": "A", "system": "exos", "n": 2, "unit": "iterations", "clock": "dec5000",
            "points": [[1, 50], [2, 51]], "how": "so and so",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn points_are_what_loops_take() {
        let text = lines("figure 2 series=A system=exos unit=us how=x\npoint 2 series=A x=1 loop=101");
        let time = |id| (id == 101).then_some(258.6);
        assert_eq!(parse(&text, Some("dec5000"), time).unwrap()[0].points, [(1, 259)]);
        assert!(parse(&text, Some("dec5000"), |_| None).is_err());
        assert_eq!(parse(&text, None, |_| None).unwrap(), []);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for wrong in [
            "figure 3 series=A system=exos unit=i how=without points",
            "figure 3 series=A system=exos how=x\npoint 3 series=A x=1 y=1",
            "point 3 series=A x=1 y=1",
            "figure 3 series=A system=exos unit=i how=x\npoint 3 series=A x=1 y=-1",
            "figure 3 series=A system=exos unit=i how=x\npoint 2 series=A x=1 y=1",
            "figure 3 series=A system=exos unit=i how=x\npoint 3 series=A x=1",
        ] {
            assert!(parse(&lines(wrong), None, |_| None).is_err(), "{wrong}");
        }
        assert_eq!(parse(&lines("figures\npoints"), None, |_| None).unwrap(), []);
    }
}
