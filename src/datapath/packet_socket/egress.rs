//! Frames of a batch by the interface that they leave by.

use std::io;

use crate::sys::packet_socket::{PacketSocket, Ring, Sent};

use super::BUFFER;

/// Where the frames of a batch go. Sockets of other interfaces stay open, and so do the lists' memory.
#[derive(Debug, Default)]
pub(super) struct Egress {
    here: Vec<usize>,
    elsewhere: Vec<Elsewhere>,
}

/// Another interface than the one that frames come in on.
#[derive(Debug)]
struct Elsewhere {
    index: u32,
    places: Vec<usize>,
    /// Opened for the first frame, and again after an error.
    socket: Option<PacketSocket>,
}

impl Egress {
    pub(super) fn here(&mut self, place: usize) {
        self.here.push(place);
    }

    pub(super) fn elsewhere(&mut self, index: u32, place: usize) {
        // Servers lie behind a few interfaces at most.
        match self.elsewhere.iter_mut().find(|other| other.index == index) {
            Some(other) => other.places.push(place),
            None => self.elsewhere.push(Elsewhere { index, places: vec![place], socket: None }),
        }
    }

    /// Sends them and forgets them. Returns how many were lost.
    ///
    /// # Errors
    ///
    /// The interface of the ring is down or has gone. What is wrong with another one loses the frames for it alone.
    pub(super) fn send(&mut self, ring: &Ring) -> io::Result<u64> {
        let mut lost = 0;
        for other in self.elsewhere.iter_mut().filter(|other| !other.places.is_empty()) {
            lost += other.send(ring);
            other.places.clear();
        }
        if !self.here.is_empty() {
            let sent = send(ring.socket(), ring, &self.here);
            self.here.clear();
            lost += sent?.lost as u64;
        }
        Ok(lost)
    }
}

impl Elsewhere {
    fn send(&mut self, ring: &Ring) -> u64 {
        let all = self.places.len() as u64;
        if self.socket.is_none() {
            self.socket = PacketSocket::open(self.index, BUFFER).ok();
        }
        let Some(socket) = &self.socket else { return all };
        match send(socket, ring, &self.places) {
            Ok(sent) => sent.lost as u64,
            Err(_) => {
                self.socket = None;
                all
            }
        }
    }
}

fn send(socket: &PacketSocket, ring: &Ring, places: &[usize]) -> io::Result<Sent> {
    socket.send(places.iter().map(|&place| ring.outgoing(place)))
}
