//! How far the times of the tables move with the order in which a program's functions are linked: what is next to what decides
//! what competes for lines of the instruction cache.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use super::measure::{job, measure};
use super::with_companions;
use crate::bootable::Images;
use crate::build;
use crate::machine::{Clock, Machine};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// Prints for each operation what a round of its loop takes as it is linked, and the least, the median and the most with its
/// program's functions in so many orders of chance. They are numbered, so they are the same ones each time. The kernel stays
/// as it is.
pub fn show(
    workspace: &Workspace,
    programs: &[String],
    clock: Clock,
    count: u32,
    timeout: Duration,
    quiet: bool,
) -> Result<()> {
    let machine = Machine::Decstation;
    let names = with_companions(workspace, programs.to_vec())?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let progress = Progress::new(quiet);
    let mut times: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for layout in 0..=count {
        let workspace = Workspace { layout: (layout != 0).then_some(layout), ..workspace.clone() };
        let images = Images::Tree(Box::new(build::build_programs(&workspace, &[machine], &names, quiet)?));
        for (number, program) in programs.iter().enumerate() {
            progress.say(&format!("order {layout} of {count}: {program}"));
            let bootable = images.benchmark(&workspace, machine, program)?;
            let outcome = measure(&bootable, machine, &job(&bootable, clock, timeout))?;
            for (place, one) in outcome.measured.iter().enumerate() {
                if let Some(cycles) = one.timed.as_ref().and_then(|timed| timed.cycles.get(clock.name())) {
                    let operation = (one.description.op.clone(), one.description.system.clone());
                    times.entry((number, place, operation)).or_default().push(cycles / clock.mhz());
                }
            }
        }
    }
    progress.done();
    for (number, program) in programs.iter().enumerate() {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["operation", "system", "as it is linked", "least", "median", "most"]);
        for ((_, _, (op, system)), times) in times.iter().filter(|((of, ..), _)| *of == number) {
            let [least, median, most] = spread(&times[1..]);
            let times = [times[0], least, median, most].map(|time| format!("{time:.2}"));
            table.add_row([op.clone(), system.clone()].into_iter().chain(times));
        }
        table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        println!("{program}: us a round of each loop on a {}, functions in {count} orders of chance", clock.name());
        println!("{table}\n");
    }
    Ok(())
}

/// The least, the median and the most of some numbers.
fn spread(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_few() {
        assert_eq!(spread(&[3.0]), [3.0; 3]);
        assert_eq!(spread(&[5.0, 1.0, 2.0, 9.0, 4.0]), [1.0, 4.0, 9.0]);
    }
}
