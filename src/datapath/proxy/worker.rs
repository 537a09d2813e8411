//! One worker: its thread, its event loop, and the orders that it takes.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};

use crate::executor::Lane;
use crate::model::{MAX_PORTS, PortId, ServerId};
use crate::sys::{memory, rights};

use super::accept::accept;
use super::intake::{Handed, take_in};
use super::local::Local;
use super::shared::{Event, Shared};

/// One worker thread. Dropping it ends the thread and cuts what runs there; [`Order::Drain`] and [`Worker::join`] end it
/// gently.
#[derive(Debug)]
pub struct Worker {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Order {
    /// Take connections for this port. The listener is nonblocking and bound, and this worker's own.
    Listen { port: PortId, listener: std::net::TcpListener },
    /// Take the connections that wait already, then close the port's listeners. Running connections go on.
    Unlisten { port: PortId },
    /// End what runs at this server, at once. The table in which it takes nothing has been published before.
    Cut { server: ServerId },
    /// Close some of the clients that are silent: memory is short.
    Shed,
    /// Take no new connections, answer what runs with `Connection: close`, close clients that wait, and end when nothing
    /// runs or at the deadline.
    Drain { deadline: Instant },
}

/// The worker's thread has ended, or has not looked at its orders for so long that it might as well have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the worker takes no orders any more")]
pub struct WorkerGone;

/// A configuration that replaces every port is two orders for each, and a server may be cut meanwhile. A worker that leaves
/// more than that unread hangs.
const ORDERS: usize = 3 * MAX_PORTS;

impl Worker {
    /// Starts a worker that counts in `lane`.
    pub fn spawn(shared: Arc<Shared>, lane: Lane) -> io::Result<Self> {
        // One scheduler for tasks that stay on their thread: a LocalSet on top of a runtime would be two.
        let (orders, inbox) = mpsc::channel(ORDERS);
        let (began, begun) = std::sync::mpsc::sync_channel(1);
        let intake = shared.floor.open_intake(lane);
        let name = format!("tsuji-worker-{}", lane.0);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            // Who speaks with clients needs no right of root's, and sockets to listen on come from elsewhere.
            if let Err(error) = rights::keep_none_but_roots() {
                tracing::warn!("a worker keeps capabilities that it does not need: {error}");
            }
            let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    let _told = began.send(Ok(()));
                    runtime.block_on(work(Rc::new(Local::new(shared, lane)), inbox, intake));
                }
                Err(error) => {
                    let _told = began.send(Err(error));
                }
            }
        })?;
        begun.recv().unwrap_or_else(|_| Err(io::Error::other("the worker's thread ended at once")))?;
        Ok(Self { orders, thread })
    }

    /// Hands an order over; does not wait for it to be carried out.
    pub fn send(&self, order: Order) -> Result<(), WorkerGone> {
        self.orders.try_send(order).map_err(|_| WorkerGone)
    }

    /// Whether the thread has ended, by order or by a panic.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread to end: after a drain when that is over, otherwise at once.
    pub fn join(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("a worker ended by a panic");
        }
    }
}

async fn work(local: Rc<Local>, mut inbox: mpsc::Receiver<Order>, intake: Option<mpsc::Receiver<Handed>>) {
    let mut listeners =
        Listeners { intake: intake.map(|intake| Accepting::from_others(&local, intake)), ..Listeners::default() };
    tokio::task::spawn_local(Rc::clone(&local).tick());
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Listen { port, listener } => listeners.open(&local, port, listener),
            Order::Unlisten { port } => listeners.close(port),
            Order::Cut { server } => cut(&local, server),
            Order::Shed => shed(&local),
            Order::Drain { deadline } => {
                local.draining.set(true);
                listeners.close_all().await;
                return drain(&local, deadline, inbox).await;
            }
        }
    }
}

fn cut(local: &Local, server: ServerId) {
    local.pool.forget(server);
    local.clients.cut(server);
}

fn shed(local: &Local) {
    for _ in 0..local.clients.shed() {
        local.count(Event::Shed);
    }
    memory::give_back();
}

async fn drain(local: &Local, deadline: Instant, mut inbox: mpsc::Receiver<Order>) {
    local.clients.wake_all();
    let mut is_open = true;
    while !local.clients.is_empty() {
        tokio::select! {
            () = local.clients.left.notified() => {}
            () = tokio::time::sleep_until(deadline.into()) => return,
            order = inbox.recv(), if is_open => match order {
                Some(Order::Cut { server }) => cut(local, server),
                Some(_) => {}
                None => is_open = false,
            },
        }
    }
}

/// The accepting tasks.
#[derive(Default)]
struct Listeners {
    ports: HashMap<PortId, Vec<Accepting>>,
    /// Takes what other workers accepted.
    intake: Option<Accepting>,
}

struct Accepting {
    stop: Rc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Accepting {
    fn from_clients(local: &Rc<Local>, port: PortId, listener: TcpListener) -> Self {
        let stop = Rc::new(Notify::new());
        let task = tokio::task::spawn_local(accept(Rc::clone(local), port, listener, Rc::clone(&stop)));
        Self { stop, task }
    }

    fn from_others(local: &Rc<Local>, intake: mpsc::Receiver<Handed>) -> Self {
        let stop = Rc::new(Notify::new());
        let task = tokio::task::spawn_local(take_in(Rc::clone(local), intake, Rc::clone(&stop)));
        Self { stop, task }
    }
}

impl Listeners {
    fn open(&mut self, local: &Rc<Local>, port: PortId, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%port, %error, "cannot listen"),
        };
        self.ports.entry(port).or_default().push(Accepting::from_clients(local, port, listener));
    }

    fn close(&mut self, port: PortId) {
        for accepting in self.ports.remove(&port).unwrap_or_default() {
            accepting.stop.notify_one();
        }
    }

    /// Returns when the last connection is taken that waited to be.
    async fn close_all(&mut self) {
        let ports = self.ports.drain().flat_map(|(_, accepting)| accepting);
        let all: Vec<Accepting> = ports.chain(self.intake.take()).collect();
        for accepting in &all {
            accepting.stop.notify_one();
        }
        for accepting in all {
            if accepting.task.await.is_err() {
                tracing::error!("an accepting task ended by a panic");
            }
        }
    }
}
