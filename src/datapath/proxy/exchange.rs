//! One request of an http client, from its head to the answer that it gets.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri, Version};

use crate::executor::{Event, GroupIndex, Queue, Refusal, Replay, RequestView, RouteEntry, Routed, Situation, Turn};
use crate::message::codec::OutgoingHead;
use crate::message::{
    Body, Canonical, ClientView, ErrorReason, Introduction, PrivateFields, Proto, RequestFacts, Upgrade,
    client_address, edit_fields, examine_request, is_idempotent, prepare_request, redirect_to, rewrite_path,
    take_private,
};
use crate::model::{Compat, Policy, ServerId};

use super::body_rate::BodyRate;
use super::choice::{Asker, choose, why};
use super::download::ResponseBody;
use super::front::FrontState;
use super::local::{Local, PortRef};
use super::offer::{Answered, Failure};
use super::pressure::Pressure;
use super::request_body::RequestBody;
use super::respond::{Own, refuse, refuse_and_close};
use super::tally::Chosen;
use super::upload::{Keep, Upload, Uploading};

/// A head as routes and edits made it.
struct Changed {
    target: Uri,
    fields: HeaderMap,
}

/// What a request needs until its response begins.
pub(super) struct Exchange {
    pub front: Rc<FrontState>,
    pub port: PortRef,
    pub started: Instant,
    /// The client behind the proxies that we trust.
    pub address: IpAddr,
    /// What decisions look at: the client's, without what concerned its connection.
    pub head: Parts,
    /// What its host and path mean to them.
    canonical: Canonical,
    /// What the server gets instead, where routes and edits change it. Boxed because most requests have none.
    changed: Option<Box<Changed>>,
    /// The client speaks HTTP/1.0.
    pub is_old: bool,
    pub introduction: Introduction,
    /// What a trusted peer said in the plug-in's private fields. Boxed because most requests have none.
    pub private: Option<Box<PrivateFields>>,
    /// Doing it twice is doing it once.
    pub is_idempotent: bool,
    /// It brings credentials for the server's whole connection.
    pub authenticates: bool,
    pub upgrade: Option<Upgrade>,
    pub upload: Option<Uploading>,
    /// By identity, because the next attempt may see another table.
    tried: Vec<ServerId>,
    /// Second attempts that followed a timeout.
    timeouts: u32,
    /// It was in line for a server with room.
    pub has_waited: bool,
}

/// Bytes of one body that are kept, whatever `postbuffersize` says: a client must not be able to use up our memory.
const MOST_KEPT: u64 = 64 << 20;

impl Exchange {
    /// Looks at a request and makes it ready for a server. `Err` is the answer to one that goes nowhere.
    pub fn begin(front: &Rc<FrontState>, request: Request<RequestBody>) -> Result<Self, Box<Response<ResponseBody>>> {
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
        let refused = |method, reason| Box::new(refuse(front, &port, started, method, reason));
        if client.local.shared.pressure() >= Pressure::Refusing {
            return Err(refused(&head.method, ErrorReason::Overloaded));
        }
        let excluded = &port.settings.excluded_methods;
        if !excluded.is_empty() && excluded.iter().any(|method| method == head.method.as_str()) {
            return Err(refused(&head.method, ErrorReason::MethodExcluded));
        }
        match examine_request(&head) {
            Ok(facts) => {
                let method = head.method.clone();
                let begun = Self::new(front, &port, started, head, facts, incoming);
                begun.map_err(|reason| refused(&method, reason))
            }
            Err(reason) => Err(refused(&head.method, reason)),
        }
    }

    fn new(
        front: &Rc<FrontState>,
        port: &PortRef,
        started: Instant,
        mut head: Parts,
        mut facts: RequestFacts,
        incoming: RequestBody,
    ) -> Result<Self, ErrorReason> {
        let settings = &port.settings;
        let view = ClientView { connection: &front.facts, trusted: &settings.trusted, forwarded: settings.forwarded };
        let address = client_address(&view, &head.headers);
        front.client.log_address(address);
        let upgrade = Upgrade::asked(&head, &facts, &settings.upgrade);
        let private = view.trusts_peer().then(|| take_private(&mut head.headers)).filter(|fields| !fields.is_empty());
        let is_old = head.version < Version::HTTP_11;
        // An old client may name none, which is its server's business.
        let names_host = facts.names_host() || head.uri.authority().is_some();
        let introduction = prepare_request(&mut head, &facts, &view, upgrade.as_ref());
        let is_idempotent = is_idempotent(&head.method);
        let default_port = match front.facts.proto() {
            Proto::Http => 80,
            Proto::Https => 443,
        };
        let canonical = Canonical::new(facts.take_path(), default_port);
        let mut exchange = Self {
            front: Rc::clone(front),
            port: port.clone(),
            started,
            address,
            is_idempotent,
            authenticates: facts.authenticates_connection(),
            head,
            canonical,
            changed: None,
            is_old,
            introduction,
            private: private.map(Box::new),
            upgrade,
            upload: None,
            tried: Vec::new(),
            timeouts: 0,
            has_waited: false,
        };
        if names_host && front.is_misdirected(port, &exchange.view()) {
            return Err(ErrorReason::Misdirected);
        }
        let upload = exchange.new_upload(&facts, incoming)?;
        front.upload(upload.clone());
        exchange.upload = upload.map(Uploading);
        Ok(exchange)
    }

    /// The body on its way; as much of it is kept as the group may send a second time.
    fn new_upload(&self, facts: &RequestFacts, incoming: RequestBody) -> Result<Option<Rc<Upload>>, ErrorReason> {
        if facts.body() == Body::None {
            return Ok(None);
        }
        // A server must never wait for what nobody sends.
        if matches!(incoming, RequestBody::None) {
            return Err(ErrorReason::BadLength);
        }
        let policy = self.policy();
        if let (Body::Sized(length), Some(most)) = (facts.body(), policy.post_limit)
            && length > most
        {
            return Err(ErrorReason::BodyTooLarge);
        }
        // What is not repeated need not be kept.
        let repeats = self.is_idempotent || policy.compat == Compat::Plugin;
        let most = if repeats { policy.post_buffer.unwrap_or(MOST_KEPT).min(MOST_KEPT) } else { 0 };
        let keep = Keep { most, limit: policy.post_limit, rate: BodyRate::new(&self.port.settings.limits) };
        Ok(Upload::new(&self.front.client, facts, &self.port.settings.timeouts, keep, incoming))
    }

    pub fn upload(&self) -> Option<&Upload> {
        self.upload.as_ref().map(|uploading| &*uploading.0)
    }

    pub fn local(&self) -> &Rc<Local> {
        &self.front.client.local
    }

    /// The time: that of the request's coming while nothing worth measuring has passed since.
    pub fn now(&self) -> Instant {
        if self.tried.is_empty() && !self.has_waited { self.started } else { Instant::now() }
    }

    /// The request as decisions see it.
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.head.method,
            uri: &self.head.uri,
            version: if self.is_old { Version::HTTP_10 } else { Version::HTTP_11 },
            fields: &self.head.headers,
            canonical: &self.canonical,
        }
    }

    /// The head for the server.
    pub fn outgoing(&self) -> OutgoingHead<'_> {
        let (target, fields) = match &self.changed {
            Some(changed) => (&changed.target, &changed.fields),
            None => (&self.head.uri, &self.head.headers),
        };
        OutgoingHead { method: &self.head.method, target, fields, unedited: &self.head.headers }
    }

    /// The request's group and route in the table of now.
    pub fn routed(&self) -> Routed<'_> {
        self.port.route(&self.view())
    }

    pub fn group(&self) -> GroupIndex {
        match self.routed() {
            Routed::Group(group, _) => group,
            Routed::Redirect(..) | Routed::Nowhere => GroupIndex::PORT,
        }
    }

    pub fn route(&self) -> Option<&RouteEntry> {
        match self.routed() {
            Routed::Group(_, route) => route,
            Routed::Redirect(..) | Routed::Nowhere => None,
        }
    }

    /// Who waits for the servers of this request's group.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.port.group_or_port(self.group()).queue
    }

    pub fn policy(&self) -> &Policy {
        &self.port.group_or_port(self.group()).policy
    }

    /// Gets an answer from a server, or makes one.
    pub async fn answer(mut self) -> Result<Response<ResponseBody>, Infallible> {
        let answered = match self.go_by_route() {
            None => self.run().await,
            Some(own) => Err(own),
        };
        Ok(match answered.and_then(|answered| self.forward(answered)) {
            Ok(response) => response,
            // Boxed because it is rare: what is awaited there would else be room in the future of every request.
            Err(own) => Box::pin(self.own(*own)).await,
        })
    }

    /// What the route alone has to say: an answer, or another head for the server.
    fn go_by_route(&mut self) -> Option<Box<Own>> {
        let port_edits = &self.port.settings.request_edits;
        if self.port.routes.is_empty() && port_edits.is_empty() {
            return None;
        }
        let route = match self.routed() {
            Routed::Nowhere => return Some(self.failed(ErrorReason::NoRoute)),
            Routed::Redirect(route, redirect) => {
                let view = self.view();
                let response = redirect_to(redirect, route.settings(), view.uri, (view.host(), view.path()));
                return Some(Box::new(Own { reason: None, response }));
            }
            Routed::Group(_, route) => route.map(RouteEntry::settings),
        };
        let rewritten = route.map(|route| rewrite_path(route, &self.head.uri, self.view().path())).transpose();
        let Ok(rewritten) = rewritten.map(Option::flatten) else { return Some(self.failed(ErrorReason::BadTarget)) };
        let route_edits = route.map_or(&[][..], |route| &route.request_edits);
        if rewritten.is_some() || !port_edits.is_empty() || !route_edits.is_empty() {
            let mut fields = self.head.headers.clone();
            edit_fields(&mut fields, port_edits);
            edit_fields(&mut fields, route_edits);
            let target = rewritten.unwrap_or_else(|| self.head.uri.clone());
            self.changed = Some(Box::new(Changed { target, fields }));
        }
        None
    }

    /// Offers the request to one server after the other until one answers.
    async fn run(&mut self) -> Result<Answered, Box<Own>> {
        let mut last = None;
        loop {
            let chosen = match self.choose(Turn::Take).and_then(|chosen| self.in_line(chosen)) {
                Ok(chosen) => chosen,
                // Boxed because it is rare.
                Err(Refusal::Busy) => match Box::pin(self.wait_for_room()).await {
                    Ok(chosen) => chosen,
                    Err(Refused::By(refusal)) => return Err(self.sorry(refusal, last)),
                    Err(Refused::For(reason)) => return Err(self.failed(reason)),
                },
                Err(refusal) => return Err(self.sorry(refusal, last)),
            };
            // Of the table that it was chosen from; what follows may look at a newer one.
            let server = self.port.server(chosen.server).map(|server| server.id);
            let reason = match self.offer(chosen).await {
                Ok(answered) if answered.is_unavailable() && self.goes_elsewhere(&answered) => {
                    answered.tally.responded(answered.head.status.as_u16());
                    // What the client goes on to send is for the next server.
                    self.upload().inspect(|upload| upload.detach());
                    self.tried.extend(server);
                    ErrorReason::ServerUnavailable
                }
                Ok(answered) => return Ok(answered),
                Err(Offered::Full) => continue,
                Err(Offered::Failed(Failure { reason, elsewhere: false, .. })) => return Err(self.failed(reason)),
                Err(Offered::Failed(Failure { reason, timed_out, .. })) => {
                    self.timeouts += u32::from(timed_out);
                    self.tried.extend(server);
                    self.go_on_after(reason)?;
                    reason
                }
            };
            self.port.counters.count_retry(self.local().lane, reason.index());
            last = Some(reason);
        }
    }

    /// Whether there is another attempt after this failure; else the answer that there is instead.
    fn go_on_after(&mut self, reason: ErrorReason) -> Result<(), Box<Own>> {
        if self.tried.len() > self.policy().retries as usize {
            return Err(self.gave_up(reason));
        }
        match self.choose(Turn::Peek) {
            // Where nobody else is left there is nothing to pay for.
            Err(refusal) if refusal != Refusal::Busy => Err(self.sorry(refusal, Some(reason))),
            _ if self.pays_for_retry() => Ok(()),
            _ => Err(self.failed(reason)),
        }
    }

    /// Takes a second attempt out of the budget, if it has one left.
    fn pays_for_retry(&self) -> bool {
        let (lane, counters) = (self.local().lane, &self.port.counters);
        let pays = counters.may_retry(lane, self.policy().retry_budget, Instant::now());
        if !pays {
            counters.count_reason(lane, ErrorReason::RetryBudget.index());
        }
        pays
    }

    /// Others wait for servers with a bound already: this request does not go before them.
    fn in_line(&self, chosen: Chosen) -> Result<Chosen, Refusal> {
        let Some(server) = self.port.server(chosen.server).filter(|server| server.max_connections != 0) else {
            return Ok(chosen);
        };
        if self.queue().is_empty() {
            return Ok(chosen);
        }
        if chosen.trial {
            server.counters.mark.give_back();
        }
        Err(Refusal::Busy)
    }

    /// A server says that it is unavailable: another one may be asked if the request allows it, one is there and the budget
    /// has an attempt left. Else its answer is the best that there is.
    fn goes_elsewhere(&mut self, answered: &Answered) -> bool {
        let failure = self.blame(ErrorReason::ServerUnavailable, Event::Unavailable, &answered.tally);
        if !failure.elsewhere || self.tried.len() >= self.policy().retries as usize {
            return false;
        }
        let Some(id) = answered.tally.server().map(|server| server.id) else { return false };
        self.tried.push(id);
        let other = self.choose(Turn::Peek).is_ok();
        self.tried.pop();
        other && self.pays_for_retry()
    }

    /// What a failure's consequences depend on.
    pub fn situation(&self, marks_on_timeout: bool) -> Situation {
        let is_whole = self.upload().is_none_or(Upload::is_repeatable);
        Situation {
            is_idempotent: self.is_idempotent,
            replay: if is_whole { Replay::Whole } else { Replay::Lost },
            timeouts: self.timeouts,
            marks_on_timeout,
        }
    }

    pub fn choose(&mut self, turn: Turn) -> Result<Chosen, Refusal> {
        if !self.tried.is_empty() {
            // Some time has passed; what has been published since (a server taken down, say) holds for the next attempt.
            self.look_again();
        }
        let now = self.now();
        let asker = Asker { client: &self.front.client, address: self.address, now, request: Some(self.view()) };
        choose(&asker, &self.port, &self.tried, turn)
    }

    /// Goes on with the newest table.
    pub fn look_again(&mut self) {
        if let Some(newest) = self.local().port(self.front.client.port) {
            self.port = newest;
        }
    }

    pub fn has_failed_over(&self) -> bool {
        !self.tried.is_empty()
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
        let response = self.port.sorry.answer(reason, &self.head.method, self.view().uri.path());
        Box::new(Own { reason: Some(reason), response })
    }

    pub fn failed(&self, reason: ErrorReason) -> Box<Own> {
        Box::new(Own { reason: Some(reason), response: self.port.sorry.error(reason, &self.head.method) })
    }
}

/// Why an offer came to nothing.
pub(super) enum Offered {
    /// The server has as many requests as it may have; it was not asked.
    Full,
    Failed(Failure),
}

/// Why a request that waited got no server.
pub(super) enum Refused {
    By(Refusal),
    For(ErrorReason),
}
