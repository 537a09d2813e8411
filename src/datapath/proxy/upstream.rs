//! Connections to servers.

use std::cell::{RefCell, RefMut};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::model::ServerId;

use super::line::Line;

/// One connection to a server. Dropping it closes it, whatever it is in the middle of.
pub(super) struct Upstream {
    pub server: ServerId,
    pub address: SocketAddr,
    pub born: Instant,
    line: SharedLine,
}

/// Shared by the exchange and its upload, for as long as both run.
pub(super) type SharedLine = Rc<RefCell<Line>>;

/// A socket and what was read from it already.
pub(super) struct Rest {
    pub stream: TcpStream,
    pub read: Bytes,
}

impl Upstream {
    pub fn new(server: ServerId, address: SocketAddr, stream: TcpStream) -> Self {
        Self { server, address, born: Instant::now(), line: Rc::new(RefCell::new(Line::new(stream))) }
    }

    pub fn line(&self) -> RefMut<'_, Line> {
        self.line.borrow_mut()
    }

    pub fn shared(&self) -> &SharedLine {
        &self.line
    }

    /// The socket after 101. `None`: an upload still holds it, which requests that upgrade do not have.
    pub fn into_rest(self) -> Option<Rest> {
        let (stream, read) = Rc::into_inner(self.line)?.into_inner().into_rest();
        Some(Rest { stream, read })
    }
}
