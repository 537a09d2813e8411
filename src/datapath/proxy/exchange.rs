//! One request of an http client, from its head to the answer that it gets.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::executor::{Refusal, ServerIndex, Turn};
use crate::message::{
    ClientView, ErrorReason, Introduction, RequestFacts, Upgrade, client_address, examine_request, is_idempotent,
    prepare_request,
};
use crate::model::ServerId;

use super::choice::{Asker, choose, why};
use super::download::ResponseBody;
use super::front::FrontState;
use super::local::{Local, PortRef};
use super::offer::{Answered, Failure};
use super::respond::{Own, refuse, refuse_and_close};
use super::upload::{Upload, Uploading};

/// What a request needs until its response begins.
pub(super) struct Exchange {
    pub front: Rc<FrontState>,
    pub port: PortRef,
    pub started: Instant,
    /// The client behind the proxies that we trust.
    pub address: IpAddr,
    /// As the server gets it.
    pub head: Parts,
    pub introduction: Introduction,
    /// It may be sent again: it has no body and doing it twice is doing it once.
    pub replayable: bool,
    pub upgrade: Option<Upgrade>,
    pub upload: Option<Uploading>,
    /// By identity, because the next attempt may see another table.
    tried: Vec<ServerId>,
}

impl Exchange {
    /// Looks at a request and makes it ready for a server. `Err` is the answer to one that goes nowhere.
    pub fn begin(front: &Rc<FrontState>, request: Request<Incoming>) -> Result<Self, Box<Response<ResponseBody>>> {
        let started = Instant::now();
        let client = &front.client;
        let Some(port) = client.local.port(client.port) else {
            // The port was removed while this client was connected.
            client.log_request(&front.port, started, &request);
            let refused = refuse_and_close(front, &front.port, started, request.method(), ErrorReason::NoServer);
            return Err(Box::new(refused));
        };
        port.counters.count_request(client.local.lane);
        client.log_request(&port, started, &request);
        let (head, incoming) = request.into_parts();
        match examine_request(&head) {
            Ok(facts) => Ok(Self::new(front, &port, started, head, facts, incoming)),
            Err(reason) => Err(Box::new(refuse(front, &port, started, &head.method, reason))),
        }
    }

    fn new(
        front: &Rc<FrontState>,
        port: &PortRef,
        started: Instant,
        mut head: Parts,
        facts: RequestFacts,
        incoming: Incoming,
    ) -> Self {
        let settings = &port.settings;
        let view = ClientView { connection: &front.facts, trusted: &settings.trusted, forwarded: settings.forwarded };
        let address = client_address(&view, &head.headers);
        front.client.log_address(address);
        let upgrade = Upgrade::asked(&head, &facts, &settings.upgrade);
        let introduction = prepare_request(&mut head, &facts, &view, upgrade.as_ref());
        let upload = Upload::new(&front.client, &facts, &settings.timeouts, incoming);
        front.upload(upload.clone());
        Self {
            front: Rc::clone(front),
            port: port.clone(),
            started,
            address,
            replayable: upload.is_none() && is_idempotent(&head.method),
            head,
            introduction,
            upgrade,
            upload: upload.map(Uploading),
            tried: Vec::new(),
        }
    }

    pub fn upload(&self) -> Option<&Upload> {
        self.upload.as_ref().map(|uploading| &*uploading.0)
    }

    pub fn local(&self) -> &Rc<Local> {
        &self.front.client.local
    }

    /// No time worth measuring has passed since the request came.
    pub fn is_first_offer(&self) -> bool {
        self.tried.is_empty()
    }

    /// Gets an answer from a server, or makes one.
    pub async fn answer(mut self) -> Result<Response<ResponseBody>, Infallible> {
        let answered = self.run().await;
        Ok(match answered.and_then(|answered| self.forward(answered)) {
            Ok(response) => response,
            // Boxed because it is rare: what is awaited there would else be room in the future of every request.
            Err(own) => Box::pin(self.own(*own)).await,
        })
    }

    /// Offers the request to one server after the other until one answers.
    async fn run(&mut self) -> Result<Answered, Box<Own>> {
        let mut last = None;
        loop {
            let index = self.choose(Turn::Take).map_err(|refusal| self.sorry(refusal, last))?;
            let Failure { reason, elsewhere } = match self.offer(index).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            if !elsewhere {
                return Err(self.failed(reason));
            }
            self.tried.extend(self.port.server(index).map(|server| server.id));
            if self.tried.len() > self.port.settings.retries as usize {
                return Err(self.gave_up(reason));
            }
            self.port.counters.count_retry(self.local().lane, reason.index());
            last = Some(reason);
        }
    }

    fn choose(&mut self, turn: Turn) -> Result<ServerIndex, Refusal> {
        if !self.tried.is_empty() {
            // Some time has passed; what has been published since (a server taken down, say) holds for the next attempt.
            if let Some(newest) = self.local().port(self.front.client.port) {
                self.port = newest;
            }
        }
        let asker = Asker { client: &self.front.client, address: self.address, now: self.started };
        choose(&asker, &self.port, &self.tried, turn)
    }

    /// No more attempts. Where nobody is left who could be asked, the port itself answers.
    fn gave_up(&mut self, reason: ErrorReason) -> Box<Own> {
        match self.choose(Turn::Peek) {
            Err(refusal) => self.sorry(refusal, Some(reason)),
            Ok(_) => self.failed(reason),
        }
    }

    /// Nobody can answer, so the port does. Where servers were tried, the reason says what became of that.
    fn sorry(&self, refusal: Refusal, last: Option<ErrorReason>) -> Box<Own> {
        let reason = why(refusal, last);
        Box::new(Own { reason, response: self.port.sorry.answer(reason, &self.head.method, self.head.uri.path()) })
    }

    pub fn failed(&self, reason: ErrorReason) -> Box<Own> {
        Box::new(Own { reason, response: reason.answer(&self.head.method) })
    }
}
