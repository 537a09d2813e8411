//! The proxy's worker threads, as the control thread sees them.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use crate::datapath::proxy::{Order, Shared, Worker};
use crate::executor::{ForwardingTable, Lane};
use crate::model::{PortId, ServerId};

/// All workers, and what is shared with them.
pub struct Workers {
    shared: Arc<Shared>,
    workers: RefCell<Vec<Worker>>,
}

impl Workers {
    /// Starts `count` threads.
    pub fn start(count: usize) -> io::Result<Self> {
        let shared = Shared::new(ForwardingTable::default(), count);
        let workers = (0..count).map(|lane| Worker::spawn(Arc::clone(&shared), Lane(lane)));
        let workers = RefCell::new(workers.collect::<io::Result<_>>()?);
        Ok(Self { shared, workers })
    }

    pub fn count(&self) -> usize {
        self.workers.borrow().len()
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Every request that begins after this returns is decided by this table.
    pub fn publish(&self, table: Arc<ForwardingTable>) {
        self.shared.publish(table);
    }

    /// One socket for each worker.
    pub fn listen(&self, port: PortId, listeners: Vec<TcpListener>) {
        for (worker, listener) in self.workers.borrow().iter().zip(listeners) {
            send(worker, Order::Listen { port, listener });
        }
    }

    pub fn unlisten(&self, port: PortId) {
        self.workers.borrow().iter().for_each(|worker| send(worker, Order::Unlisten { port }));
    }

    pub fn cut(&self, server: ServerId) {
        self.workers.borrow().iter().for_each(|worker| send(worker, Order::Cut { server }));
    }

    /// Lets what runs come to its end, until `deadline`; waits for it off the control thread.
    pub async fn drain(&self, deadline: Instant) {
        let workers = std::mem::take(&mut *self.workers.borrow_mut());
        workers.iter().for_each(|worker| send(worker, Order::Drain { deadline }));
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(Worker::join)).await;
        if let Err(error) = joined {
            tracing::error!("a worker did not end well: {error}");
        }
    }
}

fn send(worker: &Worker, order: Order) {
    if let Err(error) = worker.send(order) {
        tracing::error!("{error}");
    }
}
