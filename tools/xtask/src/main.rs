//! The project's scripts: cargo xtask test, ci, codegen, layers, tidy.
#![forbid(unsafe_code)]
fn main() {}
