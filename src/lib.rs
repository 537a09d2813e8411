//! Tsuji, a layer-4/layer-7 load balancer.

pub mod daemon;
pub mod datapath;
pub mod executor;
pub mod message;
pub mod model;
