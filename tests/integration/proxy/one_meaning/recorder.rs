//! A server that keeps every byte that comes.

use std::sync::{Arc, Mutex};

use crate::support::Origin;

use super::readers::{Next, Seen, strictly};

/// Answers each request that is whole with `origin N`, where N counts all that came.
pub struct Recorder {
    pub origin: Origin,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Of each connection.
    bytes: Vec<Vec<u8>>,
    whole: Vec<Seen>,
}

impl Recorder {
    pub fn start() -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let log = Arc::clone(&kept);
        let origin = Origin::new(move |visit| {
            let place = {
                let mut log = log.lock().unwrap();
                log.bytes.push(Vec::new());
                log.bytes.len() - 1
            };
            let mut unread = Vec::new();
            loop {
                let some = visit.some();
                if some.is_empty() {
                    return;
                }
                unread.extend_from_slice(&some);
                log.lock().unwrap().bytes[place].extend_from_slice(&some);
                loop {
                    match strictly(&unread) {
                        Next::Whole(seen, length) => {
                            unread.drain(..length);
                            let is_head = seen.method == "HEAD";
                            let number = {
                                let mut log = log.lock().unwrap();
                                log.whole.push(seen);
                                log.whole.len()
                            };
                            let body = format!("origin {number}\n");
                            let shown = if is_head { "" } else { &body };
                            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{shown}", body.len()));
                        }
                        Next::Half => break,
                        // The test that looks at the bytes says what is wrong.
                        Next::Nonsense(_) => return,
                    }
                }
            }
        });
        Self { origin, kept }
    }

    /// Everything that came, by connection.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().bytes.clone()
    }

    pub fn length(&self) -> usize {
        self.kept.lock().unwrap().bytes.iter().map(Vec::len).sum()
    }

    /// Whole requests in the order in which they came.
    pub fn whole(&self) -> Vec<Seen> {
        self.kept.lock().unwrap().whole.clone()
    }
}
