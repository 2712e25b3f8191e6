//! `trace --calls`: every system call of a run: when, whose, its arguments, its result, what it took.

use std::time::Duration;

use aegis_abi::Error;
use anyhow::Result;

use crate::crossings::{Boot, Path, Way, follow};
use crate::machine::Clock;

/// The calls' arguments, by name: places among `$v1`, `$a0` to `$a3`. Of a call that is not here all four are shown.
const ARGUMENTS: [(&str, &[usize]); 34] = [
    ("transfer", &[0]),
    ("self", &[]),
    ("transfer_async", &[0]),
    ("yield_to", &[0]),
    ("tlb_delete", &[2]),
    ("tlb_probe", &[2]),
    ("tlb_protect", &[2, 3, 1]),
    ("context_switch", &[2]),
    ("fpu_mode", &[2]),
    ("null", &[]),
    ("yield", &[]),
    ("wait", &[1]),
    ("wake", &[1]),
    ("exit", &[1]),
    ("console_write", &[1, 2]),
    ("console_pending", &[]),
    ("set_handler", &[1, 2]),
    ("clock", &[]),
    ("slice_allocate", &[1]),
    ("slice_free", &[1]),
    ("slice_give", &[1, 2]),
    ("slice_reclaim", &[1]),
    ("frame_allocate", &[1]),
    ("frame_free", &[1]),
    ("console_read", &[]),
    ("console_give", &[1]),
    ("frame_repossess", &[1]),
    ("slice_repossess", &[1]),
    ("filter_repossess", &[1]),
    ("handler_repossess", &[1]),
    ("filter_remove", &[1]),
    ("filter_ring", &[1, 2]),
    ("handler_remove", &[1]),
    ("tlb_write", &[2, 3]),
];

/// Primitive operations that give no result: where they succeed `$v0` keeps the number.
const WITHOUT_RESULT: [&str; 5] = ["tlb_delete", "tlb_protect", "tlb_write", "context_switch", "fpu_mode"];

/// Prints them, among the lines of the console.
pub fn run(boot: &Boot, clock: Clock) -> Result<()> {
    println!("{:>12}  {:<20}  {:>7}  call", "us", "environment", "cycles");
    let job = boot.job(clock, Duration::from_secs(60));
    follow(
        &job,
        &boot.symbols,
        |line| println!("{:>12}  {:<20}  {:>7}  {line}", "", "console", ""),
        |_, path| {
            if let Some(text) = show(&path) {
                let time = path.entered as f64 / clock.mhz();
                let who = path.from.as_ref().map_or("?", |from| &from.name);
                println!("{time:>12.2}  {who:<20}  {:>7}  {text}", path.left - path.entered);
            }
        },
    )
}

/// The call with its result, if it is one.
pub fn show(path: &Path) -> Option<String> {
    let Way::Call(called, registers) = &path.way else { return None };
    let name = path.way.name();
    let arguments = ARGUMENTS.iter().find(|(known, _)| *known == name).map_or(&[1, 2, 3, 4][..], |(_, places)| places);
    let arguments: Vec<_> = arguments.iter().map(|&place| number(registers[place])).collect();
    let result = match &path.to {
        // It came back behind the call.
        Some(_) if path.returns() && path.next == path.pc.wrapping_add(4) => {
            match path.result[0] == *called && WITHOUT_RESULT.contains(&name.as_str()) {
                true => "done".to_owned(),
                false => format!("= {}", result(path.result[0])),
            }
        }
        Some(to) if path.returns() => format!("-> {} at {:#x}", to.name, path.next),
        Some(to) => format!("-> {}", to.name),
        None => "and the machine ends".to_owned(),
    };
    Some(format!("{name}({}) {result}", arguments.join(", ")))
}

/// Small numbers are counts, large ones addresses, ids and tags.
fn number(value: u32) -> String {
    if value < 1024 { value.to_string() } else { format!("{value:#x}") }
}

/// A result, or the error it is.
fn result(value: u32) -> String {
    let error = Error::ALL.iter().find(|&&error| error as i32 as u32 == value);
    error.map_or_else(|| number(value), |error| format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown::Environment;
    use aegis_abi::call;

    #[test]
    fn every_name_is_a_calls() {
        for (name, places) in ARGUMENTS {
            assert!(call::ALL.iter().any(|(known, _)| *known == name), "{name}");
            assert!(places.iter().all(|&place| place < 5), "{name}");
        }
    }

    #[test]
    fn calls_are_shown_with_what_became_of_them() {
        let environment = |id, name: &str| {
            Some(Environment { id, name: name.to_owned(), entry: aegis_abi::env::DirectoryEntry::default() })
        };
        let path = Path {
            from: environment(0x1000, "one"),
            way: Way::Call(call::CONSOLE_WRITE, [9, 0x2_0000, 12, 8, 7]),
            pc: 0x1_0000,
            entered: 100,
            to: environment(0x1000, "one"),
            next: 0x1_0004,
            result: [0, 9],
            left: 150,
            ticks: 1,
        };
        assert_eq!(show(&path).unwrap(), "console_write(0x20000, 12) = 0");
        let refused = Path { result: [Error::Busy as i32 as u32, 0], ..path.clone() };
        assert_eq!(show(&refused).unwrap(), "console_write(0x20000, 12) = Busy");
        let way = Way::Call(call::TLB_WRITE, [9, 1, 0x2_0000, 0x6_0600, 2]);
        let primitive = Path { way, result: [call::TLB_WRITE, 9], ..path.clone() };
        assert_eq!(show(&primitive).unwrap(), "tlb_write(0x20000, 0x60600) done");
        let way = Way::Call(call::TRANSFER, [0x1010, 1, 2, 3, 4]);
        let transfer = Path { way, to: environment(0x1010, "other"), next: 0x2_0000, ..path.clone() };
        assert_eq!(show(&transfer).unwrap(), "transfer(0x1010) -> other");
        assert_eq!(show(&Path { way: Way::Interrupt, ..path }), None);
    }
}
