//! Who was told of which expiry, and when.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::facts::Facts;

/// Says once a day of each certificate that it expires soon, or has. A value: the time is handed to it.
#[derive(Debug, Default)]
pub struct Reminders {
    /// When a file's certificate was last spoken of, and which one that was, by its own expiry.
    told: HashMap<PathBuf, (i64, i64)>,
}

/// Seconds between two sentences about one certificate.
const EVERY: i64 = 86_400;

impl Reminders {
    /// What is to be said at this time (seconds since 1970) of the certificates in use. Files that are not among them any
    /// more are forgotten.
    pub fn due<'a>(&mut self, in_use: impl Iterator<Item = (&'a Path, &'a Facts)>, now: i64) -> Vec<String> {
        let before = std::mem::take(&mut self.told);
        let mut sentences = Vec::new();
        for (path, facts) in in_use {
            let Some(concern) = facts.concern(now) else { continue };
            // One file may be in use at many ports.
            if self.told.contains_key(path) {
                continue;
            }
            let last = before.get(path).filter(|(_, expiry)| *expiry == facts.not_after).map(|(at, _)| *at);
            // A clock that was put back must not silence us until it has caught up.
            let recently = last.filter(|&at| at <= now && now < at.saturating_add(EVERY));
            if recently.is_none() {
                sentences.push(format!("the certificate in `{}` {concern}", path.display()));
            }
            self.told.insert(path.to_owned(), (recently.unwrap_or(now), facts.not_after));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Issuer;
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn once_a_day_for_the_last_two_weeks_and_after() {
        let facts = Facts::of(&Issuer::new().certificate(&["a"]).der).unwrap();
        let path = Path::new("a.pem");
        let mut reminders = Reminders::default();
        let mut said = Vec::new();
        for hour in -20 * 24..2 * 24 {
            let in_use = [(path, &facts), (path, &facts)];
            said.extend(reminders.due(in_use.into_iter(), facts.not_after + hour * HOUR));
        }
        assert_eq!(said.len(), 16, "{said:?}");
        assert!(said[0].starts_with("the certificate in `a.pem` expires on "), "{said:?}");
        assert!(said[15].starts_with("the certificate in `a.pem` expired on "), "{said:?}");
    }

    #[test]
    fn another_certificate_in_the_same_file_is_spoken_of_at_once_and_so_is_a_clock_put_back() {
        let facts = Facts::of(&Issuer::new().certificate(&["a"]).der).unwrap();
        let next = Facts { not_after: facts.not_after + DAY, ..facts.clone() };
        let path = Path::new("a.pem");
        let mut reminders = Reminders::default();
        let mut count = |facts: &Facts, now: i64| reminders.due([(path, facts)].into_iter(), now).len();
        let now = facts.not_after - DAY;
        assert_eq!((count(&facts, now), count(&facts, now + 1)), (1, 0));
        assert_eq!((count(&next, now + 2), count(&next, now + 3)), (1, 0));
        assert_eq!(count(&next, now - 5 * DAY), 1);
    }
}
