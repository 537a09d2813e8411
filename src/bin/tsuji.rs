//! `tsuji`: the dispatcher.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tsuji::sys::memory::Allocator = tsuji::sys::memory::Allocator;

fn main() -> ExitCode {
    tsuji::daemon::main()
}
