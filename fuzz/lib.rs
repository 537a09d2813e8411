//! The checks of `tests/fuzz_corpus`, compiled for libFuzzer.

#[path = "../tests/fuzz_corpus/checks/mod.rs"]
pub mod checks;
