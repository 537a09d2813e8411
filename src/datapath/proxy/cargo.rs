//! A request that is ready for a server.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::upload::{Gate, RequestBody};

/// A request that wants to be sent.
pub(super) enum Cargo {
    /// As often as necessary.
    Replayable(Parts),
    /// Once, unless it comes back unsent.
    Once { request: Option<Request<RequestBody>>, gate: Option<Arc<Gate>> },
}

impl Cargo {
    /// `gate` holds the body back until the server asks for it.
    pub fn once(head: Parts, body: RequestBody, gate: Option<Arc<Gate>>) -> Self {
        let mut request = Request::from_parts(head, body);
        if let Some(gate) = &gate {
            let gate = Arc::clone(gate);
            hyper::ext::on_informational(&mut request, move |interim| {
                if interim.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        Self::Once { request: Some(request), gate }
    }

    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Once { request: None, .. })
    }

    /// The client's body, if nobody has begun to send it.
    pub fn take_untouched(&mut self) -> Option<Incoming> {
        match self {
            // To ask for the body would tell the client to send it.
            Self::Replayable(_) | Self::Once { gate: Some(_), .. } => None,
            Self::Once { request, .. } => request.take()?.into_body().into_incoming(),
        }
    }

    pub fn take(&mut self) -> Option<Request<RequestBody>> {
        match self {
            Self::Replayable(head) => Some(Request::from_parts(head.clone(), RequestBody::none())),
            Self::Once { request, .. } => request.take(),
        }
    }

    pub fn came_back(&mut self, unsent: Request<RequestBody>) {
        if let Self::Once { request, .. } = self {
            *request = Some(unsent);
        }
    }

    pub fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Replayable(_) => None,
            Self::Once { gate, .. } => gate.as_deref(),
        }
    }
}
