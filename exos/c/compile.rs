//! The build script of a package with programs in C: compiles the sources in `c/NAME` for the program NAME, and links them with
//! the C library that `cargo exo` has built.

#[path = "../link_programs.rs"]
mod link_programs;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the C library is: set by `cargo exo`.
const LIBRARY: &str = "AEGIS_C_LIBRARY";
/// For an R3000, without a floating-point unit, at fixed addresses. The assembler fills the slots.
const FLAGS: [&str; 14] = [
    "-EL",
    "-march=mips1",
    "-mno-llsc",
    "-mabi=32",
    "-msoft-float",
    "-mno-abicalls",
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-G0",
    "-nostdinc",
    "-O2",
    "-g",
    "-c",
];

fn main() {
    link_programs::main();
    println!("cargo:rerun-if-env-changed={LIBRARY}");
    println!("cargo:rerun-if-changed=c");
    let library = env::var_os(LIBRARY).map(PathBuf::from);
    let library = library.expect("`cargo exo` builds the C library and this; plain cargo does not know where it is");
    let here = Path::new(file!()).parent().expect("it lies in a directory");
    let here = here.canonicalize().expect("it is there");
    println!("cargo:rerun-if-changed={}", here.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for program in fs::read_dir("c").expect("there are programs in C").map_while(Result::ok) {
        let name = program.file_name().into_string().expect("a program's name is plain");
        let mut sources = vec![here.join("system.c")];
        sources.extend(
            fs::read_dir(program.path()).expect("it is a directory").map_while(Result::ok).map(|file| file.path()),
        );
        sources.sort();
        for source in sources.iter().filter(|source| source.extension().is_some_and(|extension| extension == "c")) {
            let stem = source.file_stem().expect("it is a file").to_string_lossy();
            let object = out.join(format!("{name}-{stem}.o"));
            compile(source, &object, &[&here.join("include"), &library.join("include"), &gcc_include()]);
            println!("cargo:rustc-link-arg-bin={name}={}", object.display());
        }
        println!("cargo:rustc-link-arg-bin={name}={}", library.join("lib/libc.a").display());
    }
}

fn compile(source: &Path, object: &Path, include: &[&Path]) {
    let mut gcc = Command::new("mipsel-linux-gnu-gcc");
    gcc.args(FLAGS);
    include.iter().for_each(|directory| _ = gcc.arg("-isystem").arg(directory));
    let status = gcc.arg(source).arg("-o").arg(object).status().expect("mipsel-linux-gnu-gcc can be started");
    assert!(status.success(), "cannot compile {}", source.display());
}

/// The compiler's own headers.
fn gcc_include() -> PathBuf {
    let output = Command::new("mipsel-linux-gnu-gcc").arg("-print-file-name=include").output();
    let output = output.expect("mipsel-linux-gnu-gcc can be started").stdout;
    PathBuf::from(String::from_utf8(output).expect("a path").trim())
}
