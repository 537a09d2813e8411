//! The page for Prometheus and for health checks of the dispatcher itself.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use crate::metrics::{self, Reading};

/// Readers at one time: a scraper or two, a health checker, a curious operator. More wait in the accept queue.
const READERS: usize = 32;
/// A reader that sends nothing, or reads nothing, is gone after this.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause after a failed accept, so that used-up file descriptors do not make the control thread spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the page shows.
pub trait Source {
    /// What the metrics are made from now.
    fn reading(&self) -> Reading;
    /// Whether this dispatcher should get traffic; the text says why not.
    fn health(&self) -> Result<(), &'static str>;
}

/// Serves the page on a bound socket until it is dropped.
pub async fn serve(listener: TcpListener, source: Rc<dyn Source>) {
    let readers = Arc::new(Semaphore::new(READERS));
    // The semaphore is never closed, so a place comes sooner or later.
    while let Ok(place) = Arc::clone(&readers).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let source = Rc::clone(&source);
                spawn_local(async move {
                    let _ = tokio::time::timeout(READER_PATIENCE, answer(stream, source)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("metrics page: cannot accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Binds the page's address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn answer(stream: TcpStream, source: Rc<dyn Source>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let source = Rc::clone(&source);
        async move { Ok::<_, Infallible>(respond(request.method(), request.uri().path(), source.as_ref()).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(READER_PATIENCE).max_buf_size(16 * 1024);
    // A reader that goes away in the middle harms only itself.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(method: &Method, path: &str, source: &dyn Source) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, text_of(source.reading()).await),
        "/healthz" => match source.health() {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        "/" => text(StatusCode::OK, "Tsuji. Metrics are at /metrics, health is at /healthz.\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n"),
    }
}

/// Ten thousand servers make a page of tenths of a second; the control thread does not wait for it.
async fn text_of(reading: Reading) -> Vec<u8> {
    let encoded = tokio::task::spawn_blocking(move || metrics::encode(&reading)).await;
    encoded.expect("encoding a page does not panic")
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", Vec::from(body))
}

fn page(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
