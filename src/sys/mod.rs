//! What needs the system below the standard library: the only room with `unsafe`.
//!
//! Each file wraps one thing of the kernel's or of a C library's so that its callers cannot use it wrongly. Nothing is
//! decided here.

pub mod datapath_layout;
pub mod memory;
pub mod packet_socket;
pub mod priority;
pub mod rights;
pub mod shared_array;
