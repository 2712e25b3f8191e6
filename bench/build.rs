//! Links each program as `exos-rt` lays programs out.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tprogram.ld");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo:rerun-if-changed=build.rs");
}
