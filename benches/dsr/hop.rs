//! The bare hop: what a packet's way over the dispatcher costs when nothing is decided there.

use std::thread::JoinHandle;

use aya::EbpfLoader;
use aya::programs::{Xdp, XdpMode};
use std::sync::mpsc::{Sender, channel};

use super::Failure;
use super::lab::{CLUSTER, Lab};

/// The program at the dispatcher's interface, until it is dropped.
pub struct Hop {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Hop {
    /// Sends frames for the cluster address to this server.
    pub fn start(lab: &Lab, server: &str) -> Result<Self, Failure> {
        let (to, from) = (mac(lab, server)?, mac(lab, "lb")?);
        let (end, ended) = channel();
        let (begin, begun) = channel();
        let thread = lab.on("lb", move || {
            static OBJECT: &[u8] = aya::include_bytes_aligned!("hop.o");
            let address: std::net::Ipv4Addr = CLUSTER.parse()?;
            let mut hop = EbpfLoader::new()
                .override_global("address", &u32::from_ne_bytes(address.octets()), true)
                .override_global("to_first", &to.0, true)
                .override_global("to_last", &to.1, true)
                .override_global("from_first", &from.0, true)
                .override_global("from_last", &from.1, true)
                .load(OBJECT)?;
            let program: &mut Xdp = hop.program_mut("hop").ok_or("no program")?.try_into()?;
            program.load()?;
            program.attach("eth0", XdpMode::Driver)?;
            begin.send(())?;
            // An error means that whoever waits has gone.
            let _ = ended.recv();
            Ok(())
        });
        match begun.recv() {
            Ok(()) => Ok(Self { end: Some(end), thread: Some(thread) }),
            Err(_) => {
                Err(thread.join().map_err(|_| "the bare hop's thread has died")?.err().unwrap_or("no hop".into()))
            }
        }
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().map(JoinHandle::join);
    }
}

/// The MAC address of a host's interface.
pub fn mac_of(lab: &Lab, host: &str) -> Result<String, Failure> {
    let said = lab.command(host, "ip").args(["-o", "link", "show", "eth0"]).output()?;
    let said = String::from_utf8(said.stdout)?;
    Ok(said.split(' ').skip_while(|word| *word != "link/ether").nth(1).ok_or("no MAC address")?.to_owned())
}

/// The same as a frame begins with it: four bytes and two.
fn mac(lab: &Lab, host: &str) -> Result<(u32, u16), Failure> {
    let text = mac_of(lab, host)?;
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    let [a, b, c, d, e, f] = bytes.try_into().map_err(|_| "no MAC address")?;
    Ok((u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f])))
}
