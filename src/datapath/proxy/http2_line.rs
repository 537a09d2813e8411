//! A server in HTTP/2: one connection that carries many requests, and one request's stream on it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::Frame;

use crate::message::ErrorReason;
use crate::message::ResponseLength;
use crate::message::codec::{BadHead, MAX_INTERIM, Read};
use crate::tls::ServerLink;

use super::client::Client;
use super::connecting::{NoConnection, in_time};
use super::line::LineFault;
use super::stream::Stream;

/// One connection to a server, shared by the requests of a worker.
pub(super) struct Trunk {
    pub address: SocketAddr,
    pub link: Option<Arc<ServerLink>>,
    pub born: Instant,
    requests: SendRequest<Bytes>,
    is_open: Rc<Cell<bool>>,
    active: Cell<u32>,
    used: Cell<Instant>,
    /// How long it is kept without a request.
    patience: Duration,
}

/// Requests on one connection, before another is opened: what servers allow, mostly.
const MOST_STREAMS: u32 = 100;

/// A connection is not used longer than this, as in the pool.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Of a response that its client has not taken yet, and of all on one connection.
/// Enough for all of them: clients that take nothing must not keep the others' from coming.
const STREAM_WINDOW: u32 = 128 * 1024;
const WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;

/// Bytes of a response's fields, with 32 for each.
const MOST_FIELDS: u32 = 64 * 1024;

/// Of one request's body, between its client and the server's socket.
const SEND_BUFFER: usize = 64 * 1024;

impl Trunk {
    /// Begins HTTP/2 on a connection, within what is left of the time for it.
    pub async fn open(
        client: &Client,
        address: SocketAddr,
        link: Option<&Arc<ServerLink>>,
        stream: Stream,
        patience: Duration,
    ) -> Result<Rc<Self>, NoConnection> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MOST_FIELDS)
            .max_send_buffer_size(SEND_BUFFER);
        let mut greeting = Box::pin(builder.handshake::<_, Bytes>(stream));
        let failed = |_| NoConnection::Failed(ErrorReason::ServerClosed);
        let greeted = in_time(client, |cx| greeting.as_mut().poll(cx).map_err(failed));
        let (requests, connection) = greeted.await?;
        let is_open = Rc::new(Cell::new(true));
        let ends = Rc::clone(&is_open);
        // It carries the frames of all requests; it ends when the server ends it, or when nobody can use it any more.
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to a server broke");
            }
            ends.set(false);
        });
        let now = Instant::now();
        Ok(Rc::new(Self {
            address,
            link: link.cloned(),
            born: now,
            requests,
            is_open,
            active: Cell::new(0),
            used: Cell::new(now),
            patience,
        }))
    }

    /// Whether it has room for one more request.
    pub fn has_room(&self, now: Instant) -> bool {
        let most = self.requests.current_max_send_streams().min(MOST_STREAMS as usize);
        self.is_open.get() && (self.active.get() as usize) < most && now < self.born + MAX_AGE
    }

    /// Whether it is still worth keeping.
    pub fn is_kept(&self, now: Instant) -> bool {
        self.is_open.get() && (self.active.get() > 0 || (now < self.used.get() + self.patience && self.has_room(now)))
    }

    /// A stream for one request.
    pub fn line(self: &Rc<Self>) -> Http2Line {
        self.active.set(self.active.get() + 1);
        Http2Line {
            trunk: Rc::clone(self),
            requests: self.requests.clone(),
            request: None,
            response: None,
            receive: None,
            send: None,
            out: VecDeque::new(),
            end: None,
            sent: 0,
            received: 0,
            expected: None,
            interim: 0,
        }
    }
}

/// One request and its response.
pub(super) struct Http2Line {
    trunk: Rc<Trunk>,
    requests: SendRequest<Bytes>,
    /// Waits for room on the connection; and whether it has no body.
    request: Option<(Request<()>, bool)>,
    response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    send: Option<SendStream<Bytes>>,
    /// Of the body, handed over and not yet taken. Bounded by its users: one frame.
    out: VecDeque<Bytes>,
    /// What comes behind that.
    end: Option<Option<HeaderMap>>,
    sent: u64,
    received: u64,
    /// What is left of the body's length, if its head said one.
    expected: Option<u64>,
    /// Interim responses so far.
    interim: u32,
}

impl Drop for Http2Line {
    fn drop(&mut self) {
        self.trunk.active.set(self.trunk.active.get() - 1);
        self.trunk.used.set(Instant::now());
    }
}

impl Http2Line {
    /// Nothing of the request is the server's until this is more than 0.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    /// No other request shall be given to this connection.
    pub fn distrust(&self) {
        self.trunk.is_open.set(false);
    }

    /// The body is so long.
    pub fn expect(&mut self, length: ResponseLength) {
        self.expected = match length {
            ResponseLength::None => Some(0),
            ResponseLength::Sized(bytes) => Some(bytes),
            ResponseLength::Chunked | ResponseLength::UntilClose => None,
        };
    }

    /// Hands over a head, written for HTTP/1.1: so it means the same in both.
    pub fn give(&mut self, head: &[u8], has_body: bool) -> io::Result<()> {
        let scheme = if self.trunk.link.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        self.request = Some((restated(head, scheme)?, !has_body));
        Ok(())
    }

    pub fn data(&mut self, bytes: Bytes) {
        self.out.push_back(bytes);
    }

    pub fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.end = Some(trailers);
    }

    /// Hands on what the server's windows have room for.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_begin(cx))?;
        let Some(send) = &mut self.send else { return Poll::Ready(Ok(())) };
        while let Some(first) = self.out.front_mut() {
            if first.is_empty() {
                self.out.pop_front();
                continue;
            }
            send.reserve_capacity(first.len());
            let room = send.capacity().min(first.len());
            if room == 0 {
                match ready!(send.poll_capacity(cx)) {
                    Some(room) => drop(room.map_err(io_error)?),
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
                continue;
            }
            let now = first.split_to(room);
            let is_last = first.is_empty() && self.out.len() == 1 && self.end == Some(None);
            send.send_data(now, is_last).map_err(io_error)?;
            if is_last {
                (self.send, self.end) = (None, None);
                self.out.clear();
                return Poll::Ready(Ok(()));
            }
        }
        if let Some(end) = self.end.take() {
            let ended = match end {
                Some(trailers) => send.send_trailers(trailers),
                None => send.send_data(Bytes::new(), true),
            };
            self.send = None;
            ended.map_err(io_error)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Begins the request as soon as the connection has room.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.request.is_none() {
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = ready!(self.requests.poll_ready(cx)) {
            // Its server takes no more, though what runs there may go on.
            self.distrust();
            return Poll::Ready(Err(io_error(error)));
        }
        let Some((request, is_whole)) = self.request.take() else { return Poll::Ready(Ok(())) };
        let (response, send) = self.requests.send_request(request, is_whole).map_err(io_error)?;
        self.sent += 1;
        self.response = Some(response);
        self.send = (!is_whole).then_some(send);
        Poll::Ready(Ok(()))
    }

    /// The head of the response, interim ones before it.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, LineFault>> {
        if let Poll::Ready(Err(error)) = self.poll_begin(cx) {
            return Poll::Ready(Err(LineFault::Broken(error)));
        }
        let Some(response) = &mut self.response else {
            // It waits for room; or there is none, because its head was no head.
            return if self.request.is_some() { Poll::Pending } else { Poll::Ready(Err(LineFault::Ended)) };
        };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Poll::Ready(Err(LineFault::BadHead(BadHead::TooManyInterim)));
            }
            return Poll::Ready(Ok(Read { head: interim.into_parts().0, reason: None, len: 0 }));
        }
        match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => {
                let (head, receive) = response.into_parts();
                self.received += 1;
                (self.response, self.receive) = (None, Some(receive));
                Poll::Ready(Ok(Read { head, reason: None, len: 0 }))
            }
            Err(error) => {
                // RFC 9113 8.7: the server has done nothing with it.
                if error.is_remote() && (error.reason() == Some(Reason::REFUSED_STREAM) || error.is_go_away()) {
                    self.sent = 0;
                }
                Poll::Ready(Err(LineFault::Broken(io_error(error))))
            }
        }
    }

    /// Bytes of the body that are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        if self.is_over() { Some(0) } else { self.expected }
    }

    /// The server has ended its stream. Until then trailers may come, however long the head said the body to be.
    pub fn is_over(&self) -> bool {
        self.receive.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    /// The next piece of the body, and its trailers.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, LineFault>>> {
        let broken = |error| Poll::Ready(Some(Err(LineFault::Broken(io_error(error)))));
        let Some(receive) = &mut self.receive else { return Poll::Ready(None) };
        match ready!(receive.poll_data(cx)) {
            Some(Ok(bytes)) => {
                // The server may send as much again: a piece is asked for only when the client has taken the one before.
                if let Err(error) = receive.flow_control().release_capacity(bytes.len()) {
                    return broken(error);
                }
                self.received += bytes.len() as u64;
                // `h2` sees to it that there are no more.
                self.expected = self.expected.map(|left| left.saturating_sub(bytes.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Some(Err(error)) => return broken(error),
            None => {}
        }
        let trailers = ready!(receive.poll_trailers(cx));
        self.receive = None;
        match trailers {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => broken(error),
        }
    }
}

fn io_error(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

/// A head of HTTP/1.1 in the words of HTTP/2: without what concerns a connection (RFC 9113 8.2.2), the host as authority.
fn restated(head: &[u8], scheme: Scheme) -> io::Result<Request<()>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let mut room = [httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Request::new(&mut room);
    let status = parsed.parse(head).map_err(|error| wrong(&error.to_string()))?;
    let (Some(method), Some(target), true) = (parsed.method, parsed.path, status.is_complete()) else {
        return Err(wrong("the head is not whole"));
    };
    let mut fields = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(io::Error::other)?;
        fields.append(name, HeaderValue::from_bytes(field.value).map_err(io::Error::other)?);
    }
    let host = fields.remove(HOST).ok_or_else(|| wrong("the head names no host"))?;
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        fields.remove(name);
    }
    let uri = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(target);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(io::Error::other)?;
    *request.uri_mut() = uri.build().map_err(io::Error::other)?;
    *request.headers_mut() = fields;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_in_the_words_of_http2() {
        let head = b"POST /a?b HTTP/1.1\r\nhost: shop.example:81\r\nconnection: te\r\nte: trailers\r\n\
                     transfer-encoding: chunked\r\nx: 1\r\nx: 2\r\n\r\n";
        let request = restated(head, Scheme::HTTPS).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, "https://shop.example:81/a?b".into())
        );
        let mut names: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        names.sort_by_key(|(name, _)| *name);
        assert_eq!(names, [("te", &b"trailers"[..]), ("x", b"1"), ("x", b"2")]);
        assert!(restated(b"GET / HTTP/1.1\r\n\r\n", Scheme::HTTP).is_err(), "no host");
    }
}
