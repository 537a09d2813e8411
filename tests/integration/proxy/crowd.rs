//! Many at once: nobody gets what belongs to somebody else, nothing is lost while the table changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Origin, Setup};

/// Half of the requests have bodies, some are large, some clients hang up in the middle.
#[test]
fn no_client_gets_an_answer_of_another() {
    let origins = [Origin::mirror(), Origin::mirror(), Origin::mirror()];
    let site = Arc::new(Setup::http(&[&origins[0], &origins[1], &origins[2]]).workers(2).start());
    let crowd: Vec<_> = (0..24)
        .map(|number| {
            let site = Arc::clone(&site);
            std::thread::spawn(move || {
                let mut client = site.client();
                for round in 0..60 {
                    let id = format!("{number}-{round}");
                    let body = id.repeat(1 + (number * 7 + round * 13) % 4000);
                    if round % 2 == 0 {
                        client.send(format!("GET /{id} HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\n\r\n"));
                    } else {
                        let length = body.len();
                        client.send(format!(
                            "POST /{id} HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\nContent-Length: {length}\r\n\r\n{body}"
                        ));
                    }
                    if (number + round) % 17 == 0 {
                        client = site.client();
                        continue;
                    }
                    let answer = client.answer();
                    let text = answer.text();
                    assert_eq!(text.split(' ').nth(1), Some(&*format!("/{id}")));
                    assert!(text.contains(&format!("x-id: {id}\r\n")));
                    assert!(round % 2 == 0 || text.ends_with(&body), "{id}");
                }
            })
        })
        .collect();
    for client in crowd {
        client.join().unwrap();
    }
    site.until("all is over", |site| site.port().connections == 0);
    assert_eq!((0..3).map(|index| site.server(index).active).sum::<u64>(), 0);
    assert_eq!(site.counters().panics, 0);
}

#[test]
fn a_hundred_new_tables_and_a_killed_server_fail_no_request() {
    let (mortal, stays) = (Origin::named("mortal"), Origin::named("stays"));
    let site = Arc::new(Setup::http(&[&mortal, &stays]).workers(2).start());
    let over = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..16)
        .map(|_| {
            let (site, over) = (Arc::clone(&site), Arc::clone(&over));
            std::thread::spawn(move || {
                let mut client = site.client();
                let mut served = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer = client.get("/");
                    assert_eq!(answer.status, 200, "{}", answer.head);
                    served += 1;
                }
                served
            })
        })
        .collect();
    for round in 0..100 {
        site.publish();
        if round == 50 {
            mortal.kill();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    over.store(true, Ordering::Relaxed);
    let served: u64 = crowd.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!((site.port().codes, site.port().requests), ([0, served, 0, 0, 0], served));
}
