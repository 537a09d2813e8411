//! The lower halves that carry traffic.
//!
//! [`listen`] opens the sockets where clients come in, [`proxy`] carries `http` and `tcp` from there to the servers. Who
//! the server is, is the executor's choice; what a head may say, is the message room's; when weights or health change,
//! this room only sees the next table; [`xdp`] rewrites the frames of `mac` ports in the kernel; records of access logs leave by [`record_queue`]. No configuration is read here and
//! no server is probed.

mod coarse_clock;
pub mod listen;
pub mod packet_socket;
pub mod proxy;
pub mod record_queue;
pub mod xdp;
