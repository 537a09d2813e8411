//! Methods `http` and `tcp`.

mod access_log;
mod balance;
mod basics;
mod bodies;
mod broken_clients;
mod broken_servers;
mod bulk;
mod choosing;
mod crowd;
mod failover;
mod http2;
mod identity;
mod limits;
mod one_meaning;
mod operations;
mod parking;
mod proxy_protocol_in;
mod proxy_protocol_out;
mod routes;
mod sessions;
mod takeover;
mod tcp;
mod tls;
mod tls_servers;
mod tunnels;
