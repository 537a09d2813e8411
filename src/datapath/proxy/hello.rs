//! A client's first message in TLS, before anybody takes it apart.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::message::client_hello::MAX_BYTES;

use super::client::Client;

/// Reads once, and appends what came to `read`; 0: the client has ended. Nothing is reserved for what does not come. Of
/// [`MAX_BYTES`] it is always known what they are, so whoever asks for more has room for it.
pub(super) fn poll_more(
    client: &Client,
    stream: &TcpStream,
    read: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scratch = client.local.scratch.borrow_mut();
    let room = scratch.len().min(MAX_BYTES.saturating_sub(read.len()));
    let room = scratch.get_mut(..room).unwrap_or_default();
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
            Ok(length) => {
                read.extend_from_slice(room.get(..length).unwrap_or_default());
                return Poll::Ready(Ok(length));
            }
        }
    }
}
