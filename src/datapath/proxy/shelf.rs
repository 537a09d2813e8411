//! Connections to servers that one worker has no use for at the moment, for the others.
//!
//! A worker keeps what it uses in a pool of its own, without locks. What it has not used for a second comes here, and a
//! worker that would have to connect looks here first: so servers see as many connections as all workers together need,
//! not as many as each of them once needed.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::ServerId;

/// The shelf of the process.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// How many there are, so that nobody takes the lock for nothing.
    count: AtomicUsize,
    spare: Mutex<HashMap<ServerId, Vec<Spare>>>,
}

/// A connection between two requests: nothing of it but the socket.
#[derive(Debug)]
pub(super) struct Spare {
    /// Nonblocking.
    pub stream: TcpStream,
    pub address: SocketAddr,
    pub born: Instant,
    pub until: Instant,
}

/// Over all servers. Each is a descriptor that nobody may need again; beyond it they are closed.
const MOST: usize = 1024;

impl Shelf {
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// `false`: the shelf is full, and the connection was closed.
    pub fn put(&self, server: ServerId, spare: Spare) -> bool {
        if self.count.load(Ordering::Relaxed) >= MOST {
            return false;
        }
        let mut all = self.lock();
        all.entry(server).or_default().push(spare);
        self.recount(&all);
        true
    }

    /// The one that came last, if it still stands.
    pub fn take(&self, server: ServerId, address: SocketAddr, now: Instant) -> Option<Spare> {
        if self.is_empty() {
            return None;
        }
        let mut all = self.lock();
        let waiting = all.get_mut(&server)?;
        let mut found = None;
        while let (None, Some(spare)) = (&found, waiting.pop()) {
            found = Some(spare).filter(|spare| spare.address == address && spare.stands(now));
        }
        self.recount(&all);
        found
    }

    /// Closes those whose time is over or that their servers have closed.
    pub fn sweep(&self, now: Instant) {
        if self.is_empty() {
            return;
        }
        let mut all = self.lock();
        all.retain(|_, waiting| {
            waiting.retain(|spare| spare.stands(now));
            !waiting.is_empty()
        });
        self.recount(&all);
    }

    /// Closes all connections to this server.
    pub fn forget(&self, server: ServerId) {
        let mut all = self.lock();
        all.remove(&server);
        self.recount(&all);
    }

    /// Closes all: file descriptors are used up and these can be spared.
    pub fn clear(&self) {
        let mut all = self.lock();
        all.clear();
        self.recount(&all);
    }

    fn recount(&self, all: &HashMap<ServerId, Vec<Spare>>) {
        self.count.store(all.values().map(Vec::len).sum(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerId, Vec<Spare>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    /// Its time is not over, and its server has neither closed it nor said anything.
    fn stands(&self, now: Instant) -> bool {
        let silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        now < self.until && self.stream.peek(&mut [0; 1]).is_err_and(silent)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// A connection, and its server's end.
    fn connection(address: SocketAddr, listener: &TcpListener, until: Instant) -> (Spare, TcpStream) {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let server = listener.accept().unwrap().0;
        (Spare { stream, address, born: Instant::now(), until }, server)
    }

    #[test]
    fn what_stands_is_found_again_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shelf, now) = (listener.local_addr().unwrap(), Shelf::default(), Instant::now());
        let (later, id) = (now + Duration::from_secs(60), ServerId(1));
        assert!(shelf.take(id, address, now).is_none());
        let mut ends = Vec::new();
        for until in [later, later, later, now] {
            let (spare, end) = connection(address, &listener, until);
            assert!(shelf.put(id, spare));
            ends.push(end);
        }
        assert!(shelf.take(ServerId(2), address, now).is_none(), "another server's");
        // The last is too old; the one before has said something, and the one before that has hung up.
        ends[2].write_all(b"x").unwrap();
        drop(ends.remove(1));
        while shelf.lock()[&id][1].stands(now) || shelf.lock()[&id][2].stands(now) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let found = shelf.take(id, address, now).unwrap();
        assert_eq!(found.stream.peer_addr().unwrap(), address);
        assert!(shelf.is_empty());
    }

    #[test]
    fn swept_forgotten_cleared_and_full() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shelf, now) = (listener.local_addr().unwrap(), Shelf::default(), Instant::now());
        let put = |id: u32, until| {
            let (spare, end) = connection(address, &listener, until);
            shelf.put(ServerId(id), spare);
            end
        };
        let later = now + Duration::from_secs(60);
        let _ends = [put(1, now), put(1, later), put(2, later), put(3, later)];
        shelf.sweep(now);
        assert_eq!(shelf.count.load(Ordering::Relaxed), 3);
        shelf.forget(ServerId(1));
        assert!(shelf.take(ServerId(1), address, now).is_none() && !shelf.is_empty());
        let elsewhere = "192.0.2.1:80".parse().unwrap();
        assert!(shelf.take(ServerId(2), elsewhere, now).is_none(), "the server has another address now");
        shelf.clear();
        assert!(shelf.is_empty());
    }
}
