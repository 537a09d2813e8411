//! `dscontrol`: the operator's command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tsuji::control::session::{Invocation, run};

/// Looks at and steers a running tsuji. Without a command, commands are read from standard input.
#[derive(Parser)]
#[command(name = "dscontrol", version)]
#[command(after_help = "`dscontrol help` lists the commands, `dscontrol help OBJECT` explains those of one object.\n\
                        Exit codes: 0 done, 1 refused or failed, 2 misused.")]
struct Flags {
    /// The daemon's socket [default: $TSUJI_SOCKET, /run/tsuji/control.sock or $XDG_RUNTIME_DIR/tsuji/control.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A dispatcher on another machine (not there yet)
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// What to do, for example: status
    #[arg(value_name = "COMMAND", allow_negative_numbers = true)]
    words: Vec<String>,
}

#[global_allocator]
static ALLOCATOR: tsuji::sys::memory::Allocator = tsuji::sys::memory::Allocator;

fn main() -> ExitCode {
    let Flags { socket, host, json, words } = Flags::parse();
    ExitCode::from(run(Invocation { socket, host, json, words }))
}
