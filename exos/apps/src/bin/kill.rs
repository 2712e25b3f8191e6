//! Sends signals to processes: `kill PID…`, or jobs: `kill -JOB…`. `kill -KILL PID` sends another than TERM.

#![no_std]
#![no_main]

use exos::process::table::signal;
use exos::process::{Fail, arguments, kill, kill_job};

exos::process!(main);

fn main() -> u32 {
    let named = arguments().nth(1).and_then(|word| {
        let wanted = word.strip_prefix('-')?;
        signal::NAMES.iter().find_map(|&(name, number)| (name == wanted).then_some(number))
    });
    let number = named.unwrap_or(signal::TERM);
    let skipped = 1 + usize::from(named.is_some());
    if arguments().nth(skipped).is_none() {
        exos::complain!("whom? kill [-SIGNAL] PID..., or -JOB for all of a job");
        return 1;
    }
    let mut status = 0;
    for word in arguments().skip(skipped) {
        let result = match (word.strip_prefix('-'), word.trim_start_matches('-').parse()) {
            (Some(_), Ok(job)) => {
                if kill_job(job, number) {
                    Ok(())
                } else {
                    Err(Fail::NoSuchProcess)
                }
            }
            (None, Ok(1)) => Err(Fail::Kernel(exos_rt::abi::Error::Denied)),
            (None, Ok(pid)) => kill(pid, number),
            (_, Err(_)) => Err(Fail::NoSuchProcess),
        };
        if let Err(error) = result {
            exos::complain!("{word}: {error}");
            status = 1;
        }
    }
    status
}
