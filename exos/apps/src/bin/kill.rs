//! Ends processes: `kill PID…`, or jobs: `kill -JOB…`.

#![no_std]
#![no_main]

use exos::process::table::signal;
use exos::process::{Fail, arguments, kill, kill_job};

exos::process!(main);

fn main() -> u32 {
    let mut status = u32::from(arguments().nth(1).is_none());
    for word in arguments().skip(1) {
        let result = match (word.strip_prefix('-'), word.trim_start_matches('-').parse()) {
            (Some(_), Ok(job)) => {
                if kill_job(job, signal::TERM) {
                    Ok(())
                } else {
                    Err(Fail::NoSuchProcess)
                }
            }
            (None, Ok(1)) => Err(Fail::Kernel(exos_rt::abi::Error::Denied)),
            (None, Ok(pid)) => kill(pid, signal::TERM),
            (_, Err(_)) => Err(Fail::NoSuchProcess),
        };
        if let Err(error) = result {
            exos::complain!("{word}: {error}");
            status = 1;
        }
    }
    status
}
