//! Requests over HTTP, sent by wrk.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::figures::wrk::Run;
use crate::household::{Household, program};

/// What a browser sends with each request.
pub const FIELDS: [&str; 10] = [
    "Host: shop.example.com",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,ja;q=0.3",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: https://shop.example.com/catalogue/lamps?page=2",
    "Cookie: basket=3; JSESSIONID=00017f3b1c0e9a5d4e62b8f1c0a:w1; theme=dark; consent=yes",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Cache-Control: max-age=0",
];

#[derive(Clone, Copy, Debug)]
pub struct Http {
    pub connections: usize,
    pub target: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One request after the other on each connection.
    KeepAlive,
    /// The client asks for the connection to be closed after each.
    Close,
    /// A body of 16 KiB with each.
    Post,
}

const SCRIPT: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 16384)\n\
                      wrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n";

impl Http {
    pub fn run(
        self,
        household: &Arc<Household>,
        directory: &Path,
        scheme: &str,
        port: u16,
        seconds: u64,
    ) -> Result<Run, Failure> {
        let output = household.output(self.command(directory, scheme, port, seconds)?)?;
        Run::parse(&output).ok_or_else(|| format!("wrk said something unexpected:\n{output}").into())
    }

    /// The same load for a moment, without figures.
    pub fn warm_up(
        self,
        household: &Arc<Household>,
        directory: &Path,
        scheme: &str,
        port: u16,
        time: Duration,
    ) -> Result<(), Failure> {
        let command = self.command(directory, scheme, port, time.as_secs() + 2)?;
        let _wrk = household.start_here(command, &directory.join("wrk.log"))?;
        thread::sleep(time);
        Ok(())
    }

    fn command(self, directory: &Path, scheme: &str, port: u16, seconds: u64) -> Result<Command, Failure> {
        let mut command = program("wrk");
        command.args(["--threads", "1", "--latency", "--timeout", "10s"]);
        command.args(["--connections", &self.connections.to_string(), "--duration", &format!("{seconds}s")]);
        FIELDS.iter().for_each(|field| {
            command.args(["--header", field]);
        });
        match self.kind {
            Kind::KeepAlive => {}
            Kind::Close => {
                command.args(["--header", "Connection: close"]);
            }
            Kind::Post => {
                let script = directory.join("post.lua");
                fs::write(&script, SCRIPT)?;
                command.arg("--script").arg(script);
            }
        }
        command.arg(format!("{scheme}://127.0.0.1:{port}{}", self.target));
        Ok(command)
    }
}
