//! The interfaces that packets are forwarded on: how each is served, and what is done and said when that changes.

use std::time::Instant;

use crate::datapath::packet_socket::PacketSockets;
use crate::datapath::xdp::engine::{EngineError, Interface, PacketEngine};

use super::interfaces::sight;
use super::presence::{Presence, Step};

/// All of them, in the order of the configuration.
pub(super) struct Posts {
    list: Vec<Presence>,
    /// The engine in this process, where the kernel's is not used.
    sockets: Option<PacketSockets>,
    /// By sockets that were closed since.
    lost: u64,
}

impl Posts {
    /// Nothing is forwarded there yet.
    pub fn new(interfaces: &[Interface]) -> Self {
        Self { list: interfaces.iter().cloned().map(Presence::new).collect(), sockets: None, lost: 0 }
    }

    /// From here on packets are forwarded.
    pub fn begin(&mut self, engine: &mut PacketEngine) -> Result<(), EngineError> {
        if engine.is_in_kernel() { engine.attach(&self.served()) } else { self.open_sockets(engine) }
    }

    /// Looks whether each of them is still there and still served, and does what is to be done.
    pub fn look(&mut self, engine: &mut PacketEngine, now: Instant) {
        self.look_for_pins(engine);
        let links = pnet::datalink::interfaces();
        for place in 0..self.list.len() {
            let Some(post) = self.list.get_mut(place) else { continue };
            match post.see(sight(&links, &post.interface().name), now) {
                Step::Stay => {}
                Step::LetGo => self.let_go(engine, place),
                Step::Serve(interface) => self.serve(engine, place, interface, now),
            }
        }
    }

    fn look_for_pins(&mut self, engine: &mut PacketEngine) {
        for (place, post) in self.list.iter_mut().enumerate() {
            if engine.let_go_if_detached(place) {
                post.detached();
                tracing::error!(
                    target: "tsuji::state",
                    "interface {}: packets are no longer forwarded there, because the program was taken away (`tsuji \
                     datapath detach`); a restart of the daemon puts it back",
                    post.interface().name
                );
            }
        }
    }

    fn let_go(&mut self, engine: &mut PacketEngine, place: usize) {
        let Some(post) = self.list.get(place) else { return };
        let Interface { name, .. } = post.interface();
        tracing::error!(
            target: "tsuji::state",
            "interface {name} is gone ({}): packets are forwarded there again when there is one of this name",
            traits(post.interface())
        );
        engine.let_go(place);
        self.renew_sockets(engine);
    }

    /// Whatever came in the place of the interface that was there: its packets are forwarded, and the other interfaces notice
    /// nothing.
    fn serve(&mut self, engine: &mut PacketEngine, place: usize, interface: Interface, now: Instant) {
        let Some(before) = self.list.get(place).cloned() else { return };
        if let Some(post) = self.list.get_mut(place) {
            post.served(interface.clone());
        }
        let served = if engine.is_in_kernel() { engine.serve(place, &interface) } else { self.open_sockets(engine) };
        let change = format!("{} -> {}", traits(before.interface()), traits(&interface));
        match served {
            Ok(()) => {
                let mode = self.mode(engine, place);
                let name = &interface.name;
                tracing::warn!(target: "tsuji::state", "interface {name} is another one now ({change}): packets are forwarded by {mode}");
            }
            Err(error) => self.refuse(engine, (place, before), interface, (now, &change, &error)),
        }
    }

    fn refuse(
        &mut self,
        engine: &mut PacketEngine,
        (place, before): (usize, Presence),
        interface: Interface,
        (now, change, error): (Instant, &str, &EngineError),
    ) {
        let Some(post) = self.list.get_mut(place) else { return };
        *post = before;
        let name = interface.name.clone();
        if post.refused(interface, now) {
            tracing::error!(
                target: "tsuji::state",
                "interface {name} is another one now ({change}), and packets are not forwarded there: {error}; tried again \
                 every few seconds"
            );
        }
        self.renew_sockets(engine);
    }

    /// Sockets on all interfaces that can be served, in the place of those before. They are opened together: each has a lane of
    /// the counters, and what clients of `stickytime` are remembered for is forgotten with them.
    fn open_sockets(&mut self, engine: &PacketEngine) -> Result<(), EngineError> {
        self.lost += self.sockets.take().map_or(0, |sockets| sockets.lost());
        let sockets = PacketSockets::start(engine.tables(), engine.keys(), &self.served());
        self.sockets = Some(sockets.map_err(EngineError::Sockets)?);
        Ok(())
    }

    /// Without an interface that cannot be served any more; the kernel's programs need nothing of the kind.
    fn renew_sockets(&mut self, engine: &PacketEngine) {
        if engine.is_in_kernel() {
            return;
        }
        if let Err(error) = self.open_sockets(engine) {
            tracing::error!(target: "tsuji::state", "packets are forwarded on no interface: {error}");
        }
    }

    fn served(&self) -> Vec<Interface> {
        self.list.iter().filter(|post| post.is_served()).map(|post| post.interface().clone()).collect()
    }

    fn mode(&self, engine: &PacketEngine, place: usize) -> &'static str {
        let absent = self.list.get(place).and_then(Presence::word);
        let here = if engine.is_in_kernel() { engine.mode(place) } else { Some("packet socket") };
        absent.or(here).unwrap_or("not served")
    }

    /// Packets that sockets or interfaces had no room for.
    pub fn lost(&self) -> u64 {
        self.lost + self.sockets.as_ref().map_or(0, PacketSockets::lost)
    }

    /// How each of them is served, by name.
    pub fn modes(&self, engine: &PacketEngine) -> Vec<(String, &'static str)> {
        let names = self.list.iter().map(|post| post.interface().name.clone());
        names.enumerate().map(|(place, name)| (name, self.mode(engine, place))).collect()
    }
}

/// What tells one interface of a name from another.
fn traits(interface: &Interface) -> String {
    format!("index {}, MAC {}", interface.index, interface.mac)
}
