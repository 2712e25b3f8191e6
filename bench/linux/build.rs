//! Links the programs as Linux loads them: from the linker's own address, with a page of its own for each segment.

fn main() {
    println!("cargo:rustc-link-arg-bins=--entry=start");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo:rustc-link-arg-bins=--build-id=none");
    println!("cargo:rerun-if-changed=build.rs");
}
