//! How requests are spread: each balance, backups, bounds, marks.

use super::*;

impl Site {
    fn balance(&mut self, balance: Balance) -> &mut Self {
        self.change(|port, _| port.policy.balance = balance)
    }

    fn plugin(&mut self) -> &mut Self {
        self.change(|port, _| (port.policy.compat, port.policy.max_fails) = (Compat::Plugin, 1))
    }

    fn counters_of(&self, server: usize) -> &Arc<ServerCounters> {
        &self.states[server].counters
    }

    /// Requests that stay at a server.
    fn busy(&self, server: usize, count: usize) -> Vec<ActiveConnection> {
        (0..count).map(|_| ActiveConnection::begin(self.counters_of(server), Lane(0))).collect()
    }

    fn shares(&self, count: usize) -> Vec<usize> {
        let turns = self.run(count);
        let servers = self.port.servers.iter();
        servers.map(|server| turns.matches(server.name.as_str()).count()).collect()
    }

    fn mark(&self, server: usize) {
        self.counters_of(server).mark.mark(self.now, Duration::from_secs(60));
    }
}

/// Runs of clients whose addresses differ.
fn spread_of(weights: &[u64], balance: Balance, count: usize) -> Vec<usize> {
    Site::with_weights(weights).balance(balance).shares(count)
}

#[test]
fn chance_follows_the_weights_and_the_plug_ins_does_not() {
    let shares = spread_of(&[30, 10, 0], Balance::Random, 200);
    assert!((130..=170).contains(&shares[0]) && shares[2] == 0, "{shares:?}");
    let shares = Site::with_weights(&[30, 10]).plugin().balance(Balance::Random).shares(200);
    assert!((75..=125).contains(&shares[0]), "{shares:?}");
}

#[test]
fn the_fewest_connections_for_its_weight() {
    let mut site = Site::with_weights(&[10, 10, 20]);
    site.balance(Balance::LeastConnections);
    let _busy = site.busy(0, 3);
    assert!(!site.run(6).contains('a'));
    let _more = (site.busy(1, 5), site.busy(2, 9));
    assert_eq!(site.next(CLIENT), "a", "4/10 against 6/10 and 10/20");
    let _even = site.busy(0, 2);
    assert_eq!(site.next(CLIENT), "c", "6/10, 6/10, 10/20");
    let idle = Site::with_weights(&[1, 1, 1]).balance(Balance::LeastConnections).shares(30);
    assert_eq!(idle, [10, 10, 10], "idle servers take turns");
}

#[test]
fn two_choices_avoid_the_busiest() {
    let mut site = Site::with_weights(&[10, 10, 10]);
    site.balance(Balance::TwoChoices);
    let _busy = site.busy(1, 100);
    let shares = site.shares(90);
    assert!(shares[1] == 0 && shares[0] > 20 && shares[2] > 20, "{shares:?}");
    site.state(0, AdministrativeState::Down).state(2, AdministrativeState::Down);
    assert_eq!(site.next(CLIENT), "b", "the only one");
}

#[test]
fn the_fastest_until_it_has_more_to_do() {
    let mut site = Site::with_weights(&[10, 10]);
    site.balance(Balance::LeastTime);
    site.counters_of(0).count_response_time(site.now, 10_000);
    site.counters_of(1).count_response_time(site.now, 1_000);
    assert_eq!(site.run(4), "bbbb");
    let _busy = site.busy(1, 12);
    assert_eq!(site.run(2), "aa", "13 × 1 ms against 10 ms");
    site.now += Duration::from_secs(3600);
    drop(_busy);
    assert_eq!(site.shares(2).iter().sum::<usize>(), 2);
}

#[test]
fn the_fewest_bytes_for_its_weight_of_late() {
    let mut site = Site::with_weights(&[10, 20]);
    site.balance(Balance::Traffic);
    site.counters_of(0).count_bytes_out(Lane(0), 1_000_000);
    site.counters_of(1).count_bytes_in(Lane(0), 1_500_000);
    assert_eq!(site.next(CLIENT), "b", "1.5/20 against 1/10");
    site.counters_of(1).count_bytes_out(Lane(0), 1_000_000);
    assert_eq!(site.next(CLIENT), "a");
    (0..400).for_each(|_| site.counters_of(1).age_bytes());
    assert_eq!(site.counters_of(1).recent_bytes(), 0);
    assert_eq!(site.next(CLIENT), "b", "what was carried long ago does not count");
}

#[test]
fn a_client_keeps_its_server_by_hash_while_others_come_and_go() {
    let mut site = Site::with_weights(&[10, 10, 10, 10]);
    site.balance(Balance::Hash);
    let clients: Vec<String> = (0..100).map(|host| format!("203.0.113.{host}")).collect();
    let before: Vec<String> = clients.iter().map(|client| site.next(client)).collect();
    assert_eq!(before, clients.iter().map(|client| site.next(client)).collect::<Vec<_>>());
    assert!(['a', 'b', 'c', 'd'].iter().all(|name| before.iter().filter(|server| server.contains(*name)).count() > 10));
    site.state(1, AdministrativeState::Down);
    let after = clients.iter().map(|client| site.next(client));
    let moved = before.iter().zip(after).filter(|(before, after)| *before != "b" && *before != after).count();
    assert!(moved <= 12, "{moved} clients of others moved");
    let mut tried = Tried::default();
    tried.add(ServerIndex(0));
    assert!(
        matches!(site.ask(CLIENT, &tried, Turn::Take), Decision::Forward { server, .. } if server != ServerIndex(0))
    );
}

#[test]
fn the_plug_in_counts_weights_down() {
    let cases: [(&[u64], &str); 5] = [
        (&[20, 20, 20], "abcabcabc"),
        (&[3, 1], "abaabaaa"),
        (&[4, 2], "ababaa"),
        (&[10, 9, 8], "abcabcabcabcabcabcabcabcaba"),
        (&[0, 2], "bbb"),
    ];
    for (weights, expected) in cases {
        let mut site = Site::with_weights(weights);
        assert_eq!(site.plugin().run(expected.len()), expected, "{weights:?}");
    }
    assert_eq!(Site::with_weights(&[0, 0]).plugin().run(1), "AllDown", "weights of nobody but zero divide nothing");
}

#[test]
fn who_was_left_alone_has_saved_up_no_turns() {
    let mut site = Site::with_weights(&[3, 3]);
    site.plugin().mark(0);
    assert_eq!(site.run(200).matches('a').count(), 0);
    site.counters_of(0).mark.succeed();
    let next = site.run(12);
    assert!(next.matches('b').count() >= 4, "{next}");
}

#[test]
fn the_plug_ins_turns_go_on_in_the_next_table_and_pass_over_the_dead() {
    let mut site = Site::with_weights(&[2, 1, 1]);
    assert_eq!(site.plugin().run(3), "abc");
    site.standing(1, Standing::Out);
    assert_eq!(site.run(4), "acaa", "a still had one turn");
    site.standing(1, Standing::Usable);
    assert!(site.run(8).contains('b'));
}

#[test]
fn backups_stand_in_one_after_the_other() {
    let mut site = Site::with_weights(&[1, 1, 1, 1]);
    site.change(|port, _| (2..4).for_each(|backup| port.servers[backup].proxied.backup = true));
    assert_eq!(site.run(4), "abab");
    site.standing(0, Standing::Out).standing(1, Standing::Out);
    assert_eq!(site.run(3), "ccc", "in the order of the list, not in turn");
    site.standing(2, Standing::Out);
    assert_eq!(site.run(2), "dd");
    site.standing(3, Standing::Out);
    assert_eq!(site.run(1), "AllDown");
}

#[test]
fn who_has_as_many_as_it_may_gets_no_more() {
    let mut site = Site::with_weights(&[1, 1]);
    site.change(|port, _| port.servers.iter_mut().for_each(|server| server.proxied.max_connections = 2));
    let _full = site.busy(0, 2);
    assert_eq!(site.run(3), "bbb");
    let more = site.busy(1, 2);
    assert_eq!(site.run(1), "Busy");
    drop(more);
    assert_eq!(site.run(1), "b");
    site.change(|port, _| port.servers[1].state = AdministrativeState::Down);
    assert_eq!(site.run(1), "Busy", "one is there, but full");
}

#[test]
fn those_in_line_look_only_where_somebody_may_have_room() {
    let mut site = Site::with_weights(&[1, 1]);
    site.change(|port, _| port.servers.iter_mut().for_each(|server| server.proxied.max_connections = 1));
    let room = |site: &Site| site.table.may_have_room(GroupIndex::PORT, site.now);
    assert!(room(&site));
    let (_first, second) = (site.busy(0, 1), site.busy(1, 1));
    assert!(!room(&site));
    drop(second);
    assert!(room(&site));
    site.mark(1);
    assert!(!room(&site), "who is left alone is no room");
    site.standing(0, Standing::Out).standing(1, Standing::Out);
    assert!(room(&site), "what becomes of a group that is down takes more to know");
}

#[test]
fn a_marked_server_is_left_alone_tried_by_one_and_used_when_nobody_else_is_there() {
    let mut site = Site::with_weights(&[1, 1]);
    site.mark(0);
    assert_eq!(site.run(4), "bbbb");
    site.now += Duration::from_secs(60);
    let trials: Vec<bool> = (0..6)
        .filter_map(|_| match site.ask(CLIENT, &Tried::default(), Turn::Take) {
            Decision::Forward { server: ServerIndex(0), trial, .. } => Some(trial),
            _ => None,
        })
        .collect();
    assert_eq!(trials, [true], "exactly one request");
    site.counters_of(0).mark.succeed();
    assert!(site.run(4).contains('a'));
    site.mark(0);
    site.mark(1);
    let both = site.run(4);
    assert!(both.contains('a') && both.contains('b'), "a mark is no verdict: {both}");
}

#[test]
fn failures_never_put_too_many_aside() {
    let site = Site::with_weights(&[1, 1, 1, 1]);
    let may = |site: &Site, server| site.table.may_be_left(GroupIndex::PORT, ServerIndex(server), site.now);
    assert!(may(&site, 0));
    site.mark(0);
    assert!(may(&site, 1), "half of four is left");
    site.mark(1);
    assert!(!may(&site, 2), "that would be a quarter");
    let alone = Site::with_weights(&[1]);
    assert!(!may(&alone, 0), "never the last");
    let mut plugin = Site::with_weights(&[1, 1]);
    plugin.plugin().mark(0);
    assert!(may(&plugin, 1), "the plug-in marks all");
    assert!(!may(Site::with_weights(&[1]).plugin(), 0), "but not the only one");
}
