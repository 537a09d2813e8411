//! Client connections as the rest of their worker sees them: what they wait for, whom they use, how to end them.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::executor::{PortTable, ServerEntry, Session};
use crate::message::Proto;
use crate::message::proxy_protocol::ProxiedClient;
use crate::model::{PortId, ServerId};

use super::bound::Bound;
use super::journal::Journal;
use super::local::Local;
use super::per_client::Seat;
use super::pool::Wanted;
use super::secure::Secured;
use super::timers::{Tick, Ticket};
use super::upstream::Upstream;

/// What a connection waits for; each has its patience in [`crate::model::Timeouts`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// For the header of the trusted proxy before us.
    ProxyHeader,
    /// For the end of the TLS handshake.
    Tls,
    /// For the next request, with hyper at hand.
    Idle,
    /// For the next request, with nothing but the socket.
    Parked,
    /// For requests in progress, each of which waits for something of its own (HTTP/2).
    Streams,
    /// For the client to take more of its response (HTTP/2).
    Take,
    /// For the client to take its last response, though it may speak.
    Unread,
    /// For the rest of a request's head.
    Head,
    /// For a connection to the server.
    Connect,
    /// For a server that has room for one more request.
    Room,
    /// For the server's word on `Expect: 100-continue`.
    Continue,
    /// For the head of the server's response.
    Server,
    /// For a byte of a body to move, either way.
    Body,
    /// For a byte through a tunnel or a `tcp` connection, either way.
    Stale,
    /// For the client to take our last answer before its connection is closed.
    Linger,
}

/// One client connection.
pub(super) struct Client {
    pub local: Rc<Local>,
    pub port: PortId,
    peer: SocketAddr,
    /// What a trusted proxy said of the client. Boxed because most connections have none.
    introduced: OnceCell<Box<ProxiedClient>>,
    /// What TLS agreed on.
    secured: OnceCell<Rc<Secured>>,
    /// Connections by which servers know it. Boxed because most clients have none.
    bound: OnceCell<Box<Bound>>,
    /// Its place among the connections of its address. Boxed because most ports do not bound them.
    seat: OnceCell<Box<Seat>>,
    /// It stands for one request of a connection that has a client of its own.
    is_branch: Cell<bool>,
    /// What the access log will say of the exchange in progress.
    pub journal: Journal,
    ticket: Cell<Ticket>,
    wait: Cell<Wait>,
    /// Since when it has waited for its next request, when that is what it waits for.
    silent_since: Cell<Tick>,
    /// When the wait is over.
    deadline: Cell<Tick>,
    /// Where the one live entry in the timers is.
    scheduled: Cell<Tick>,
    expired: Cell<bool>,
    serving: Cell<Option<ServerId>>,
    cut: Cell<bool>,
    session: Cell<Session>,
    waker: RefCell<Option<Waker>>,
}

impl Client {
    /// Enters a new connection into its worker's registry; the guard takes it out.
    pub fn register(local: &Rc<Local>, port: PortId, peer: SocketAddr) -> (Rc<Self>, Registered) {
        let client = Rc::new(Self {
            local: Rc::clone(local),
            port,
            peer,
            introduced: OnceCell::new(),
            secured: OnceCell::new(),
            bound: OnceCell::new(),
            seat: OnceCell::new(),
            is_branch: Cell::new(false),
            journal: Journal::default(),
            ticket: Cell::new(Ticket { place: 0, serial: 0 }),
            wait: Cell::new(Wait::Idle),
            silent_since: Cell::new(Tick::NEVER),
            deadline: Cell::new(Tick::NEVER),
            scheduled: Cell::new(Tick::NEVER),
            expired: Cell::new(false),
            serving: Cell::new(None),
            cut: Cell::new(false),
            session: Cell::new(Session::default()),
            waker: RefCell::new(None),
        });
        let ticket = local.clients.enter(Rc::clone(&client));
        client.ticket.set(ticket);
        (client, Registered { local: Rc::clone(local), ticket })
    }

    /// A client of its own for one request among several of this connection.
    pub fn branch(&self) -> (Rc<Self>, Registered) {
        let (branch, registered) = Self::register(&self.local, self.port, self.peer);
        branch.is_branch.set(true);
        if let Some(introduced) = self.introduced.get() {
            branch.introduced.get_or_init(|| introduced.clone());
        }
        if let Some(secured) = self.secured.get() {
            branch.secured.get_or_init(|| Rc::clone(secured));
        }
        (branch, registered)
    }

    /// Whether it stands for one request of a connection in HTTP/2.
    pub fn is_branch(&self) -> bool {
        self.is_branch.get()
    }

    /// Serves another request of the connection `trunk`: nothing is left of the last one.
    pub fn begin_again(&self, trunk: &Self) {
        self.serve_by(None);
        self.expired.set(false);
        self.session.set(trunk.session.get());
    }

    /// What a request of this connection has learnt of its affinity.
    pub fn learn_from(&self, branch: &Self) {
        self.session.set(branch.session.get());
    }

    /// The client is not the connection's peer but this one. To be said before the connection is served.
    pub fn introduce(&self, client: ProxiedClient) {
        // Said once, by the stage before; a second time would change nothing.
        self.introduced.get_or_init(|| Box::new(client));
    }

    /// Whether a trusted proxy named the client.
    pub fn is_introduced(&self) -> bool {
        self.introduced.get().is_some_and(|client| client.source != self.peer)
    }

    /// It counts among the connections of its address.
    pub fn sit(&self, seat: Option<Box<Seat>>) {
        if let Some(seat) = seat {
            // One is as good as two.
            let _had_one = self.seat.set(seat);
        }
    }

    /// The client: the connection's peer, or whom a trusted proxy named.
    pub fn peer(&self) -> SocketAddr {
        self.introduced.get().map_or(self.peer, |client| client.source)
    }

    /// Where the client connected to.
    pub fn destination(&self, port: &PortTable) -> SocketAddr {
        self.introduced.get().map_or(port.listen, |client| client.destination)
    }

    /// The client's connection goes on inside TLS. To be said before it is served.
    pub fn secured(&self, secured: Secured) {
        self.secured.get_or_init(|| Rc::new(secured));
    }

    /// What TLS agreed on; `None`: the client speaks plainly.
    pub fn tls(&self) -> Option<&Secured> {
        self.secured.get().map(AsRef::as_ref)
    }

    pub fn proto(&self) -> Proto {
        let tls = self.introduced.get().is_some_and(|client| client.tls);
        if tls || self.tls().is_some() { Proto::Https } else { Proto::Http }
    }

    /// From now on the connection waits for `wait`, for at most `patience` counted from `from`.
    pub fn arm(&self, wait: Wait, from: Instant, patience: Duration) {
        if matches!(wait, Wait::Idle | Wait::Parked) {
            self.silent_since.set(self.local.timers.at(from));
        }
        self.wait.set(wait);
        self.expired.set(false);
        let tick = self.local.timers.after(from, patience);
        self.deadline.set(tick);
        if tick < self.scheduled.get() {
            self.scheduled.set(tick);
            self.local.timers.insert(tick, self.ticket.get());
        }
    }

    /// From now on nothing of the connection's own is waited for.
    pub fn disarm(&self, wait: Wait) {
        self.wait.set(wait);
        self.expired.set(false);
        self.deadline.set(Tick::NEVER);
    }

    /// The wait that is on is over by then at the latest.
    pub fn arm_sooner(&self, by: Instant) {
        let tick = self.local.timers.after(by, Duration::ZERO);
        if tick >= self.deadline.get() {
            return;
        }
        self.deadline.set(tick);
        if tick < self.scheduled.get() {
            self.scheduled.set(tick);
            self.local.timers.insert(tick, self.ticket.get());
        }
    }

    pub fn wait(&self) -> Wait {
        self.wait.get()
    }

    /// Whether the wait has lasted too long; asking settles it.
    pub fn take_expired(&self) -> bool {
        self.expired.replace(false)
    }

    /// The server that the connection uses now, so that it can be cut from it.
    pub fn serve_by(&self, server: Option<ServerId>) {
        self.serving.set(server);
        self.cut.set(false);
    }

    /// Whether the server in use was taken away; asking settles it.
    pub fn take_cut(&self) -> bool {
        self.cut.replace(false)
    }

    /// Lends out what the connection remembers of its affinity.
    pub fn with_session<T>(&self, ask: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session.get();
        let answer = ask(&mut session);
        self.session.set(session);
        answer
    }

    /// Keeps a connection by which its server knows this client, for as long as the client is there, and with it the server:
    /// the messages of one authentication have to reach the same one.
    pub fn keep(&self, upstream: Upstream, server: Option<&ServerEntry>) {
        if let Some(server) = server {
            self.with_session(|session| session.bind(server));
        }
        self.bound.get_or_init(Box::default).put(upstream);
    }

    /// The connection by which this server knows the client, if there is one that can be used.
    pub fn take_bound(&self, wanted: &Wanted<'_>) -> Option<Upstream> {
        let upstream = self.bound.get()?.take(wanted)?;
        self.local.pool.is_ready(&upstream).then_some(upstream)
    }

    /// The task that asks is the one to wake.
    pub fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether it waits for its next request. What is kept for that can be done without.
    fn is_silent(&self) -> bool {
        matches!(self.wait.get(), Wait::Parked | Wait::Idle) && !self.is_branch.get() && !self.expired.get()
    }

    /// The connection's entry at `tick` has come up by `now`.
    fn come_up(&self, tick: Tick, now: Tick) {
        if self.scheduled.get() != tick {
            return;
        }
        let deadline = self.deadline.get();
        if deadline == Tick::NEVER {
            self.scheduled.set(Tick::NEVER);
            return;
        }
        if deadline > now {
            self.scheduled.set(deadline);
            self.local.timers.insert(deadline, self.ticket.get());
            return;
        }
        self.scheduled.set(Tick::NEVER);
        self.expire();
    }

    fn expire(&self) {
        self.expired.set(true);
        self.wake();
    }

    pub fn ticket(&self) -> Ticket {
        self.ticket.get()
    }
}

/// What is left after some rounds goes at once.
const LEAST_SHED: usize = 32;

/// The client connections of one worker.
#[derive(Default)]
pub(super) struct Clients {
    slots: RefCell<Slots>,
    /// Told when the last one leaves.
    pub left: Notify,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    serial: u32,
    client: Option<Rc<Client>>,
}

impl Clients {
    pub fn is_empty(&self) -> bool {
        let slots = self.slots.borrow();
        slots.free.len() == slots.all.len()
    }

    /// Ends what runs at `server`, at once, and what is kept to it.
    pub fn cut(&self, server: ServerId) {
        self.each(|client| {
            if let Some(bound) = client.bound.get() {
                bound.forget(server);
            }
            if client.serving.get() == Some(server) {
                client.cut.set(true);
                client.wake();
            }
        });
    }

    pub fn wake_all(&self) {
        self.each(Client::wake);
    }

    /// Ends the waiting of an eighth of those that wait for nothing but their next request; how many. First those that have
    /// been silent for longest: they are the least likely to be missed, and connections that were opened to be held are
    /// silent from their beginning, while those of people have asked for something lately. One that is not parked yet is
    /// parked by this, and ends in a later round.
    pub fn shed(&self) -> usize {
        let mut silent: Vec<Rc<Client>> =
            self.slots.borrow().all.iter().filter_map(|slot| slot.client.clone()).collect();
        silent.retain(|client| client.is_silent());
        let share = (silent.len() / 8).max(LEAST_SHED).min(silent.len());
        if share > 0 && share < silent.len() {
            silent.select_nth_unstable_by_key(share - 1, |client| client.silent_since.get());
        }
        silent.truncate(share);
        silent.iter().for_each(|client| client.expire());
        share
    }

    /// Ends what this client waits for, as if its time were over.
    pub fn expire(&self, ticket: Ticket) {
        if let Some(client) = self.get(ticket) {
            client.expire();
        }
    }

    /// These entries of a bucket have come up.
    pub fn come_up(&self, tickets: &[Ticket], tick: Tick, now: Tick) {
        for ticket in tickets {
            let client = self.get(*ticket);
            if let Some(client) = client {
                client.come_up(tick, now);
            }
        }
    }

    fn get(&self, ticket: Ticket) -> Option<Rc<Client>> {
        let slots = self.slots.borrow();
        slots.all.get(ticket.place as usize).filter(|slot| slot.serial == ticket.serial)?.client.clone()
    }

    fn each(&self, mut act: impl FnMut(&Client)) {
        for slot in &self.slots.borrow().all {
            if let Some(client) = &slot.client {
                act(client);
            }
        }
    }

    fn enter(&self, client: Rc<Client>) -> Ticket {
        let mut slots = self.slots.borrow_mut();
        let place = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(Slot::default());
            (slots.all.len() - 1) as u32
        });
        let serial = slots.all.get_mut(place as usize).map_or(0, |slot| {
            slot.client = Some(client);
            slot.serial
        });
        Ticket { place, serial }
    }

    fn leave(&self, ticket: Ticket) -> Option<Rc<Client>> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.all.get_mut(ticket.place as usize).filter(|slot| slot.serial == ticket.serial)?;
        slot.serial = slot.serial.wrapping_add(1);
        let client = slot.client.take();
        slots.free.push(ticket.place);
        if slots.free.len() == slots.all.len() {
            self.left.notify_one();
        }
        client
    }
}

/// A connection's place in the registry. Dropping it, for whatever reason, leaves the registry.
#[must_use]
pub(super) struct Registered {
    local: Rc<Local>,
    ticket: Ticket,
}

impl Drop for Registered {
    fn drop(&mut self) {
        drop(self.local.clients.leave(self.ticket));
        self.local.freed();
        if std::thread::panicking() {
            self.local.count(super::shared::Event::Panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, LocalOptions};

    use crate::executor::{ForwardingTable, Lane};

    use super::super::shared::Shared;
    use super::*;

    fn local() -> Rc<Local> {
        Rc::new(Local::new(Shared::new(ForwardingTable::default(), 1), Lane(0)))
    }

    fn register(local: &Rc<Local>) -> (Rc<Client>, Registered) {
        Client::register(local, PortId(0), "192.0.2.1:1024".parse().unwrap())
    }

    #[test]
    fn a_panic_ends_its_connection_only_and_is_counted() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
        let local = local();
        let inside = Rc::clone(&local);
        runtime.block_on(async move {
            let other = register(&inside);
            let (_client, registered) = register(&inside);
            let task = tokio::task::spawn_local(async move {
                let _registered = registered;
                tokio::task::yield_now().await;
                panic!("a mistake of ours, on purpose");
            });
            assert!(task.await.is_err());
            assert!(!inside.clients.is_empty());
            drop(other);
            assert!(inside.clients.is_empty());
        });
        assert_eq!(local.shared.counters().panics, 1);
    }

    #[test]
    fn a_deadline_that_moves_later_keeps_its_entry_and_one_that_moves_sooner_gets_another() {
        let local = local();
        let (client, _registered) = register(&local);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let come_up = |after: Duration| {
            let tick = local.timers.at(now + after);
            while let Some((due, tickets)) = local.timers.take_due(tick) {
                local.clients.come_up(&tickets, due, tick);
            }
            client.take_expired()
        };
        client.arm(Wait::Idle, now, 60 * second);
        client.arm(Wait::Server, now, 90 * second);
        assert!(!come_up(61 * second), "its entry came up, its deadline had moved");
        assert!(come_up(91 * second));
        client.arm(Wait::Idle, now, 200 * second);
        client.arm(Wait::Head, now, 100 * second);
        assert!(come_up(101 * second) && client.wait() == Wait::Head);
        assert!(!come_up(300 * second), "the old entry means nothing");
    }

    #[test]
    fn an_entry_never_meets_the_next_one_in_its_place() {
        let local = local();
        let now = Instant::now();
        let (first, registered) = register(&local);
        first.arm(Wait::Idle, now, Duration::from_secs(1));
        drop((first, registered));
        let (second, _registered) = register(&local);
        second.arm(Wait::Idle, now, Duration::from_secs(9));
        let tick = local.timers.at(now + Duration::from_secs(2));
        while let Some((due, tickets)) = local.timers.take_due(tick) {
            local.clients.come_up(&tickets, due, tick);
        }
        assert!(!second.take_expired());
    }

    #[test]
    fn those_are_shed_who_have_been_silent_for_longest_whatever_they_may_wait_for_still() {
        let local = local();
        let (now, second) = (Instant::now() + Duration::from_secs(100), Duration::from_secs(1));
        let clients: Vec<_> = (0..80).map(|_| register(&local)).collect();
        for (place, (client, _)) in clients.iter().enumerate() {
            match place % 2 {
                0 => client.arm(Wait::Parked, now - 50 * second, 60 * second),
                _ => client.arm(Wait::Idle, now, second),
            }
        }
        assert_eq!(local.clients.shed(), LEAST_SHED);
        let shed: Vec<_> = clients.iter().map(|(client, _)| client.take_expired()).collect();
        assert_eq!(shed.iter().filter(|shed| **shed).count(), LEAST_SHED);
        assert!(shed.iter().skip(1).step_by(2).all(|shed| !shed), "nobody who was heard a moment ago");
    }

    #[test]
    fn only_those_at_the_server_are_cut() {
        let local = local();
        let clients = [register(&local), register(&local), register(&local)];
        clients[0].0.serve_by(Some(ServerId(1)));
        clients[1].0.serve_by(Some(ServerId(2)));
        local.clients.cut(ServerId(1));
        assert_eq!(clients.each_ref().map(|(client, _)| client.take_cut()), [true, false, false]);
    }
}
