//! A request's body, as the client's protocol brings it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

pub(super) enum RequestBody {
    /// There is none.
    None,
    Http1(Incoming),
    Http2(RecvStream),
}

/// The client broke its body off, or said something that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBody {
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BadBody;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        match self.get_mut() {
            Self::None => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(BadBody::from),
            Self::Http2(body) => poll_stream(body, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(_) => SizeHint::default(),
        }
    }
}

fn poll_stream(body: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
    match ready!(body.poll_data(cx)) {
        Some(Ok(bytes)) => {
            // The client may send as much again: a piece is asked for only when the one before has left for the server.
            let released = body.flow_control().release_capacity(bytes.len());
            Poll::Ready(Some(released.map(|()| Frame::data(bytes)).map_err(BadBody::from)))
        }
        Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
        None => match ready!(body.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        },
    }
}
