//! The build script of each package of programs: links each program as it says that it is one: a process, or one that the
//! loader places.

use std::{env, fs};

/// Tells cargo.
pub fn main() {
    for entry in fs::read_dir("src/bin").expect("there are programs").map_while(Result::ok) {
        let path = entry.path();
        let (Some(name), Ok(source)) = (path.file_stem().and_then(|name| name.to_str()), fs::read_to_string(&path))
        else {
            continue;
        };
        let script = if source.contains("exos::process!(") { "process.ld" } else { "program.ld" };
        println!("cargo:rustc-link-arg-bin={name}=-T{script}");
    }
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
    // For `cargo exo bench --layouts`: functions in an order of chance, which the number chooses.
    if let Ok(seed) = env::var("AEGIS_LAYOUT") {
        println!("cargo:rustc-link-arg-bins=--shuffle-sections=.text.*={seed}");
    }
    println!("cargo:rerun-if-env-changed=AEGIS_LAYOUT");
    println!("cargo:rerun-if-changed=src/bin");
}
