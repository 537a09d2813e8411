//! Which network interfaces have a carrier, as the kernel tells it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

/// News may be lost where there are many at once, so all links are looked at this often, too.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Interfaces and whether each is up with a carrier; one that is not there is not.
pub(super) type Carriers = BTreeMap<String, bool>;

/// Watches the interfaces that `wanted` names and calls `changed` with every change. Returns when nobody wants any, or with
/// an error when netlink does not work.
pub(super) async fn watch(mut wanted: watch::Receiver<Vec<String>>, changed: impl Fn(&Carriers)) -> io::Result<()> {
    let (connection, handle, mut news) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
    let connection = tokio::task::spawn_local(connection);
    let mut look = tokio::time::interval(LOOK_AGAIN);
    let mut known: Option<Carriers> = None;
    let outcome = loop {
        let mut now = known.clone().unwrap_or_default();
        tokio::select! {
            _ = look.tick() => now = dump(&handle, &wanted.borrow().clone()).await,
            more = wanted.changed() => match more {
                Ok(()) => {
                    let names = wanted.borrow_and_update().clone();
                    now = dump(&handle, &names).await;
                }
                Err(_) => break Ok(()),
            },
            message = news.next() => match message.map(|(message, _)| message.payload) {
                Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))) => note(&mut now, &link, has_carrier(&link)),
                Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link))) => note(&mut now, &link, false),
                Some(_) => {}
                None => break Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
        if known.as_ref() != Some(&now) {
            changed(&now);
            known = Some(now);
        }
    };
    connection.abort();
    outcome
}

async fn dump(handle: &Handle, names: &[String]) -> Carriers {
    let mut carriers: Carriers = names.iter().map(|name| (name.clone(), false)).collect();
    let links: Vec<_> = handle.link().get().execute().collect().await;
    for link in links.iter().flatten() {
        note(&mut carriers, link, has_carrier(link));
    }
    carriers
}

fn note(carriers: &mut Carriers, link: &LinkMessage, is_up: bool) {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    });
    if let Some(known) = name.and_then(|name| carriers.get_mut(name)) {
        *known = is_up;
    }
}

/// Up by an operator's will, and with a carrier.
fn has_carrier(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp)
}
