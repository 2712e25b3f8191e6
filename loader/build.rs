//! Links the loader where the machine's PROM loads it. On the host it is an ordinary program.

fn main() {
    println!("cargo::rerun-if-changed=loader.ld");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "mips") {
        let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bins=-T{here}/loader.ld");
        // The machine's pages, rather than the linker's 64 KB, between the segments in the file.
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    }
}
