//! Tsuji, a layer-4/layer-7 load balancer.

pub mod config;
pub mod control;
pub mod model;
