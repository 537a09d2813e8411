//! Requests over HTTP/2, sent by h2load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::wrk::FIELDS;
use crate::Failure;
use crate::figures::h2load::run;
use crate::figures::wrk::Run;
use crate::household::{Household, program};

/// Seconds beyond those of the run. Before a server that closes connections while it is traced, h2load may wait for ever.
const PATIENCE: u64 = 20;

fn bounded(command: &Command, seconds: u64) -> Command {
    let mut bounded = program("timeout");
    bounded.args(["--signal=KILL", &seconds.to_string()]).arg(command.get_program()).args(command.get_args());
    bounded
}

/// Several requests at once on each of several connections.
#[derive(Clone, Copy, Debug)]
pub struct Http2 {
    pub connections: usize,
    pub streams: usize,
    pub target: &'static str,
}

impl Http2 {
    pub fn run(self, household: &Arc<Household>, directory: &Path, port: u16, seconds: u64) -> Result<Run, Failure> {
        let log = directory.join("h2load.log");
        let _none = fs::remove_file(&log);
        let mut command = self.command(port, seconds);
        command.arg("--log-file").arg(&log);
        let output = household.output(bounded(&command, seconds + PATIENCE))?;
        run(&output, &fs::read_to_string(&log)?)
            .ok_or_else(|| format!("h2load said something unexpected:\n{output}").into())
    }

    pub fn warm_up(
        self,
        household: &Arc<Household>,
        directory: &Path,
        port: u16,
        time: Duration,
    ) -> Result<(), Failure> {
        let _h2load = household.start_here(self.command(port, time.as_secs() + 2), &directory.join("h2load.out"))?;
        thread::sleep(time);
        Ok(())
    }

    fn command(self, port: u16, seconds: u64) -> Command {
        let mut command = program("h2load");
        command.args(["--threads", "1", "--groups", "X25519"]);
        command.args([
            "--clients",
            &self.connections.to_string(),
            "--max-concurrent-streams",
            &self.streams.to_string(),
        ]);
        command.args(["--duration", &seconds.to_string()]);
        // The host is the authority.
        FIELDS.iter().filter(|field| !field.starts_with("Host: ")).for_each(|field| {
            command.args(["--header", field]);
        });
        command.args(["--header", ":authority: shop.example.com"]);
        command.arg(format!("https://127.0.0.1:{port}{}", self.target));
        command
    }
}
