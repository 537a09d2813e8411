//! One request and its answer, over TCP or TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::failure::Failure;
use crate::advisor::ProbeOrder;
use crate::advisor::dialogue::{Progress, Response};

/// Sends the order's request and reads until the answer is judged.
pub(super) async fn exchange<S>(stream: &mut S, order: &ProbeOrder) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut response = Response::new(&order.request, &order.expected);
    // A server may answer and close without having read all of the request, so that sending fails while a good answer
    // waits to be read. What became of sending shows in reading, so its own error decides nothing.
    send(stream, &order.request).await.ok();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) => return response.end().map_err(Failure::Bad),
            Ok(read) => read,
            Err(error) => return Err(ended(&error, &response)),
        };
        if let Progress::Done(verdict) = response.take(buffer.get(..read).unwrap_or_default()) {
            return verdict.map_err(Failure::Bad);
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, request: &[u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await
}

/// What an error while reading means. A TLS alert that comes after the handshake (a client certificate was wanted) and
/// a broken record are invalid data; all else ends the answer where it stands, as a close does.
fn ended(error: &io::Error, response: &Response) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        return Failure::to_secure(error);
    }
    match response.end() {
        Err(reason) => Failure::Bad(reason),
        // `end` never calls a response good; if it once did, the connection still broke before the verdict.
        Ok(()) => Failure::Bad(crate::model::DownReason::ClosedEarly),
    }
}

/// A health page fits; a longer answer takes several reads.
const READ_SIZE: usize = 4096;
