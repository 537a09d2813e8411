//! The edge: threads, tasks, sockets, files and signals around the heart.
//!
//! One control thread drives the dispatcher, answers commands, serves metrics and carries out probes; the
//! proxy's workers are threads of their own; a third kind writes files, so that a hanging disk holds up nobody.
//! Nothing is decided here.

pub mod probe;
pub mod sorry;
