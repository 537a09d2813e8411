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

impl Kept {
    /// A place for one more connection.
    fn open(&mut self) -> usize {
        self.bytes.push(Vec::new());
        self.bytes.len() - 1
    }

    /// Keeps what came and takes whole requests out of what is unread. The answers to them.
    fn take(&mut self, place: usize, some: &[u8], unread: &mut Vec<u8>) -> String {
        self.bytes[place].extend_from_slice(some);
        let mut answers = String::new();
        // Nonsense is left unread and unanswered: the test that looks at the bytes says what is wrong with it.
        while let Next::Whole(seen, length) = strictly(unread) {
            unread.drain(..length);
            let is_head = seen.method == "HEAD";
            self.whole.push(seen);
            let body = format!("origin {}\n", self.whole.len());
            let shown = if is_head { "" } else { &body };
            answers += &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{shown}", body.len());
        }
        answers
    }
}

impl Recorder {
    pub fn start() -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let log = Arc::clone(&kept);
        let origin = Origin::new(move |visit| {
            let place = log.lock().unwrap().open();
            let mut unread = Vec::new();
            loop {
                let some = visit.some();
                if some.is_empty() {
                    return;
                }
                unread.extend_from_slice(&some);
                // What came and what it means are kept at once, so that nobody sees one without the other.
                let answers = log.lock().unwrap().take(place, &some, &mut unread);
                visit.send(answers);
            }
        });
        Self { origin, kept }
    }

    /// Everything that came, by connection, and how many whole requests it was.
    pub fn bytes(&self) -> (Vec<Vec<u8>>, usize) {
        let kept = self.kept.lock().unwrap();
        (kept.bytes.clone(), kept.whole.len())
    }

    pub fn length(&self) -> usize {
        self.kept.lock().unwrap().bytes.iter().map(Vec::len).sum()
    }

    /// Whole requests in the order in which they came.
    pub fn whole(&self) -> Vec<Seen> {
        self.kept.lock().unwrap().whole.clone()
    }
}
