//! What a dispatcher that stands by leaves to the active one.

use super::{Command, Level};
use crate::config::Refusal;

/// Why a command is not carried out on a dispatcher whose partner serves. `active`: what the partner is called, by its name or its
/// address. `None`: it is carried out.
///
/// The pair has one configuration, and it goes from the active to the standby. What is typed on the standby would be gone with
/// the next copy, or would make the two serve different things; so the operator is sent to where it counts.
pub fn standby_refusal(command: &Command, active: &str) -> Option<Refusal> {
    if command.level() == Level::Read || is_about_this_dispatcher(command) {
        return None;
    }
    Some(Refusal::Refused(format!(
        "this dispatcher stands by, and nothing was changed: {active} is active; give the command there, or take over first with `highavailability takeover`"
    )))
}

/// About this process, its files and its half of the pair, which the partner has its own of.
fn is_about_this_dispatcher(command: &Command) -> bool {
    match command {
        Command::Change(change) => change.is_local(),
        Command::Takeover { .. }
        | Command::ExecutorStart
        | Command::ExecutorStop
        | Command::LogReopen
        | Command::CertificateReload
        | Command::FileSave { .. }
        | Command::FileDelete { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::split_words;

    fn refusal(line: &str) -> Option<String> {
        let command = Command::parse(&split_words(line).expect(line)).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        standby_refusal(&command, "lb1").map(|refusal| refusal.to_string())
    }

    #[test]
    fn what_both_have_the_same_is_changed_at_the_active() {
        for line in [
            "cluster add shop address 192.0.2.10",
            "server down shop:80:w1",
            "manager quiesce w1",
            "manager interval 3",
            "advisor start http 80",
            "executor set maxaffinity 5",
            "alerts set timeout 5",
            "file newload site.toml",
            "file appendload more.cfg",
        ] {
            let told = refusal(line).unwrap_or_else(|| panic!("{line} is carried out"));
            assert!(told.contains("lb1 is active"), "{told}");
        }
    }

    #[test]
    fn what_is_this_dispatchers_own_is_carried_out() {
        for line in [
            "status",
            "server report",
            "explain 203.0.113.7 shop:80",
            "highavailability takeover",
            "highavailability status",
            "highavailability set hatimeout 3",
            "highavailability backup delete",
            "highavailability heartbeat add 10.0.0.1 10.0.0.2",
            "highavailability reach delete 10.0.0.254",
            "manager reach set interval 9",
            "control set mode 0600",
            "metrics set listen \"\"",
            "set loglevel 2",
            "executor start",
            "executor stop",
            "executor logreopen",
            "executor certreload",
            "file save site.toml",
            "file delete site.toml",
        ] {
            assert_eq!(refusal(line), None, "{line}");
        }
    }
}
