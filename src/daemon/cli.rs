//! The words after `tsuji`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::datapath::DatapathCommand;
use super::keys::KeysCommand;
use super::paths::DEFAULT_CONFIGURATION;
use super::run::ConfigurationFiles;
use super::{check, datapath, demo, import, keys, run};
use crate::config::import::Front;

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
        /// The files of the partner in a pair, as they are on it: whether the two fit together.
        #[arg(long, value_name = "FILE", num_args = 1..)]
        pair: Vec<PathBuf>,
    },
    /// Translate a plugin-cfg.xml or a script of dscontrol commands to TOML on standard output. What has no equivalent, or
    /// another meaning, is listed on standard error, each with its line and what to do.
    Import(ImportOptions),
    /// Run a whole site on loopback to play with: three servers, a sorry page, the proxy. Needs no root.
    Demo(DemoOptions),
    /// Make keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
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
struct ImportOptions {
    file: PathBuf,
    /// Where a plugin-cfg.xml's site shall listen; the file does not say.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    address: IpAddr,
    /// On which port; may be given again. By default 80 if a virtual host has it, else the lowest that one has.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
}

#[derive(Args, Debug)]
struct RunOptions {
    /// Configuration file: TOML if it ends so, else a script of dscontrol commands. May be given again; each is laid
    /// on top of the ones before it.
    /// By default /etc/tsuji/tsuji.toml, unless `--plugin-cfg` is given.
    #[arg(long, short, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// The web-server plug-in's configuration, in force as `tsuji import` translates it and loaded again when it changes
    /// (RefreshInterval). Files of `--config` are laid on top of it.
    #[arg(long, value_name = "FILE")]
    plugin_cfg: Option<PathBuf>,
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

impl RunOptions {
    fn into_files(self) -> ConfigurationFiles {
        let mut files = self.config;
        if files.is_empty() && self.plugin_cfg.is_none() {
            files.push(PathBuf::from(DEFAULT_CONFIGURATION));
        }
        ConfigurationFiles { files: self.plugin_cfg.iter().cloned().chain(files).collect(), watched: self.plugin_cfg }
    }
}

/// The program: 0 done, 1 failed, 2 misused.
pub fn main() -> ExitCode {
    match Tsuji::parse().command {
        Command::Run(options) => run::run(&options.into_files(), || {}),
        Command::Check { files, pair } => check::check(&files, &pair),
        Command::Import(options) => import::run(&options.file, Front { address: options.address, ports: options.port }),
        Command::Demo(options) => demo::run(options.listen, options.metrics),
        Command::Keys { command } => keys::run(&command),
        Command::Datapath { command, bpffs } => datapath::run(&command, &bpffs),
    }
}
