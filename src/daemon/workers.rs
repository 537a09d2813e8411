//! The proxy's worker threads, as the control thread sees them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use crate::datapath::listen::{BindError, bind_one_more};
use crate::datapath::proxy::{Order, Shared, Worker};
use crate::executor::{ForwardingTable, Lane};
use crate::model::{PortId, ServerId};

use super::chain;

/// All workers, and what is shared with them.
pub struct Workers {
    shared: Arc<Shared>,
    workers: RefCell<Vec<Worker>>,
    /// What every worker listens on, for the one that takes the place of a dead one.
    listening: RefCell<HashMap<PortId, SocketAddr>>,
}

impl Workers {
    /// Starts `count` threads.
    pub fn start(count: usize) -> io::Result<Self> {
        let shared = Shared::new(ForwardingTable::default(), count);
        let workers = (0..count).map(|lane| Worker::spawn(Arc::clone(&shared), Lane(lane)));
        let workers = RefCell::new(workers.collect::<io::Result<_>>()?);
        Ok(Self { shared, workers, listening: RefCell::default() })
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
    pub fn listen(&self, port: PortId, address: SocketAddr, listeners: Vec<TcpListener>) {
        self.listening.borrow_mut().insert(port, address);
        for (worker, listener) in self.workers.borrow().iter().zip(listeners) {
            send(worker, Order::Listen { port, listener });
        }
    }

    pub fn unlisten(&self, port: PortId) {
        self.listening.borrow_mut().remove(&port);
        self.workers.borrow().iter().for_each(|worker| send(worker, Order::Unlisten { port }));
    }

    pub fn cut(&self, server: ServerId) {
        self.workers.borrow().iter().for_each(|worker| send(worker, Order::Cut { server }));
    }

    /// Has each worker close some of its silent clients.
    pub fn shed(&self) {
        self.workers.borrow().iter().for_each(|worker| send(worker, Order::Shed));
    }

    /// Starts a thread anew that has died. Its connections are lost; the other workers and their connections are not.
    pub fn revive(&self) {
        for (lane, worker) in self.workers.borrow_mut().iter_mut().enumerate() {
            if !worker.is_finished() {
                continue;
            }
            tracing::error!("worker {lane} has died and is started again; its connections are lost");
            match self.successor(Lane(lane)) {
                Ok(successor) => std::mem::replace(worker, successor).join(),
                // Tried again with the next look.
                Err(error) => tracing::error!("worker {lane} cannot be started: {}", chain(&error)),
            }
        }
    }

    fn successor(&self, lane: Lane) -> Result<Worker, BindError> {
        let failed = |source| BindError::Other { address: (Ipv4Addr::UNSPECIFIED, 0).into(), source };
        let successor = Worker::spawn(Arc::clone(&self.shared), lane).map_err(failed)?;
        for (&port, &address) in self.listening.borrow().iter() {
            send(&successor, Order::Listen { port, listener: bind_one_more(address)? });
        }
        Ok(successor)
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::datapath::listen::bind;

    #[test]
    fn a_dead_worker_is_started_again_and_listens() {
        let workers = Workers::start(1).unwrap();
        let listeners = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap();
        let address = listeners[0].local_addr().unwrap();
        workers.listen(PortId(0), address, listeners);
        TcpStream::connect(address).unwrap();
        // An order to drain with nothing to wait for ends the thread, as a panic would.
        send(&workers.workers.borrow()[0], Order::Drain { deadline: Instant::now() });
        while !workers.workers.borrow()[0].is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        workers.revive();
        TcpStream::connect(address).unwrap();
        assert!(!workers.workers.borrow()[0].is_finished());
    }
}
