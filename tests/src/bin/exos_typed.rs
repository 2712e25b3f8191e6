//! What a person types at the shell: lines and how they are edited, former lines, the end of what is typed, Ctrl-C, and
//! jobs. This program is one that is typed: it says what it reads, or waits for Ctrl-C and says that it came.
//@ run: init
//@ archive: exos_typed sh echo cat wc
//@ timeout: 120
//@ when: exos$
//@ type: echo plain text
//@ type: echo wrogn^?^?ng keys
//@ type: echo two^[[D^[[D^[[DX^[[C^[[CY^[[HZ^?^A^F^[[D^[[F!
//@ type: not this^Uecho erased
//@ type: echo one word too many^W^Wenough
//@ type: ^[[A^[[A^?^?^?d
//@ type: ^[[A^[[A^[[A^[[B^[[B^[[B^[[Becho down again
//@ type: echo cut off^[[D^[[D^[[D^[[D^K
//@ type: echo thrown away^C^
//@ type: echo kept
//@ type: nosuch
//@ type: echo status $?
//@ type: echo written > letter ; echo more >> letter
//@ type: cat letter | wc
//@ type: exos_typed read
//@ when: exos_typed: reads
//@ type: a linx^?e
//@ type: all of it^U
//@ type: ^D^
//@ when: exos$
//@ type: exos_typed catch
//@ when: exos_typed: waits
//@ type: ^C^
//@ when: exos$
//@ type: exos_typed sleep
//@ when: exos_typed: sleeps
//@ type: ^C^
//@ when: exos$
//@ type: echo after $?
//@ type: exos_typed sleep &
//@ type: jobs
//@ type: fg
//@ when: in the foreground
//@ type: ^C^
//@ when: exos$
//@ type: jobs ; echo none left
//@ type: ^D^
//@ expect: ExOS on Aegis
//@ expect: plain text
//@ expect: wrong keys
//@ expect: XtwYo!
//@ expect: erased
//@ expect: one word enough
//@ expect: erad
//@ expect: down again
//@ expect: kept
//@ expect: nosuch: no such file
//@ expect: status 127
//@ expect: exos_typed: reads
//@ expect: exos_typed: 7 "a line\n"
//@ expect: exos_typed: 1 "\n"
//@ expect: exos_typed: the end
//@ expect: exos_typed: waits
//@ expect: ^C
//@ expect: exos_typed: interrupted, and goes on
//@ expect: after 130
//@ expect: ] exos_typed
//@ expect: ] in the foreground
//@ expect: none left
//@ forbid: panicked

#![no_std]
#![no_main]

use exos::println;
use exos::process::signals::handle;
use exos::process::table::signal;
use exos::process::{self, arguments, file};
use exos_rt::shared::Shared;

exos::process!(main);

static CAUGHT: Shared<u32> = Shared::new(0);

fn main() -> u32 {
    match arguments().nth(1) {
        Some("read") => {
            println!("exos_typed: reads");
            let mut line = [0; 64];
            while let count @ 1.. = file::read(file::INPUT, &mut line).expect("it is open") {
                println!("exos_typed: {count} {:?}", core::str::from_utf8(&line[..count]).expect("it is text"));
                println!("exos_typed: reads");
            }
            println!("exos_typed: the end");
        }
        Some("sleep") => {
            println!("exos_typed: sleeps");
            process::sleep(100_000);
        }
        _ => {
            handle(signal::INT, Some(|_| CAUGHT.set(1))).expect("it can be");
            println!("exos_typed: waits");
            while CAUGHT.get() == 0 {
                process::block(None);
            }
            println!("exos_typed: interrupted, and goes on");
        }
    }
    0
}
