//! `tcp` ports whose connections go by the host that their TLS asks for.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tsuji::message::ErrorReason;
use tsuji::model::{ForwardingMethod, Port};

use super::routes::{group, route, to};
use super::tls_servers::SecureOrigin;
use crate::support::secure::{Front, Issuer, secure};
use crate::support::{Client, Setup};

/// Server `a` is the shop's, `b` the news'; nobody has the rest.
fn by_name(port: &mut Port) {
    port.groups = vec![group("shop", &["a"], |_| {}), group("news", &["b"], |_| {})];
    port.routes = vec![
        route("shop", &["shop.example", "*.shop.example"], &[], to("shop")),
        route("news", &["news.example"], &[], to("news")),
    ];
    port.timeouts.tls = Duration::from_millis(300);
}

fn ask(client: &mut Client) -> std::io::Result<String> {
    client.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    Ok(client.try_answer("GET")?.text().to_owned())
}

#[test]
fn sessions_pass_through_to_the_server_that_has_the_name() {
    let issuer = Issuer::new("issuer");
    let shop = SecureOrigin::with(&issuer.certificate(&["shop.example", "www.shop.example"]));
    let news = SecureOrigin::with(&issuer.certificate(&["news.example"]));
    let addresses = vec![shop.address, news.address];
    let site = Setup::with_addresses(ForwardingMethod::Tcp, addresses).change(by_name).start();
    let config = Arc::new(issuer.trusting());
    // The certificate is the server's own: nothing was opened on the way.
    for name in ["shop.example", "news.example", "WWW.shop.example"] {
        let told = ask(&mut secure(site.address, &config, name)).unwrap();
        assert_eq!(told, format!("{} 0", name.to_ascii_lowercase()));
    }
    assert_eq!((site.server(0).begun, site.server(1).begun), (2, 1));
    assert!(ask(&mut secure(site.address, &config, "other.example")).is_err());
    site.until("counted", |site| site.reason(ErrorReason::NoRoute) == 1);
}

#[test]
fn who_names_nobody_in_time_or_at_all_is_left() {
    let issuer = Issuer::new("issuer");
    let shop = SecureOrigin::with(&issuer.certificate(&["shop.example"]));
    let addresses = vec![shop.address, shop.address];
    let site = Setup::with_addresses(ForwardingMethod::Tcp, addresses).change(by_name).start();
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], ErrorReason::NotTls),
        (&[22, 3, 1, 0, 9], ErrorReason::TlsTimeout),
        (&[22, 3, 1, 0, 4, 2, 0, 0, 0], ErrorReason::TlsHandshake),
    ] {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.write_all(bytes).unwrap();
        site.until("counted", |site| site.reason(reason) == 1);
    }
    assert_eq!(site.server(0).begun + site.server(1).begun, 0);
}

#[test]
fn a_port_that_speaks_tls_itself_goes_by_the_same_names() {
    let issuer = Issuer::new("issuer");
    let names = ["shop.example", "news.example"];
    let front = Front::with(&[&issuer.certificate(&names)]);
    let origins = [crate::support::Origin::named("shop"), crate::support::Origin::named("news")];
    let site = Setup::tcp(&[&origins[0], &origins[1]]).tls(&front).change(by_name).start();
    let config = Arc::new(issuer.trusting());
    for (name, told) in names.into_iter().zip(["shop", "news"]) {
        assert_eq!(ask(&mut secure(site.address, &config, name)).unwrap(), told);
    }
}
