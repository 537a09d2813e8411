//! Tasks, threads, timers, files, sockets and signals: what drives the heart.

pub mod sorry;
