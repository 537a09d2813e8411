//! Methods `http` and `tcp`.

mod basics;
mod bodies;
mod broken_clients;
mod broken_servers;
mod bulk;
mod choosing;
mod crowd;
mod identity;
mod limits;
mod operations;
mod tcp;
mod tunnels;
