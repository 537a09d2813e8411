//! Tsuji, a layer-4/layer-7 load balancer.

pub mod accesslog;
pub mod advisor;
pub mod claim;
pub mod config;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod dispatcher;
pub mod executor;
pub mod high_availability;
pub mod manager;
pub mod message;
pub mod metrics;
pub mod model;
pub mod packet;
pub mod pairing;
pub mod sys;
pub mod tls;
pub mod wire;
