//! The names that a dispatcher has right now, asked for when TAB needs them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::control::client::Client;
use crate::control::completion::{Objects, Question};
use crate::control::protocol::Request;

/// Asks, and remembers for a moment.
pub struct Live {
    client: Client,
    /// Also answers that did not come: whoever presses TAB again should not wait again.
    known: RefCell<HashMap<Question, (Instant, Vec<String>)>>,
}

impl Live {
    pub fn new(client: Client) -> Self {
        Self { client: client.waiting(STEP), known: RefCell::default() }
    }

    /// What was known may have been changed by a command.
    pub fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    /// Nobody waits for an error here: without an answer there are no names.
    fn ask(&self, question: &Question) -> Vec<String> {
        let reply = self.client.ask(&Request::new(question.words(), String::new()));
        reply.map(|reply| question.names(reply)).unwrap_or_default()
    }
}

impl Objects for Live {
    fn names(&self, question: &Question) -> Vec<String> {
        let fresh = |asked: &Instant| asked.elapsed() < FRESH;
        if let Some((_, names)) = self.known.borrow().get(question).filter(|(asked, _)| fresh(asked)) {
            return names.clone();
        }
        let names = self.ask(question);
        self.known.borrow_mut().insert(question.clone(), (Instant::now(), names.clone()));
        names
    }
}

/// For each of connecting, sending and waiting for the answer: together they are no longer than what a person takes for at once.
const STEP: Duration = Duration::from_millis(100);
/// Somebody else may add a server meanwhile, but hardly between two keys. Bounds the table too: each line begins with an
/// empty one, and a line has few words.
const FRESH: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_dispatcher_there_are_no_names() {
        let directory = tempfile::tempdir().expect("a directory");
        let live = Live::new(Client::new(directory.path().join("nobody.sock")));
        assert_eq!(live.names(&Question::Clusters), Vec::<String>::new());
        assert_eq!(live.known.borrow().len(), 1, "that too is remembered");
        live.forget();
        assert!(live.known.borrow().is_empty());
    }

    #[test]
    fn a_dispatcher_that_stands_still_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("silent.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        let live = Live::new(Client::new(path));
        assert_eq!(live.names(&Question::Files), Vec::<String>::new());
    }
}
