//! Puts the linker script of processes where the linker finds it by name.

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-search={directory}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=process.ld");
}
