//! Figures: what a program says of its series, and their points.
//!
//! A program that measures a figure says on the console, one line each:
//!
//! - `figure ID series=NAME system=S unit=U how=TEXT`: what a series shows
//! - `point ID series=NAME x=X y=Y`: one of its points, in their order

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::paper::Paper;

/// A line of a figure. As data it is a row like any other, with `points` in place of instructions and times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Series {
    /// `figure` and its number, or another name.
    pub table: String,
    /// The series' name.
    op: String,
    system: String,
    /// Points.
    n: usize,
    unit: String,
    /// The clock of the machine, on one that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    points: Vec<(u64, u64)>,
    how: String,
}

/// The value behind `key=` among words.
fn field<'a>(words: &'a str, key: &str) -> Result<&'a str> {
    words
        .split(' ')
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .with_context(|| format!("it lacks {key}="))
}

/// The series that a program's lines describe, with their points.
pub fn parse(lines: &[String], clock: Option<&'static str>) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for line in lines {
        let added = if let Some(rest) = line.strip_prefix("figure ") {
            describe(rest, clock).map(|series| all.push(series))
        } else if let Some(rest) = line.strip_prefix("point ") {
            add_point(rest, &mut all)
        } else {
            Ok(())
        };
        added.with_context(|| format!("the line {line:?}"))?;
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
        clock,
        points: Vec::new(),
        how: how.to_owned(),
    })
}

fn add_point(rest: &str, all: &mut [Series]) -> Result<()> {
    let table = table(rest);
    let name = field(rest, "series")?;
    let number = |key| field(rest, key)?.parse::<u64>().with_context(|| format!("{key}= is not a number"));
    let mut series = all.iter_mut();
    let series = series.find(|series| series.table == table && series.op == name).context("is of no series")?;
    series.points.push((number("x")?, number("y")?));
    series.n += 1;
    Ok(())
}

/// Prints a figure: of each series the last point, beside the paper's, and in which order they grew.
pub fn print(figure: &[Series], paper: &Paper) {
    let Some(first) = figure.first() else { return };
    let of_paper = paper.figure(first.table.trim_start_matches("figure"));
    match of_paper {
        Some(of_paper) => println!("Figure {}: {}", of_paper.id, of_paper.title),
        None => println!("{} (not in the paper)", first.table),
    }
    let sum: u64 = figure.iter().filter_map(Series::last).sum();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
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
    for series in figure {
        println!(
            "  {}: {} ({}{})",
            series.op,
            series.how,
            series.unit,
            series.clock.map_or(String::new(), |clock| format!(", {clock}"))
        );
    }
    println!();
}

/// Which series grew most from each point to the next.
pub fn order(figure: &[Series]) -> String {
    let points = figure.iter().map(|series| series.n).min().unwrap_or(0);
    let grown = |series: &Series, point: usize| {
        let before = if point == 0 { 0 } else { series.points[point - 1].1 };
        series.points[point].1.saturating_sub(before)
    };
    let most = |point| figure.iter().max_by_key(|series| grown(series, point)).map_or("", |series| series.op.as_str());
    (0..points).map(most).collect()
}

impl Series {
    fn last(&self) -> Option<u64> {
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
        let figure = parse(&lines(GOOD), Some("dec5000")).unwrap();
        assert_eq!(figure.len(), 2);
        assert_eq!(order(&figure), "AB");
        let json = serde_json::to_value(&figure[0]).unwrap();
        let expected = serde_json::json!({
            "table": "figure3", "op": "A", "system": "exos", "n": 2, "unit": "iterations", "clock": "dec5000",
            "points": [[1, 50], [2, 51]], "how": "so and so",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for wrong in [
            "figure 3 series=A system=exos unit=i how=without points",
            "figure 3 series=A system=exos how=x\npoint 3 series=A x=1 y=1",
            "point 3 series=A x=1 y=1",
            "figure 3 series=A system=exos unit=i how=x\npoint 3 series=A x=1 y=-1",
            "figure 3 series=A system=exos unit=i how=x\npoint 2 series=A x=1 y=1",
        ] {
            assert!(parse(&lines(wrong), None).is_err(), "{wrong}");
        }
        assert_eq!(parse(&lines("figures\npoints"), None).unwrap(), []);
    }
}
