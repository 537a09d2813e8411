//! The interfaces that packets are forwarded on: how each is served, and what is said when that changes.

use crate::datapath::packet_socket::PacketSockets;
use crate::datapath::xdp::engine::{EngineError, Interface, XdpEngine};

/// All of them, in the order of the configuration.
pub(super) struct Posts {
    list: Vec<Post>,
    /// The engine in this process, where the kernel's is not used.
    sockets: Option<PacketSockets>,
}

struct Post {
    interface: Interface,
    /// Somebody took the program away, and it is not put back.
    detached: bool,
}

impl Posts {
    /// Nothing is forwarded there yet.
    pub fn new(interfaces: &[Interface]) -> Self {
        let post = |interface: &Interface| Post { interface: interface.clone(), detached: false };
        Self { list: interfaces.iter().map(post).collect(), sockets: None }
    }

    /// From here on packets are forwarded.
    pub fn begin(&mut self, engine: &mut XdpEngine) -> Result<(), EngineError> {
        let interfaces: Vec<Interface> = self.list.iter().map(|post| post.interface.clone()).collect();
        if engine.is_in_kernel() {
            return engine.attach(&interfaces);
        }
        let sockets = PacketSockets::start(engine.tables(), engine.keys(), &interfaces);
        self.sockets = Some(sockets.map_err(EngineError::Sockets)?);
        Ok(())
    }

    /// Looks whether all of them are still served.
    pub fn look(&mut self, engine: &mut XdpEngine) {
        for (place, post) in self.list.iter_mut().enumerate() {
            if engine.let_go_if_detached(place) {
                post.detached = true;
                tracing::error!(
                    target: "tsuji::state",
                    "interface {}: packets are no longer forwarded there, because the program was taken away (`tsuji \
                     datapath detach`); a restart of the daemon puts it back",
                    post.interface.name
                );
            }
        }
    }

    /// How each of them is served, by name.
    pub fn modes(&self, engine: &XdpEngine) -> Vec<(String, &'static str)> {
        let mode = |(place, post): (usize, &Post)| {
            let absent = if post.detached { "detached" } else { "not served" };
            let word = if self.sockets.is_some() { "packet socket" } else { engine.mode(place).unwrap_or(absent) };
            (post.interface.name.clone(), word)
        };
        self.list.iter().enumerate().map(mode).collect()
    }
}
