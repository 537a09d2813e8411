//! Connections on their way from the worker that accepted them to the one that serves them.
//!
//! A process with one worker has none of this: no counts, no queues.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::executor::Lane;
use crate::model::PortId;

use super::accept::admit;
use super::balance;
use super::local::Local;
use super::shared::{Event, Padded, Shared};

/// What workers know of each other.
#[derive(Debug)]
pub(super) struct Floor(Box<[Padded<Place>]>);

/// One worker.
#[derive(Debug, Default)]
struct Place {
    /// Client connections that it serves or has been given.
    open: AtomicU64,
    /// Where others leave what it shall serve. That of a worker that has ended takes nothing, until its successor brings
    /// its own.
    intake: ArcSwapOption<mpsc::Sender<Handed>>,
}

/// A connection that waits for its worker.
#[derive(Debug)]
pub(super) struct Handed {
    port: PortId,
    stream: std::net::TcpStream,
    peer: SocketAddr,
    _seat: Seat,
}

/// Has a connection counted where it is going from the moment at which it is given away: of a burst, each next decision
/// must know of all before it. Dropping it, when the worker has admitted the connection or died, takes the count back.
#[derive(Debug)]
struct Seat {
    shared: Arc<Shared>,
    lane: Lane,
}

/// As many as one worker may give away at once. A worker that leaves more unread is busier than the count of its
/// connections says, and should not be given more.
const INTAKE: usize = 256;

impl Floor {
    pub fn new(lanes: usize) -> Self {
        let places = if lanes > 1 { lanes } else { 0 };
        Self((0..places).map(|_| Padded::default()).collect())
    }

    /// The queue of a worker that begins. `None`: it is the only one.
    pub fn open_intake(&self, lane: Lane) -> Option<mpsc::Receiver<Handed>> {
        let place = self.place(lane)?;
        let (sender, receiver) = mpsc::channel(INTAKE);
        place.intake.store(Some(Arc::new(sender)));
        Some(receiver)
    }

    /// One more connection is this worker's.
    pub fn enter(&self, lane: Lane) {
        if let Some(place) = self.place(lane) {
            place.open.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn leave(&self, lane: Lane) {
        if let Some(place) = self.place(lane) {
            place.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Client connections of each worker.
    pub fn open(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|place| place.0.open.load(Ordering::Relaxed))
    }

    /// Whether this worker may have more than its share of all `connections` of the process. The counts of the others are
    /// in their caches; this one is in the asker's soon anyway and lacks only what waits in an intake, so that most
    /// questions end here.
    fn may_be_over(&self, this: Lane, connections: u64) -> bool {
        let mine = self.place(this).map(|place| place.open.load(Ordering::Relaxed));
        mine.is_some_and(|mine| balance::is_over(mine, connections, self.0.len()))
    }

    /// Who shall take the next connection in this worker's place.
    fn taker(&self, this: Lane) -> Option<Lane> {
        let all = self.0.iter().map(|place| &place.0).enumerate();
        let takers = all.filter(|&(lane, place)| lane == this.0 || place.takes());
        balance::taker(this.0, takers.map(|(lane, place)| (lane, place.open.load(Ordering::Relaxed)))).map(Lane)
    }

    fn place(&self, lane: Lane) -> Option<&Place> {
        self.0.get(lane.0).map(|place| &place.0)
    }
}

impl Place {
    /// Whether its worker is there and not ending.
    fn takes(&self) -> bool {
        self.intake.load().as_ref().is_some_and(|intake| !intake.is_closed())
    }
}

impl Seat {
    fn take(shared: &Arc<Shared>, lane: Lane) -> Self {
        shared.floor.enter(lane);
        Self { shared: Arc::clone(shared), lane }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.floor.leave(self.lane);
    }
}

/// Serves a connection here or gives it to a worker that has fewer.
pub(super) fn admit_or_give(local: &Rc<Local>, port: PortId, stream: TcpStream, peer: SocketAddr) {
    match taker(local) {
        Some(taker) => give(local, port, stream, peer, taker),
        None => admit(local, port, stream, peer),
    }
}

/// The worker that shall have the next connection in this one's place, if it may be given away at all.
fn taker(local: &Local) -> Option<Lane> {
    // A worker that ends has its clients served where they came: the others are ending too.
    if !local.shared.floor.may_be_over(local.lane, local.shared.connections()) || local.draining.get() {
        return None;
    }
    if !local.handovers.is_left(Instant::now()) {
        local.count(Event::HandoverForgone);
        return None;
    }
    local.shared.floor.taker(local.lane)
}

fn give(local: &Rc<Local>, port: PortId, stream: TcpStream, peer: SocketAddr, taker: Lane) {
    let intake = local.shared.floor.place(taker).and_then(|place| place.intake.load_full());
    // A place in the queue comes first: a connection that was refused would have to be taken back.
    let Some(permit) = intake.as_deref().and_then(|intake| intake.try_reserve().ok()) else {
        local.count(Event::HandoverRefused);
        return admit(local, port, stream, peer);
    };
    // It leaves this event loop, which costs two system calls. To accept it outside of the loop in the first place would
    // save them, but tokio offers that for its own listeners not at all and for others only as `unsafe`.
    match stream.into_std() {
        Ok(stream) => {
            permit.send(Handed { port, stream, peer, _seat: Seat::take(&local.shared, taker) });
            local.handovers.take(Instant::now());
            local.count(Event::Handover);
        }
        Err(error) => tracing::warn!(%error, "a connection that was to be given to another worker is lost"),
    }
}

/// Serves what others give, until it is told to stop, and then what was given before.
pub(super) async fn take_in(local: Rc<Local>, mut intake: mpsc::Receiver<Handed>, stop: Rc<Notify>) {
    loop {
        tokio::select! {
            Some(handed) = intake.recv() => take(&local, handed),
            () = stop.notified() => break,
        }
    }
    // From here on others keep what they have. This ends when nobody is left in the middle of giving.
    intake.close();
    while let Some(handed) = intake.recv().await {
        take(&local, handed);
    }
}

fn take(local: &Rc<Local>, handed: Handed) {
    match TcpStream::from_std(handed.stream) {
        Ok(stream) => admit(local, handed.port, stream, handed.peer),
        Err(error) => tracing::warn!(%error, "a connection that another worker gave is lost"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::runtime::{Builder, LocalOptions};

    use crate::executor::ForwardingTable;

    use super::*;

    /// Two workers of which the first has one connection too many.
    struct Pair {
        shared: Arc<Shared>,
        local: Rc<Local>,
        listener: TcpListener,
    }

    impl Pair {
        fn new() -> Self {
            let shared = Shared::new(ForwardingTable::default(), 2);
            shared.floor.enter(Lane(0));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            Self { local: Rc::new(Local::new(Arc::clone(&shared), Lane(0))), shared, listener }
        }

        /// A connection comes to the first worker. Nobody listens for its port, so who serves it hangs up.
        fn comes(&self) -> std::net::TcpStream {
            let client = std::net::TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            let (stream, peer) = self.listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            admit_or_give(&self.local, PortId(0), TcpStream::from_std(stream).unwrap(), peer);
            client
        }

        fn open(&self) -> Vec<u64> {
            self.shared.floor.open().collect()
        }

        fn counts(&self) -> [u64; 3] {
            let counters = self.shared.counters();
            [counters.handovers, counters.handovers_forgone, counters.handovers_refused]
        }
    }

    fn run(story: impl Future<Output = ()>) {
        Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap().block_on(story);
    }

    #[test]
    fn one_worker_has_nothing_of_it() {
        let floor = Floor::new(1);
        assert!(
            floor.open_intake(Lane(0)).is_none() && !floor.may_be_over(Lane(0), 0) && floor.taker(Lane(0)).is_none()
        );
        floor.enter(Lane(0));
        floor.leave(Lane(0));
        assert_eq!(floor.open().count(), 0);
    }

    #[test]
    fn what_is_given_is_counted_at_once_and_given_back_with_its_queue() {
        run(async {
            let pair = Pair::new();
            let intake = pair.shared.floor.open_intake(Lane(1));
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 1], [1, 0, 0]));
            let _client = pair.comes();
            assert_eq!(pair.counts(), [1, 0, 0], "now they are even");
            drop(intake);
            assert_eq!(pair.open(), [1, 0], "the worker died with its queue");
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 0], [1, 0, 0]), "it takes nothing");
            let _intake = pair.shared.floor.open_intake(Lane(1));
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 1], [2, 0, 0]), "its successor does");
        });
    }

    #[test]
    fn a_full_queue_leaves_connections_where_they_came_in() {
        run(async {
            let pair = Pair::new();
            let intake = pair.shared.floor.open_intake(Lane(1)).unwrap();
            (0..1000).for_each(|_| pair.shared.floor.enter(Lane(0)));
            let clients: Vec<_> = (0..INTAKE + 2).map(|_| pair.comes()).collect();
            assert_eq!((pair.open()[1], pair.counts()), (INTAKE as u64, [INTAKE as u64, 0, 2]));
            drop((intake, clients));
        });
    }

    #[test]
    fn more_than_the_allowance_is_forgone() {
        run(async {
            let pair = Pair::new();
            let _intake = pair.shared.floor.open_intake(Lane(1)).unwrap();
            // Moments that are yet to come are used up, so that no pause of this test brings one back.
            let later = Instant::now() + std::time::Duration::from_secs(3600);
            while pair.local.handovers.is_left(later) {
                pair.local.handovers.take(later);
            }
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 0], [0, 1, 0]));
        });
    }

    #[test]
    fn a_worker_that_stops_empties_its_queue_and_is_given_no_more() {
        run(async {
            let pair = Pair::new();
            let intake = pair.shared.floor.open_intake(Lane(1)).unwrap();
            let _client = pair.comes();
            let stop = Rc::new(Notify::new());
            stop.notify_one();
            let other = Rc::new(Local::new(Arc::clone(&pair.shared), Lane(1)));
            take_in(other, intake, stop).await;
            assert_eq!(pair.open(), [1, 0]);
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 0], [1, 0, 0]));
        });
    }

    #[test]
    fn a_worker_that_ends_keeps_what_it_accepts() {
        run(async {
            let pair = Pair::new();
            let _intake = pair.shared.floor.open_intake(Lane(1));
            pair.local.draining.set(true);
            let _client = pair.comes();
            assert_eq!((pair.open(), pair.counts()), (vec![1, 0], [0, 0, 0]));
        });
    }
}
