//! What another version of Tsuji left, and this one finds.

use super::forwarding::{count, lab, settle, site};
use super::lab::CLUSTER;
use super::web::{Visitor, who};

#[test]
fn connections_outlive_a_change_of_version() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    let visitors: Vec<_> = (0..8).map(|_| Visitor::new(&lab)).collect();
    let before: Vec<_> = visitors.iter().map(|visitor| visitor.ask()).collect();
    assert!(count(&before).iter().all(|servers| *servers > 0), "{before:?}");
    lab.restamp_pins(0);
    assert!(lab.refuse_beside(&site("auto", "")).contains("/s0 are in use by tsuji"), "it still runs");
    daemon.kill();
    let status = String::from_utf8(lab.tsuji(&["datapath", "status"]).stdout).unwrap();
    assert!(status.contains("XDP program attached") && status.contains("schema 0, of another version"), "{status}");
    // The order of servers is another one: whoever goes on with the table has to know them by name.
    let mut changed = site("auto", "");
    changed = changed.replacen("name = \"s1\"", "name = \"s9\"", 1).replacen("name = \"s3\"", "name = \"s1\"", 1);
    changed = changed.replacen("name = \"s9\"", "name = \"s3\"", 1);
    changed = changed.replacen("10.77.0.3", "10.77.0.9", 1).replacen("10.77.0.5", "10.77.0.3", 1);
    changed = changed.replacen("10.77.0.9", "10.77.0.5", 1);
    let daemon = lab.start(&changed);
    assert!(daemon.said().contains("of an earlier version (schema 0) are taken over"), "{}", daemon.said());
    assert!(daemon.said().contains("by XDP (adopted)"), "{}", daemon.said());
    let after: Vec<_> = visitors.iter().map(|visitor| visitor.ask()).collect();
    assert_eq!(after, before, "each connection is with its server");
    settle(&lab, &daemon);
    let listed = daemon.dscontrol("connections 10.77.0.1");
    assert!(listed.matches("established").count() >= 8, "{listed}");
    let status = String::from_utf8(lab.tsuji(&["datapath", "status"]).stdout).unwrap();
    assert_eq!(status.matches("attached").count(), 1, "{status}");
    assert!(!status.contains("another version"), "{status}");
}

#[test]
fn tables_that_mean_something_else_give_way() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    daemon.kill();
    lab.restamp_pins(9);
    let daemon = lab.start(&site("auto", ""));
    assert!(daemon.said().contains("its connections are forgotten"), "{}", daemon.said());
    settle(&lab, &daemon);
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [10, 5, 5], "{answers:?}");
    let status = String::from_utf8(lab.tsuji(&["datapath", "status"]).stdout).unwrap();
    assert!(!status.contains("another version"), "{status}");
}
