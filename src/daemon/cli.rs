//! The words after `tsuji`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::datapath::DatapathCommand;
use super::paths::DEFAULT_CONFIGURATION;
use super::{check, datapath, demo, run};

/// A layer-4/layer-7 load balancer: clusters, servers, advisors, rules and affinity, steered with dscontrol.
#[derive(Debug, Parser)]
#[command(name = "tsuji", version, arg_required_else_help = true)]
struct Tsuji {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the dispatcher in the foreground.
    Run(RunOptions),
    /// Look for faults in a configuration: all at once, with line and column.
    Check {
        /// Configuration files; each is laid on top of the ones before it.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run a whole site on loopback to play with: three servers, a sorry page, the proxy. Needs no root.
    Demo(DemoOptions),
    /// Look at what MAC forwarding left in the kernel, or take it away.
    Datapath {
        #[command(subcommand)]
        command: DatapathCommand,
        /// Where the BPF file system is mounted.
        #[arg(long, value_name = "PATH", default_value = "/sys/fs/bpf", global = true)]
        bpffs: PathBuf,
    },
}

#[derive(Args, Debug)]
struct RunOptions {
    /// Configuration file: TOML if it ends so, else a script of dscontrol commands. May be given again; each is laid
    /// on top of the ones before it.
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_CONFIGURATION)]
    config: Vec<PathBuf>,
}

#[derive(Args, Debug)]
struct DemoOptions {
    /// Where the demo's clients come in.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where its metrics are.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9150")]
    metrics: SocketAddr,
}

/// The program: 0 done, 1 failed, 2 misused.
pub fn main() -> ExitCode {
    match Tsuji::parse().command {
        Command::Run(options) => run::run(&options.config, || {}),
        Command::Check { files } => check::check(&files),
        Command::Demo(options) => demo::run(options.listen, options.metrics),
        Command::Datapath { command, bpffs } => datapath::run(&command, &bpffs),
    }
}
