//! Lists files with their sizes, all or those named: those of the boot archive, and those that were written.

#![no_std]
#![no_main]

use exos::process::file;
use exos::process::{arguments, store};
use exos::{complain, println};

exos::process!(main);

fn main() -> u32 {
    let names = || arguments().skip(1);
    let is_asked = |name: &str| names().next().is_none() || names().any(|asked| asked == name);
    for file in exos_rt::archive::files().filter(|file| is_asked(file.name)) {
        println!("{:8} {}", file::content(&file).len(), file.name);
    }
    store::each(|name, bytes| {
        if is_asked(name) {
            println!("{bytes:8} {name}");
        }
    });
    let mut missing = 0;
    for name in names() {
        if let Err(error) = file::open(name).and_then(file::close) {
            complain!("{name}: {error}");
            missing = 1;
        }
    }
    missing
}
