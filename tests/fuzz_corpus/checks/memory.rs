//! HTTP connections of hyper's in memory, without a runtime.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// What a server of hyper's made of some bytes.
pub struct Served {
    /// Each with its body, if that came to its end.
    pub requests: Vec<(request::Parts, Option<Bytes>)>,
    pub answer: Vec<u8>,
}

/// Bytes that fit into the pipe in each direction: more than the answers to an input of nothing but requests.
const PIPE: usize = 8 << 20;

/// Has hyper read `raw`, as the proxy has it read what clients send, and answer each request with what `answer` makes.
pub fn served(raw: &[u8], answer: impl Fn() -> Response<Full<Bytes>>) -> Served {
    let requests = RefCell::new(Vec::new());
    let answer = finish(async {
        let (mut client, server) = duplex(PIPE);
        client.write_all(raw).await.expect("the pipe takes it");
        client.shutdown().await.expect("the pipe can be shut");
        let service = service_fn(|request: Request<Incoming>| {
            let (requests, response) = (&requests, answer());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).ok();
                requests.borrow_mut().push((head, body));
                Ok::<_, Infallible>(response)
            }
        });
        let connection = Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
        let _fault_of_the_client = connection.await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("the pipe can be read");
        answer
    });
    Served { requests: requests.into_inner(), answer }
}

/// Everything is in memory, so whoever is asked often enough has an answer.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut ask = || match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    };
    (0..1_000_000).find_map(|_| ask()).expect("nothing in memory is waited for")
}
