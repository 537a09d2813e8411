//! The three products, and how each is started.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Failure;
use super::configuration::{Setup, Site, haproxy, nginx, tsuji};
use super::household::program;
use super::machine;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Product {
    Tsuji,
    HaProxy,
    Nginx,
}

/// A program under test, by the name it has in the report.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    pub product: Product,
    /// A name to look up or an absolute path: proxies run in directories of their own.
    pub binary: PathBuf,
}

impl Product {
    pub const ALL: [Self; 3] = [Self::Tsuji, Self::HaProxy, Self::Nginx];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Tsuji => "tsuji",
            Self::HaProxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

impl Contender {
    pub fn version(&self) -> Option<String> {
        let flag = if self.product == Product::Tsuji { "--version" } else { "-v" };
        machine::version(&self.binary.to_string_lossy(), flag)
    }

    /// Writes the configuration and returns the command that runs it in the foreground.
    pub fn prepare(&self, setup: Setup, site: &Site) -> Result<Command, Failure> {
        let directory = site.directory;
        let mut command = program(&self.binary);
        let (name, text) = match self.product {
            Product::Tsuji => ("tsuji.toml", tsuji(setup, site)),
            Product::HaProxy => ("haproxy.cfg", haproxy(setup, site)),
            Product::Nginx => ("nginx.conf", nginx(setup, site)),
        };
        let file = directory.join(name);
        fs::write(&file, text)?;
        match self.product {
            Product::Tsuji => command.args(["run", "--config"]).arg(file),
            Product::HaProxy => command.args(["-db", "-f"]).arg(file),
            Product::Nginx => {
                command.arg("-p").arg(directory).arg("-c").arg(file).arg("-e").arg(directory.join("error.log"))
            }
        };
        command.current_dir(directory);
        Ok(command)
    }

    /// Whether it can be set up so; what it says if not. Asked of ours alone, which may be an older one.
    pub fn refusal(&self, setup: Setup, site: &Site) -> Option<String> {
        if self.product != Product::Tsuji {
            return None;
        }
        fs::write(site.directory.join("check.toml"), tsuji(setup, site)).ok()?;
        // Asked in that directory: what it says names a file, and not where that was.
        let mut check = Command::new(&self.binary);
        let output = check.args(["check", "check.toml"]).current_dir(site.directory).output().ok()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (!output.status.success()).then(|| said.lines().next().unwrap_or("it does not say why").to_owned())
    }
}
