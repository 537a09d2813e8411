//! `tsuji`: the dispatcher.

use std::process::ExitCode;

fn main() -> ExitCode {
    tsuji::daemon::main()
}
