//! Tasks, timers and sockets: the edge that carries out what the pure rooms decide.

pub mod probe;
