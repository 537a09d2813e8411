//! What the tasks of one worker share. It never leaves the worker's thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::executor::{ForwardingTable, Lane, PortTable};
use crate::message::http_date;
use crate::model::PortId;
use crate::sys::memory;

use super::balance::Allowance;
use super::client::Clients;
use super::ledger::Ledger;
use super::pace::Pace;
use super::pipes::Pipes;
use super::pool::Pool;
use super::secure::MOST_HANDSHAKES;
use super::shared::{Event, Shared};
use super::timers::{Tick, Ticket, Timers};

/// Clients that are begun, or ended, in a row. Each is at once a task that looks at its socket, so the clients that are there
/// already would wait for all of a burst; between two of these they have their turn.
pub(super) const BREATH: usize = 16;

/// Key exchanges in a row, some 0.1 ms each.
const KEY_EXCHANGES: usize = 4;

pub(super) struct Local {
    pub shared: Arc<Shared>,
    pub lane: Lane,
    pub timers: Timers,
    pub clients: Clients,
    pub pool: Pool,
    pub ledger: Ledger,
    /// For connections that other workers shall serve.
    pub handovers: Allowance,
    /// Room for TLS sessions in the making.
    handshakes: Semaphore,
    /// For how many there is.
    most_handshakes: Cell<u32>,
    /// Those clients, in the order in which their sessions were begun.
    half_made: RefCell<BTreeMap<u64, Ticket>>,
    half_mades: Cell<u64>,
    /// A few key exchanges of those sessions before all sockets are looked at again.
    key_exchange: Semaphore,
    /// No new connections, and those that there are end after what they are doing.
    pub draining: Cell<bool>,
    /// Clients that were parked or left since memory was given back last.
    freed: Cell<u32>,
    /// Where relays read into. Only what could not be written at once is copied out of it, so an idle tunnel has no
    /// buffer of its own.
    pub scratch: RefCell<Box<[u8]>>,
    /// Where requests are written before they are sent, and the map that the next response's fields go into.
    pub spare: RefCell<Spare>,
    /// The last second that was told, and how.
    date: RefCell<(u64, HeaderValue)>,
    /// What relays splice through.
    pub pipes: Pipes,
    snapshot: RefCell<Snapshot>,
}

/// Memory that one request leaves for the next.
#[derive(Default)]
pub(super) struct Spare {
    pub head: Vec<u8>,
    pub fields: HeaderMap,
}

impl Spare {
    /// Takes a map that is of no more use, for its memory.
    pub fn recycle(&mut self, mut fields: HeaderMap) {
        fields.clear();
        self.fields = fields;
    }
}

/// The newest table that this worker has looked at.
struct Snapshot {
    version: u64,
    table: Arc<ForwardingTable>,
    /// The ports asked for since. Requests hold these: counting references on the shared `Arc` would have all workers
    /// write to one cache line.
    ports: Vec<Option<PortRef>>,
}

/// A port's table as requests of one worker hold it.
#[expect(
    clippy::redundant_allocation,
    reason = "the inner count is shared by all workers, the outer is this one's own"
)]
#[derive(Clone)]
pub(super) struct PortRef(Rc<Arc<PortTable>>);

impl Deref for PortRef {
    type Target = PortTable;

    fn deref(&self) -> &PortTable {
        &self.0
    }
}

/// Between two looks at idle connections to servers.
const SWEEP: Duration = Duration::from_secs(1);

/// Buffers of so many clients are worth a walk through the allocator's pages, at most once a second: half a megabyte.
const MANY_FREED: u32 = 32;

impl Local {
    pub fn new(shared: Arc<Shared>, lane: Lane) -> Self {
        let version = shared.version();
        let snapshot = Snapshot { version, table: shared.table(), ports: Vec::new() };
        Self {
            ledger: Ledger::new(Arc::clone(shared.records())),
            lane,
            timers: Timers::new(Instant::now()),
            clients: Clients::default(),
            pool: Pool::new(Arc::clone(&shared), lane),
            spare: RefCell::default(),
            handovers: Allowance::new(Instant::now()),
            handshakes: Semaphore::new(MOST_HANDSHAKES as usize),
            most_handshakes: Cell::new(MOST_HANDSHAKES),
            half_made: RefCell::default(),
            half_mades: Cell::new(0),
            key_exchange: Semaphore::new(KEY_EXCHANGES),
            draining: Cell::new(false),
            freed: Cell::new(0),
            scratch: RefCell::new(vec![0; Pace::MOST].into_boxed_slice()),
            date: RefCell::new((0, http_date(0))),
            pipes: Pipes::default(),
            snapshot: RefCell::new(snapshot),
            shared,
        }
    }

    /// The port as it is now.
    pub fn port(&self, id: PortId) -> Option<PortRef> {
        let mut snapshot = self.snapshot.borrow_mut();
        // The version is read before the table: a table that comes in between is looked at once more, never missed.
        let version = self.shared.version();
        if snapshot.version != version {
            *snapshot = Snapshot { version, table: self.shared.table(), ports: Vec::new() };
        }
        snapshot.port(id)
    }

    /// Room for TLS sessions in the making, as much as the configuration gives now. What is taken away while it is in use
    /// goes when it comes back and the next one asks.
    pub fn handshakes(&self) -> &Semaphore {
        let (most, now) = (self.shared.most_handshakes(), self.most_handshakes.get());
        if most > now {
            self.handshakes.add_permits((most - now) as usize);
            self.most_handshakes.set(most);
        } else if most < now {
            let gone = self.handshakes.forget_permits((now - most) as usize);
            self.most_handshakes.set(now - gone as u32);
        }
        &self.handshakes
    }

    /// A TLS session is begun for this client; what is returned says which one to [`Local::made`].
    pub fn half_made(&self, client: Ticket) -> u64 {
        let serial = self.half_mades.get() + 1;
        self.half_mades.set(serial);
        self.half_made.borrow_mut().insert(serial, client);
        serial
    }

    /// That session is made, or has failed.
    pub fn made(&self, serial: u64) {
        self.half_made.borrow_mut().remove(&serial);
    }

    /// Ends the session that has been in the making for longest, so that somebody else can have its place.
    pub fn displace(&self) {
        let oldest = self.half_made.borrow_mut().pop_first();
        if let Some((_, ticket)) = oldest {
            self.clients.expire(ticket);
        }
    }

    /// A turn at the key exchange.
    pub fn key_exchange(&self) -> &Semaphore {
        &self.key_exchange
    }

    pub fn count(&self, event: Event) {
        self.shared.count(self.lane, event);
    }

    /// Wakes connections whose deadline has come and drops idle connections to servers, for as long as the worker
    /// lives. Sleeps while there is nothing to wait for.
    pub async fn tick(self: Rc<Self>) {
        loop {
            let now = Instant::now();
            let tick = self.timers.at(now);
            while let Some((due, tickets)) = self.timers.take_due(tick) {
                // Who has run out of time is told so, and closed. Of those who came together all may run out of it together,
                // and others would wait for that.
                for some in tickets.chunks(BREATH) {
                    self.clients.come_up(some, due, tick);
                    yield_now().await;
                }
            }
            self.pool.sweep(now);
            self.give_back();
            self.ledger.look(now);
            self.timers.sleep(self.next_sweep(now).min(self.next_look())).await;
        }
    }

    /// The time as fields tell it.
    pub fn date(&self) -> HeaderValue {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut date = self.date.borrow_mut();
        if date.0 != now {
            *date = (now, http_date(now));
        }
        date.1.clone()
    }

    /// A client was parked.
    pub fn parked(&self) {
        self.count(Event::Parked);
        self.freed();
    }

    /// What a client held was freed. When many have done so, it goes back to the system.
    pub fn freed(&self) {
        self.freed.set(self.freed.get() + 1);
        if self.freed.get() == MANY_FREED {
            self.timers.wake_by(self.timers.after(Instant::now(), SWEEP));
        }
    }

    fn give_back(&self) {
        if self.freed.get() >= MANY_FREED {
            self.freed.set(0);
            memory::give_back();
        }
    }

    /// An idle connection came to the pool: the ticking task may have nothing else to wake for.
    pub fn expect_sweep(&self, now: Instant) {
        self.timers.wake_by(self.timers.after(now, SWEEP));
    }

    /// There is something in the ledger that was not there before.
    pub fn expect_look(&self, now: Instant) {
        self.timers.wake_by(self.next_look().min(self.timers.after(now, SWEEP)));
    }

    fn next_look(&self) -> Tick {
        self.ledger.due().map_or(Tick::NEVER, |due| self.timers.after(due, Duration::ZERO))
    }

    fn next_sweep(&self, now: Instant) -> Tick {
        if self.pool.is_empty() { Tick::NEVER } else { self.timers.after(now, SWEEP) }
    }
}

impl Snapshot {
    fn port(&mut self, id: PortId) -> Option<PortRef> {
        let place = id.0 as usize;
        if let Some(Some(port)) = self.ports.get(place) {
            return Some(port.clone());
        }
        let port = PortRef(Rc::new(Arc::clone(self.table.port(id)?)));
        if self.ports.len() <= place {
            self.ports.resize(place + 1, None);
        }
        if let Some(slot) = self.ports.get_mut(place) {
            *slot = Some(port.clone());
        }
        Some(port)
    }
}
