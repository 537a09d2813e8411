//! `tsuji datapath`: what the packet engine left in the kernel, and its end. Needs no running daemon.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use nix::net::if_::if_indextoname;

use crate::datapath::xdp::pins::{PinError, Pins};
use crate::sys::datapath_layout::SCHEMA;

use super::chain;

#[derive(Debug, Subcommand)]
pub enum DatapathCommand {
    /// Say what is pinned: interfaces with the program, and the connection table. 1: there is nothing.
    Status,
    /// Take the program away from all interfaces and forget all connections. A running daemon lets it go within some seconds,
    /// says so in its log, and does not put it back.
    Detach,
}

/// 0 done, 1 nothing there or failed.
pub fn run(command: &DatapathCommand, bpffs: &Path) -> ExitCode {
    let done = match command {
        DatapathCommand::Status => status(bpffs),
        DatapathCommand::Detach => detach(bpffs),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tsuji: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn status(bpffs: &Path) -> Result<ExitCode, PinError> {
    let all = Pins::all(bpffs)?;
    if all.is_empty() {
        println!("nothing is pinned in {}", bpffs.display());
        return Ok(ExitCode::FAILURE);
    }
    for pins in all {
        for index in pins.links() {
            let name = if_indextoname(index).ok().and_then(|name| name.into_string().ok());
            println!("interface {}: XDP program attached", name.unwrap_or_else(|| format!("{index} (gone)")));
        }
        println!("{}", tables(&pins)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(pins: &Pins) -> Result<String, PinError> {
    let schema = pins.schema();
    if schema != SCHEMA {
        return Ok(format!(
            "tables of schema {schema}, of another version; the daemon takes their place when it starts"
        ));
    }
    Ok(match pins.legacy()? {
        Some(legacy) => {
            format!("connection table: room for {} entries, schema {schema}", u64::from(legacy.buckets) * 4)
        }
        None => format!("no tables of schema {schema}"),
    })
}

fn detach(bpffs: &Path) -> Result<ExitCode, PinError> {
    let holder = Pins::all(bpffs)?.iter().find_map(Pins::holder);
    let removed = Pins::remove_all(bpffs)?;
    if removed == 0 {
        println!("nothing is pinned in {}", bpffs.display());
        return Ok(ExitCode::FAILURE);
    }
    println!("detached: {} pins removed from {}", removed, bpffs.display());
    if let Some(holder) = holder {
        println!(
            "{holder} is running: it lets the program go within some seconds, and puts it back when it is started again"
        );
    }
    Ok(ExitCode::SUCCESS)
}
