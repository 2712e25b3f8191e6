//! A tree of 1,000 processes, of which up to 100 live at once, leaves nothing behind.
//@ run: init,exos_fork_tree
//@ archive: exos_fork_tree
//@ timeout: 60
//@ expect: exos_fork_tree: 1000 processes, and nothing left

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::Status;
use exos::process::{self, fork, wait};
use exos_rt::shared::Shared;

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

/// A subtree of as many lives all at once.
const AT_ONCE: u32 = 100;

/// What a process has written where all have the same page.
static DEPTH: Shared<u32> = Shared::new(0);

fn main() -> u32 {
    assert_eq!(grow(30), 30);
    let before = census::settled();
    assert_eq!(grow(1000), 1000);
    census::same(before, "the tree");
    println!("exos_fork_tree: 1000 processes, and nothing left");
    0
}

/// Makes as many processes, but this one, below this one; how many there were. A status has 8 bits, so each says only
/// whether it has counted right.
fn grow(nodes: u32) -> u32 {
    let left = (nodes - 1) / 2;
    let parts = [left, nodes - 1 - left];
    let depth = DEPTH.get();
    let mut living = 0;
    for part in parts.into_iter().filter(|&part| part != 0) {
        match fork().expect("there is room") {
            None => {
                assert_eq!(DEPTH.get(), depth);
                DEPTH.set(depth + 1);
                let counted = grow(part);
                assert_eq!(DEPTH.get(), depth + 1);
                process::exit(u32::from(counted != part));
            }
            Some(_) => living += 1,
        }
        if nodes > AT_ONCE {
            reap(&mut living);
        }
    }
    reap(&mut living);
    1 + parts[0] + parts[1]
}

fn reap(living: &mut u32) {
    while *living != 0 {
        assert_eq!(wait(None).map(|(_, status)| status), Ok(Status::exit(0)));
        *living -= 1;
    }
}
