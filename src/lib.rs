//! Tsuji, a layer-4/layer-7 load balancer.

pub mod advisor;
pub mod daemon;
pub mod manager;
pub mod model;
