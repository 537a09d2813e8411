//! Session tickets: what lets a client come back without a whole handshake (RFC 8446 2.2, RFC 5077).

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

/// The keys that tickets are sealed with: the newest seals, all of them open.
///
/// Whoever has such a key can read what clients said in sessions that were resumed with TLS 1.2, and pretend to be this
/// server to those who resume. So keys live in memory only and not for long.
pub struct TicketKeys {
    ring: ArcSwap<Vec<Arc<TicketKey>>>,
    /// Those of a partner, which open too: its clients come here when it has gone.
    partners: ArcSwap<Vec<Arc<TicketKey>>>,
}

struct TicketKey {
    name: [u8; NAME],
    secret: [u8; SECRET],
    key: LessSafeKey,
}

const NAME: usize = 16;
const SECRET: usize = 32;

/// A key as a partner is given it: its name and its secret.
pub type TicketSecret = [u8; NAME + SECRET];

/// A ticket is good while its key is here: as long as its key is the newest, and for as many turns after.
const KEPT: usize = 3;

impl TicketKeys {
    /// How often a new key takes over.
    pub const TURN: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

    /// How long a ticket is good at least, in seconds: what clients are told (RFC 8446 4.6.1 allows seven days).
    const LIFETIME: u32 = Self::TURN.as_secs() as u32 * (KEPT as u32 - 1);

    /// One new key. `None`: the system gives no random bytes.
    pub fn new() -> Option<Arc<Self>> {
        let ring = ArcSwap::from_pointee(vec![Arc::new(TicketKey::new()?)]);
        Some(Arc::new(Self { ring, partners: ArcSwap::default() }))
    }

    /// The own keys, for a partner: only over a sealed way, and never to a disk.
    pub fn secrets(&self) -> Vec<TicketSecret> {
        self.ring.load().iter().map(|key| key.told()).collect()
    }

    /// The partner's keys are these now. Of more than a dispatcher has, the first count.
    pub fn set_partners(&self, secrets: &[TicketSecret]) {
        let keys = secrets.iter().take(KEPT).filter_map(TicketKey::heard).map(Arc::new).collect();
        self.partners.store(Arc::new(keys));
    }

    /// A new key seals from now on, and the oldest is forgotten. Without random bytes all stays as it is.
    pub fn turn(&self) {
        let Some(fresh) = TicketKey::new() else { return };
        let mut ring: Vec<_> = self.ring.load().iter().take(KEPT - 1).cloned().collect();
        ring.insert(0, Arc::new(fresh));
        self.ring.store(Arc::new(ring));
    }
}

impl TicketKey {
    fn new() -> Option<Self> {
        let mut told = [0; NAME + SECRET];
        rand::fill(&mut told).ok()?;
        Self::heard(&told)
    }

    fn heard(told: &TicketSecret) -> Option<Self> {
        let (name, secret) = told.split_first_chunk::<NAME>()?;
        let secret = secret.first_chunk::<SECRET>()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).ok()?);
        Some(Self { name: *name, secret: *secret, key })
    }

    fn told(&self) -> TicketSecret {
        let mut told = [0; NAME + SECRET];
        told.iter_mut().zip(self.name.iter().chain(&self.secret)).for_each(|(place, byte)| *place = *byte);
        told
    }
}

/// Nothing of a key is shown.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("keys", &self.ring.load().len()).finish_non_exhaustive()
    }
}

/// Seals tickets of one port's settings. A ticket of others does not open here, though the keys are the same: who was let
/// in without a certificate where none is asked for must not come in with that where one is (CVE-2025-23419). The host
/// that was asked for is in the ticket, and rustls takes it for that host alone.
#[derive(Debug)]
pub(super) struct Ticketer {
    pub keys: Arc<TicketKeys>,
    /// A digest of what a client must have agreed to.
    pub binding: [u8; 32],
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TicketKeys::LIFETIME
    }

    /// The key's name, a nonce, and the sealed state.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let ring = self.keys.ring.load();
        let key = ring.first()?;
        // By chance: 2^32 tickets under one key are safe, which is 200,000 a second from one turn to the next.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(NAME + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&key.name);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.key.seal_in_place_append_tag(nonce, Aad::from(self.binding), &mut body).ok()?;
        sealed.extend_from_slice(&body);
        Some(sealed)
    }

    fn decrypt(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = sealed.split_first_chunk::<NAME>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (ring, partners) = (self.keys.ring.load(), self.keys.partners.load());
        let key = ring.iter().chain(partners.iter()).find(|key| key.name == *name)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.key.open_in_place(nonce, Aad::from(self.binding), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticketer(keys: &Arc<TicketKeys>, binding: u8) -> Ticketer {
        Ticketer { keys: Arc::clone(keys), binding: [binding; 32] }
    }

    #[test]
    fn tickets_open_for_the_same_settings_until_their_key_is_forgotten() {
        let keys = TicketKeys::new().unwrap();
        let port = ticketer(&keys, 1);
        let sealed = port.encrypt(b"a session").unwrap();
        assert_ne!(port.encrypt(b"a session").unwrap(), sealed, "no two are alike");
        assert_eq!(ticketer(&keys, 2).decrypt(&sealed), None, "another port's");
        for _ in 0..KEPT {
            assert_eq!(port.decrypt(&sealed).as_deref(), Some(&b"a session"[..]));
            keys.turn();
        }
        assert_eq!(port.decrypt(&sealed), None, "its key has gone");
    }

    #[test]
    fn a_partners_tickets_open_and_it_never_seals_here() {
        let (here, there) = (TicketKeys::new().unwrap(), TicketKeys::new().unwrap());
        let (own, partners) = (ticketer(&here, 1), ticketer(&there, 1));
        let sealed = partners.encrypt(b"a session").unwrap();
        assert_eq!(own.decrypt(&sealed), None);
        here.set_partners(&there.secrets());
        assert_eq!(own.decrypt(&sealed).as_deref(), Some(&b"a session"[..]));
        assert_eq!(ticketer(&here, 2).decrypt(&sealed), None, "another port's");
        assert_eq!(partners.decrypt(&own.encrypt(b"a session").unwrap()), None);
        here.set_partners(&[]);
        assert_eq!(own.decrypt(&sealed), None);
    }

    #[test]
    fn what_is_no_ticket_does_not_open() {
        let keys = TicketKeys::new().unwrap();
        let port = ticketer(&keys, 1);
        let sealed = port.encrypt(b"a session").unwrap();
        for length in 0..sealed.len() {
            assert_eq!(port.decrypt(&sealed[..length]), None, "{length} bytes of it");
            let mut changed = sealed.clone();
            changed[length] ^= 1;
            assert_eq!(port.decrypt(&changed), None, "byte {length} changed");
        }
    }
}
