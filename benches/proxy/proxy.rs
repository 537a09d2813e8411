//! A proxy under test, from its start to its end.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Failure;
use super::cells::Variant;
use super::configuration::{Setup, Site};
use super::household::Process;
use super::products::Contender;
use super::rounds::Bench;

/// How long a proxy may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Proxy {
    // Ends before its directory vanishes.
    process: Process,
    directory: TempDir,
    pub port: u16,
}

impl Proxy {
    /// A place for a proxy in the bench's own directory.
    pub fn site<'a>(bench: &'a Bench) -> Result<Site<'a>, Failure> {
        Ok(Site {
            directory: bench.directory,
            port: free_port()?,
            metrics: free_port()?,
            servers: bench.origins.ports(),
            descriptors: bench.descriptors,
            certificate: &bench.certificate,
            root: nix::unistd::geteuid().is_root(),
        })
    }

    /// Starts it and waits until a request comes through.
    pub fn start(bench: &Bench, contender: &Contender, variant: Variant) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(bench.directory)?;
        let site = Site { directory: directory.path(), ..Self::site(bench)? };
        let setup = Setup { buffers: bench.plan.buffers, ..variant.setup };
        let command = contender.prepare(setup, &site)?;
        let cpus = if variant.pinned { &bench.places.proxy } else { &bench.places.everywhere };
        let port = site.port;
        let process = bench.household.start(command, cpus, &directory.path().join("output.log"))?;
        let proxy = Self { process, directory, port };
        let begun = Instant::now();
        while !answers(port, setup.tls) {
            if proxy.process.has_ended() || begun.elapsed() > PATIENCE {
                return Err(format!("it does not answer: {}", proxy.said()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// What it said last.
    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        let said = read("output.log") + &read("error.log");
        said.trim().lines().last().unwrap_or("it says nothing").to_owned()
    }
}

/// A port that nobody uses at the moment. The system hands ports out in turn, so it stays free for a while.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether a request comes through; inside TLS that somebody listens has to do.
fn answers(port: u16, tls: bool) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        if tls {
            return Ok(true);
        }
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /small HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 13];
        stream.read_exact(&mut start)?;
        Ok::<_, std::io::Error>(&start == b"HTTP/1.1 200 ")
    };
    ask().unwrap_or(false)
}
