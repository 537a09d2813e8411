//! Connections to servers that are one client's alone, because their servers know the client by them.
//!
//! NTLM, and Negotiate at many servers, authenticate a connection and not a request: whatever comes over it later is answered as
//! if that client had asked for it. So such a connection never goes to the pool. It waits beside its client's own connection, as it
//! would without us in between, and ends with it.

use std::cell::RefCell;

use crate::model::ServerId;

use super::pool::Wanted;
use super::upstream::Upstream;

/// Those of one client. How long they wait is not counted: a client that says nothing is closed after the port's `idletimeout`.
#[derive(Default)]
pub(super) struct Bound(RefCell<Vec<Upstream>>);

/// A client stays with its server and needs one; some more are for groups and for servers that left. The oldest makes room,
/// and its client has to authenticate again.
const MOST: usize = 8;

impl Bound {
    pub fn put(&self, upstream: Upstream) {
        let mut waiting = self.0.borrow_mut();
        if waiting.len() == MOST {
            waiting.remove(0);
        }
        waiting.push(upstream);
    }

    /// The one that was used last.
    pub fn take(&self, wanted: &Wanted<'_>) -> Option<Upstream> {
        let mut waiting = self.0.borrow_mut();
        let fits = |upstream: &Upstream| {
            upstream.server == wanted.server && upstream.is_for(wanted.owner) && wanted.fits(upstream)
        };
        let place = waiting.iter().rposition(fits)?;
        Some(waiting.remove(place))
    }

    /// Closes those to this server.
    pub fn forget(&self, server: ServerId) {
        self.0.borrow_mut().retain(|upstream| upstream.server != server);
    }
}
