//! Connections to servers.

use std::cell::{RefCell, RefMut};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::model::ServerId;
use crate::tls::ServerLink;

use super::channel::Channel;
use super::client::Client;
use super::http2_line::Trunk;
use super::line::Line;
use super::stream::Stream;

/// One connection to a server. Dropping it closes it, whatever it is in the middle of.
pub(super) struct Upstream {
    pub server: ServerId,
    pub address: SocketAddr,
    pub born: Instant,
    /// How its server is spoken to inside TLS; `None`: plainly.
    link: Option<Arc<ServerLink>>,
    /// The one client connection that it is for, because it began with that client's PROXY header. `None`: for anybody.
    owner: Option<Weak<Client>>,
    /// The server knows a client by it, so it is for no other.
    is_bound: bool,
    channel: SharedChannel,
}

/// Shared by the exchange and its upload, for as long as both run.
pub(super) type SharedChannel = Rc<RefCell<Channel>>;

/// A connection and what was read from it already.
pub(super) struct Rest {
    pub stream: Stream,
    pub read: Bytes,
}

impl Upstream {
    pub fn new(
        server: ServerId,
        address: SocketAddr,
        stream: Stream,
        link: Option<&Arc<ServerLink>>,
        owner: Option<&Rc<Client>>,
    ) -> Self {
        let channel = Channel::Http1(Line::new(stream));
        Self {
            server,
            address,
            born: Instant::now(),
            link: link.cloned(),
            owner: owner.map(Rc::downgrade),
            is_bound: false,
            channel: Rc::new(RefCell::new(channel)),
        }
    }

    /// One request's stream on a connection that others use too.
    pub fn on(trunk: &Rc<Trunk>, server: ServerId) -> Self {
        let channel = Channel::Http2(Box::new(trunk.line()));
        Self {
            server,
            address: trunk.address,
            born: trunk.born,
            link: trunk.link.clone(),
            owner: None,
            is_bound: false,
            channel: Rc::new(RefCell::new(channel)),
        }
    }

    pub fn channel(&self) -> RefMut<'_, Channel> {
        self.channel.borrow_mut()
    }

    pub fn shared(&self) -> &SharedChannel {
        &self.channel
    }

    /// Whether requests of this client may go over it, or where none is named, of any.
    pub fn is_for(&self, client: Option<&Rc<Client>>) -> bool {
        match (&self.owner, client) {
            (None, None) => true,
            (Some(owner), Some(client)) => std::ptr::eq(owner.as_ptr(), Rc::as_ptr(client)),
            _ => false,
        }
    }

    /// Whether the server is still spoken to in this way.
    pub fn is_by(&self, link: Option<&Arc<ServerLink>>) -> bool {
        match (&self.link, link) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        }
    }

    /// The server may know the client that it serves now by it.
    pub fn bind(&mut self) {
        self.is_bound = true;
    }

    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// The client that it is for has gone.
    pub fn is_orphaned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.strong_count() == 0)
    }

    /// The socket after 101. `None`: an upload still holds it, which requests that upgrade do not have, or it is not this
    /// request's alone.
    pub fn into_rest(self) -> Option<Rest> {
        let (stream, read) = Rc::into_inner(self.channel)?.into_inner().into_line()?.into_rest();
        Some(Rest { stream, read })
    }
}
