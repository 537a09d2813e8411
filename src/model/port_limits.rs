//! What the clients of a port may ask of it.

use std::time::Duration;

/// Bounds on clients; beyond each is an [`crate::message::ErrorReason`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortLimits {
    /// Bytes of a request's head in HTTP/1.1.
    pub head: usize,
    /// Bytes a second that a request's body must bring; 0: any.
    pub body_rate: u32,
    /// Of the time that a body is waited for so much is not counted: a client may have to find its file, a network to wake up.
    pub body_grace: Duration,
    /// Connections of one client address; 0: no bound.
    pub per_client: u32,
    pub http2: Http2Limits,
}

/// Bounds on one HTTP/2 connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Http2Limits {
    /// Requests at a time.
    pub streams: u32,
    /// Bytes of a request's fields, with 32 for each (RFC 9113 6.5.2). A client is told before it sends any.
    pub fields: u32,
    /// Bytes of one request's body that wait for a server; of all together it is twice that.
    pub window: u32,
    /// Resets in 10 s.
    pub resets: u32,
    /// Pings in 10 s.
    pub pings: u32,
    /// Percent of the usual number of all other frames.
    pub frames: u32,
    /// Between its requests.
    pub idle: Duration,
}

impl PortLimits {
    pub const PRESET: Self = Self {
        head: 32 * KIB,
        body_rate: 500,
        body_grace: Duration::from_secs(10),
        per_client: 0,
        http2: Http2Limits::PRESET,
    };
}

impl Http2Limits {
    pub const PRESET: Self = Self {
        streams: 128,
        fields: 32 * 1024,
        window: 256 * 1024,
        resets: 100,
        pings: 100,
        frames: 100,
        idle: Duration::from_secs(120),
    };
}

const KIB: usize = 1024;
