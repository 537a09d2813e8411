//! Connections to servers that wait for their next request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::executor::Lane;
use crate::model::{Port, ServerId};
use crate::tls::ServerLink;

use super::client::Client;
use super::http2_line::Trunk;
use super::line::{self, Line};
use super::shared::{Event, Shared};
use super::shelf::Spare;
use super::stream::Stream;
use super::upstream::Upstream;

/// Idle connections of one worker, by server. The one that came last goes first, so that those not needed grow old and
/// leave.
///
/// A connection to a server that was removed or has another address now is never asked for again; it leaves when its time
/// is over.
pub(super) struct Pool {
    idle: RefCell<HashMap<ServerId, Vec<Idle>, BuildHasherDefault<ById>>>,
    /// Connections in HTTP/2, which carry several requests at once.
    trunks: RefCell<HashMap<ServerId, Vec<Rc<Trunk>>, BuildHasherDefault<ById>>>,
    shared: Arc<Shared>,
    lane: Lane,
}

/// Identities are small numbers of our own making, all different: they need no defence against chosen keys.
#[derive(Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        // The table looks at the highest bits and at the lowest ones.
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, &byte| sum << 8 | u64::from(byte));
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = u64::from(id);
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// What a request needs of a connection.
pub(super) struct Wanted<'a> {
    pub server: ServerId,
    pub address: SocketAddr,
    /// How the server is spoken to inside TLS; `None`: plainly.
    pub link: Option<&'a Arc<ServerLink>>,
    /// The one client that it must be for; `None`: for anybody.
    pub owner: Option<&'a Rc<Client>>,
}

impl Wanted<'_> {
    /// Whether the connection leads to the server in this way.
    pub fn fits(&self, upstream: &Upstream) -> bool {
        upstream.address == self.address && upstream.is_by(self.link)
    }
}

struct Idle {
    upstream: Upstream,
    since: Instant,
    until: Instant,
}

/// A connection is not used longer than this, so that servers behind a layer-4 balancer of their own are found again
/// after it has moved them.
const MAX_AGE: Duration = Duration::from_secs(600);

/// A connection that was not used for so long is for whoever needs one. Moving it costs two calls of the system, which is
/// nothing to a worker that has had so little to do.
const UNUSED: Duration = Duration::from_secs(1);

impl Pool {
    pub fn new(shared: Arc<Shared>, lane: Lane) -> Self {
        Self { idle: RefCell::default(), trunks: RefCell::default(), shared, lane }
    }

    /// A connection in HTTP/2 with room for one more request. For a client that has to be told of first there is none: those
    /// here began without a word, before the port was told to say it.
    pub fn join(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Upstream> {
        if wanted.owner.is_some() {
            return None;
        }
        let trunks = self.trunks.borrow();
        let same = |trunk: &&Rc<Trunk>| match (&trunk.link, wanted.link) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        };
        let fits = |trunk: &&Rc<Trunk>| trunk.address == wanted.address && trunk.has_room(now) && same(trunk);
        let trunk = trunks.get(&wanted.server)?.iter().find(fits)?;
        Some(Upstream::on(trunk, wanted.server))
    }

    /// Keeps a connection in HTTP/2 for the requests that follow.
    pub fn share(&self, server: ServerId, trunk: &Rc<Trunk>) {
        self.trunks.borrow_mut().entry(server).or_default().push(Rc::clone(trunk));
    }

    /// The most recently used connection that will do; else one that another worker has to spare.
    pub fn take(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Upstream> {
        let own = self.take_own(wanted, now);
        own.or_else(|| if wanted.owner.is_none() && wanted.link.is_none() { self.take_over(wanted, now) } else { None })
    }

    fn take_own(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&wanted.server)?;
        // The last one, unless the port sends PROXY headers.
        while let Some(place) = waiting.iter().rposition(|idle| idle.upstream.is_for(wanted.owner)) {
            let Idle { upstream, until, .. } = waiting.remove(place);
            if now < until && wanted.fits(&upstream) && self.is_ready(&upstream) {
                return Some(upstream);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over, as long as and as many as the port's settings say. `false`: it cannot
    /// be used again and was closed.
    pub fn put(&self, upstream: Upstream, settings: &Port, now: Instant) -> bool {
        let until = (now + settings.timeouts.pool).min(upstream.born + MAX_AGE);
        let most = settings.poolsize as usize;
        if !self.is_over(&upstream) || until <= now || most == 0 {
            return false;
        }
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(upstream.server).or_default();
        // Full: the one that has waited longest makes room.
        if waiting.len() >= most {
            waiting.drain(..=waiting.len() - most);
        }
        waiting.push(Idle { upstream, since: now, until });
        true
    }

    /// Its exchange is over on both sides, and not a byte more came: it can be used again.
    pub fn is_over(&self, upstream: &Upstream) -> bool {
        let Some((has_extra, is_between)) = upstream.channel().line().map(|line| (line.has_extra(), line.is_between()))
        else {
            // Its connection is kept by itself.
            return false;
        };
        if has_extra {
            self.shared.count(self.lane, Event::PoolSpoiled);
        }
        is_between
    }

    /// Neither the server nor the network has ended it.
    pub fn is_ready(&self, upstream: &Upstream) -> bool {
        let idle = upstream.channel().line().map_or(line::Idle::Closed, Line::look);
        if idle == line::Idle::Spoiled {
            self.shared.count(self.lane, Event::PoolSpoiled);
        }
        idle == line::Idle::Ready
    }

    /// Closes those whose time is over or whose owner is gone, forgets those that their servers closed, and leaves those that
    /// were of no use for a while to the other workers.
    pub fn sweep(&self, now: Instant) {
        self.shared.shelf.sweep(now);
        self.trunks.borrow_mut().retain(|_, trunks| {
            trunks.retain(|trunk| trunk.is_kept(now));
            !trunks.is_empty()
        });
        self.idle.borrow_mut().retain(|_, waiting| {
            waiting.retain(|idle| now < idle.until && self.is_ready(&idle.upstream) && !idle.upstream.is_orphaned());
            if self.shared.has_several_workers() {
                // The one that came last goes first, so those that are not needed stand at the beginning.
                let spare =
                    waiting.iter().take_while(|idle| idle.since + UNUSED <= now && idle.upstream.is_for(None)).count();
                waiting.drain(..spare).for_each(|idle| self.shelve(idle));
            }
            !waiting.is_empty()
        });
    }

    fn shelve(&self, Idle { upstream, until, .. }: Idle) {
        let (server, address, born) = (upstream.server, upstream.address, upstream.born);
        let stream = upstream.into_rest().and_then(|rest| rest.stream.into_plain()?.into_std().ok());
        if stream.is_some_and(|stream| self.shared.shelf.put(server, Spare { stream, address, born, until })) {
            self.shared.count(self.lane, Event::PoolShelved);
        }
    }

    /// A connection that another worker has to spare.
    fn take_over(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Upstream> {
        let Spare { stream, born, .. } = self.shared.shelf.take(wanted.server, wanted.address, now)?;
        let stream = TcpStream::from_std(stream).ok()?;
        self.shared.count(self.lane, Event::PoolTakeover);
        let mut upstream = Upstream::new(wanted.server, wanted.address, Stream::Plain(stream), None, None);
        upstream.born = born;
        Some(upstream)
    }

    /// Whether there is nothing to look after, here or on the shelf.
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.trunks.borrow().is_empty() && self.shared.shelf.is_empty()
    }

    /// Closes all connections to this server.
    pub fn forget(&self, server: ServerId) {
        self.idle.borrow_mut().remove(&server);
        self.trunks.borrow_mut().remove(&server);
        self.shared.shelf.forget(server);
    }

    /// Closes all: file descriptors are used up and these can be spared.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.trunks.borrow_mut().clear();
        self.shared.shelf.clear();
    }
}
