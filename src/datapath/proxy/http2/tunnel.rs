//! Tunnels: extended CONNECT from the client (RFC 8441), an upgrade of HTTP/1.1 towards the server.

use std::time::Instant;

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode};

use crate::message::{ErrorReason, Upgrade, restate_connect, say_key, take_accept};

use super::super::answer;
use super::super::download::ResponseBody;
use super::super::relay;
use super::super::request_body::RequestBody;
use super::super::respond::refuse;
use super::super::stream::Stream;
use super::super::upstream::Rest;
use super::Duplex;
use super::stream::{Cut, Sending};

/// What a request for a tunnel asks for; `None`: it is an ordinary one.
pub(super) fn protocol_of(request: &Request<RecvStream>) -> Option<Protocol> {
    if request.method() == Method::CONNECT { request.extensions().get::<Protocol>().cloned() } else { None }
}

impl Sending<'_> {
    /// Carries a tunnel until it ends.
    pub async fn tunnel(
        &self,
        request: Request<RecvStream>,
        protocol: &Protocol,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Cut> {
        let port = &self.state.port;
        if !Upgrade::allows(&port.settings.upgrade, protocol.as_str()) {
            port.counters.count_request(self.state.client.local.lane);
            self.state.client.log_request(port, Instant::now(), &request);
            let refused = refuse(self.state, port, Instant::now(), &Method::GET, ErrorReason::MethodConnect);
            return self.pass(refused, false, respond).await;
        }
        let (mut head, receive) = request.into_parts();
        let nonce = nonce()?;
        restate_connect(&mut head, protocol.as_str());
        say_key(&mut head.headers, nonce);
        let mut response = self.respond(Request::from_parts(head, RequestBody::None), respond).await?;
        let tunnel = self.state.take_tunnel();
        let is_websocket = protocol.as_str().eq_ignore_ascii_case("websocket");
        match tunnel {
            Some(tunnel) if take_accept(response.headers_mut(), nonce) || !is_websocket => {
                let (mut head, _) = response.into_parts();
                head.status = StatusCode::OK;
                head.headers.remove(UPGRADE);
                let opened = Response::from_parts(self.in_http2(head), ());
                let send = respond.send_response(opened, false).map_err(|_| Cut::Gone)?;
                let stream = Stream::Http2(Box::new(Duplex::new(receive, send)));
                relay::tunnel(&self.state.client, tunnel, Rest { stream, read: Bytes::new() }).await;
                Ok(())
            }
            // It took part in something else than what was asked for; and to a CONNECT any success is an open tunnel.
            Some(_) => self.pass(self.bad_response(), false, respond).await,
            None if response.status().is_success() => self.pass(self.bad_response(), false, respond).await,
            None => self.pass(response, false, respond).await,
        }
    }

    fn bad_response(&self) -> Response<ResponseBody> {
        let (port, lane) = (&self.state.port, self.state.client.local.lane);
        let response = port.sorry.error(ErrorReason::BadResponse, &Method::GET);
        port.counters.count_reason(lane, ErrorReason::BadResponse.index());
        port.counters.count_code(lane, response.status().as_u16());
        self.state.client.log_status(response.status().as_u16());
        self.state.client.log_error(ErrorReason::BadResponse);
        self.state.rest(Instant::now(), &port.settings.timeouts);
        answer::own(response)
    }
}

fn nonce() -> Result<[u8; 16], Cut> {
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Cut::Late)?;
    Ok(nonce)
}
