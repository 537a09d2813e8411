//! The server and the load: nginx on a host of the lab, wrk on another.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Failure;
use super::lab::Lab;

/// nginx on one host; it ends when this is dropped.
pub struct Server {
    child: Child,
    _scratch: tempfile::TempDir,
}

impl Server {
    /// On the host with this address; it listens when this returns.
    pub fn start(lab: &Lab, host: &str, address: &'static str) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let mut text = String::from("daemon off; worker_processes 1; error_log stderr crit;\n");
        writeln!(text, "pid {};", scratch.path().join("pid").display())?;
        text += "events { worker_connections 4096; }\nhttp { access_log off; keepalive_requests 1000000000;\n";
        for place in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{place}_temp_path {};", scratch.path().join(place).display())?;
        }
        writeln!(
            text,
            "server {{ listen 80 backlog=4096; location / {{ return 200 \"{}\"; }} }} }}",
            "x".repeat(1024)
        )?;
        let file = scratch.path().join("nginx.conf");
        std::fs::write(&file, text)?;
        let mut command = lab.command(host, "nginx");
        command.arg("-c").arg(&file).stdin(Stdio::null());
        let server = Self { child: command.spawn()?, _scratch: scratch };
        for _ in 0..100 {
            let asked = lab.on("client", move || TcpStream::connect((address, 80)).is_ok()).join();
            if asked.is_ok_and(|listens| listens) {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("nginx does not listen".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        // The worker ends with its master.
        let _ = kill(nix::unistd::Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// How connections are used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connections {
    Kept,
    /// One for each request.
    Fresh,
}

/// Requests per second to this address for so many seconds.
pub fn requests(lab: &Lab, address: &str, connections: Connections, seconds: u32) -> Result<f64, Failure> {
    let mut command = lab.command("client", "wrk");
    command.args(["-t1", "-c64", "--timeout", "2s"]).arg(format!("-d{seconds}"));
    if connections == Connections::Fresh {
        command.args(["-H", "Connection: close"]);
    }
    let said = command.arg(format!("http://{address}/")).output()?;
    let text = String::from_utf8(said.stdout)?;
    let broken = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    if let Some(broken) = broken {
        println!("  {address}: {}", broken.trim());
    }
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate
        .ok_or_else(|| format!("wrk said no rate: {text}{}", String::from_utf8_lossy(&said.stderr)))?
        .trim()
        .parse()?)
}
