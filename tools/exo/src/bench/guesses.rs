//! How far the cycles of the tables move with each guessed parameter of the model.

use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use super::measure::{Outcome, job, measure};
use crate::bootable::Images;
use crate::machine::{Clock, Job, Machine};
use crate::workspace::Workspace;

/// Prints for each guessed parameter of the model what the operations take at both ends of its range.
pub fn show(
    workspace: &Workspace,
    images: &Images,
    programs: &[String],
    clock: Clock,
    timeout: Duration,
) -> Result<()> {
    let machine = Machine::Decstation;
    let cycles = |outcome: Outcome| -> Vec<_> {
        let of = |one: &super::measure::Measured| {
            let cycles = *one.timed.as_ref()?.cycles.get(clock.name())?;
            Some((one.description.op.clone(), format!("{cycles:.1}")))
        };
        outcome.measured.iter().filter_map(of).collect()
    };
    for program in programs {
        let bootable = images.benchmark(workspace, machine, program)?;
        let job = job(&bootable, clock, timeout);
        let measure =
            |profile| -> Result<_> { Ok(cycles(measure(&bootable, machine, &Job { profile, ..job.clone() })?)) };
        let frozen = measure(None)?;
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["parameter"].into_iter().chain(frozen.iter().map(|(op, _)| op.as_str())));
        table.add_row(["as frozen"].into_iter().chain(frozen.iter().map(|(_, cycles)| cycles.as_str())));
        for guess in clock.guesses() {
            let (low, high) = (measure(Some(guess.low))?, measure(Some(guess.high))?);
            let ends = low.into_iter().zip(high).map(|((_, low), (_, high))| match low == high {
                true => "=".to_owned(),
                false => format!("{low}..{high}"),
            });
            table.add_row([guess.parameter.to_owned()].into_iter().chain(ends));
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        println!("{program}: cycles a round of each loop on a {}", clock.name());
        println!("{table}\n");
    }
    println!("=: the parameter makes no difference to it");
    Ok(())
}
