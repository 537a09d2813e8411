//! What a heartbeat of the partner changes.

use std::time::Instant;

use super::event::{Action, Misconfiguration, Notice};
use super::heartbeat::Heartbeat;
use super::pair::Pair;
use super::partner::Told;
use super::path::Path;
use super::words::{MOST_GROUPS, PathId};

impl Pair {
    /// Takes a heartbeat in. Every copy that is newer than the last on its path proves that somebody lives; only the first copy
    /// of the newest one says anything.
    pub(super) fn hear(&mut self, id: PathId, heartbeat: &Heartbeat, now: Instant) {
        if !self.paths.iter().any(|path| path.id == id) {
            return;
        }
        let before = self.partner.word;
        let told = self.partner.hear(heartbeat);
        match told {
            Told::Ghost => return,
            Told::Introduction => self.meet(heartbeat),
            Told::News | Told::Old => {}
        }
        self.hear_on_path(id, heartbeat, now);
        if told == Told::Old {
            return;
        }
        self.outreached = if heartbeat.health.reach > 0 && self.health.reach == 0 { self.outreached + 1 } else { 0 };
        self.out.urgent |= heartbeat.wants_answer;
        for word in heartbeat.groups.iter().flatten() {
            self.on_group(word.group, now, |own, view, out| own.hear(word, view, out));
        }
        if before.is_none_or(|before| configured(&before) != configured(heartbeat)) {
            self.compare();
        }
    }

    /// A partner in a life that was not known. It may know nothing of what we told the one before.
    fn meet(&mut self, heartbeat: &Heartbeat) {
        self.paths.iter_mut().for_each(Path::restart);
        // A life cannot take up what was promised to the one before it, and has not the tables of that one.
        for group in &mut self.groups {
            group.promise = None;
            group.theirs = false;
        }
        self.sync.in_sync = false;
        self.outreached = 0;
        self.out.urgent = true;
        self.out.notice(Notice::PartnerRestarted { boot: heartbeat.boot });
        self.out.actions.push_back(Action::RequestSnapshot { boot: heartbeat.boot });
    }

    fn hear_on_path(&mut self, id: PathId, heartbeat: &Heartbeat, now: Instant) {
        let Some(path) = self.paths.iter_mut().find(|path| path.id == id) else { return };
        if !path.hear(heartbeat.sequence, now) {
            return;
        }
        self.partner.heard = Some(now);
        if std::mem::take(&mut path.lost) {
            self.out.notice(Notice::PathBack(id));
        }
        let Some(echo) = heartbeat.echo else { return };
        // A number that we have not sent, or not lately: it is from a life of ours before this one, or too old to tell.
        let Some(sent) = self.sent.at(echo.sequence) else { return };
        path.round_trip = Some(now.saturating_duration_since(sent).saturating_sub(echo.age));
        self.partner.hears = self.partner.hears.max(Some(sent));
        self.former = self.former.filter(|(_, last)| echo.sequence <= *last);
    }

    pub(super) fn note_lost_paths(&mut self, now: Instant) {
        let dead = self.dead();
        for path in &mut self.paths {
            let silent = path.heard_at().is_some_and(|heard| now.saturating_duration_since(heard) >= dead);
            if silent && !path.lost {
                path.lost = true;
                self.out.notice(Notice::PathLost(path.id));
            }
        }
    }

    /// Says what became wrong between the two configurations, and what was mended. Nobody changes its state for it.
    pub(super) fn compare(&mut self) {
        let found = self.misconfigurations();
        for mended in self.misconfigured.iter().filter(|old| !found.contains(old)) {
            self.out.actions.push_back(Action::Notice(Notice::Mended(*mended)));
        }
        for new in found.iter().filter(|new| !self.misconfigured.contains(new)) {
            self.out.actions.push_back(Action::Notice(Notice::Misconfigured(*new)));
        }
        self.misconfigured = found;
    }

    fn misconfigurations(&self) -> Vec<Misconfiguration> {
        let Some(word) = self.partner.word else { return Vec::new() };
        let own = &self.settings;
        let groups = self.groups.iter().filter_map(|group| match word.group(group.id) {
            Some(theirs) => (theirs.role == group.role).then_some(Misconfiguration::SameRole(group.id)),
            None => Some(Misconfiguration::GroupMissing(group.id)),
        });
        let rest = [
            (word.node == own.node, Misconfiguration::SameNode(own.node)),
            (word.recovery != own.recovery, Misconfiguration::OtherRecovery),
            (word.configuration.clusters != own.configuration.clusters, Misconfiguration::OtherClusters),
            (word.version != own.version, Misconfiguration::OtherVersion),
            (word.dead != own.timings.dead(), Misconfiguration::OtherTimings),
        ];
        groups.chain(rest.into_iter().filter_map(|(wrong, what)| wrong.then_some(what))).collect()
    }
}

type Configured =
    (super::NodeId, super::Recovery, u64, u16, std::time::Duration, [Option<(u8, super::Role)>; MOST_GROUPS]);

/// What of a heartbeat is compared.
fn configured(word: &Heartbeat) -> Configured {
    let roles = word.groups.map(|group| group.map(|group| (group.group.0, group.role)));
    (word.node, word.recovery, word.configuration.clusters, word.version, word.dead, roles)
}
