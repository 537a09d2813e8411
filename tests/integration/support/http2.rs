//! A client that speaks HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{PATIENCE, Site};

/// One connection, driven by the runtime that it was made on.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    /// How the connection ended.
    pub ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub head: Response<()>,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub fn reason(&self) -> Option<&str> {
        self.head.headers().get("tsuji-error").map(|reason| reason.to_str().unwrap())
    }
}

/// Runs a story on a runtime of its own, within the patience of all tests.
pub fn story<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("in time") })
}

impl Http2 {
    /// With prior knowledge.
    pub async fn plain(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), &h2::client::Builder::new()).await
    }

    /// As agreed on inside TLS.
    pub async fn secure(address: SocketAddr, mut config: ClientConfig, name: &str) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream, &h2::client::Builder::new()).await
    }

    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        builder: &h2::client::Builder,
    ) -> Self {
        let (requests, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
        Self { requests, ended: tokio::spawn(connection) }
    }

    /// Begins a request; its body, if there is one, is the caller's.
    pub async fn begin(&mut self, request: Request<()>, is_whole: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        requests.send_request(request, is_whole).unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(Request::get(format!("https://shop.example{path}")).body(()).unwrap()).await.unwrap()
    }

    /// A request without a body.
    pub async fn ask(&mut self, request: Request<()>) -> Result<Answer, h2::Error> {
        let (response, _) = self.begin(request, true).await;
        whole(response).await
    }

    /// A request with this body.
    pub async fn post(&mut self, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
        let (response, mut stream) = self.begin(request, false).await;
        let sending = async {
            send(&mut stream, body).await;
            let _ = stream.send_data(Bytes::new(), true);
        };
        tokio::join!(sending, whole(response)).1
    }
}

/// Sends as the windows allow; stops without a word when the other side does.
pub async fn send(stream: &mut SendStream<Bytes>, body: &[u8]) {
    let mut left = Bytes::copy_from_slice(body);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(Ok(room)) => {
                let now = left.split_to(room.min(left.len()));
                if stream.send_data(now, false).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

pub async fn whole(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, body) = response.await?.into_parts();
    rest(Response::from_parts(head, ()), body).await
}

pub async fn rest(head: Response<()>, mut body: RecvStream) -> Result<Answer, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await?;
    Ok(Answer { head, body: bytes, trailers })
}

/// Waits for something that is about to be counted.
pub async fn until(site: &Site, holds: impl Fn(&Site) -> bool) {
    while !holds(site) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
