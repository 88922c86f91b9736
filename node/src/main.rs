//! The `hotline` program.

fn main() {}
