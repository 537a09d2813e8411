//! Why packets went where they went.

/// What becomes of a packet that is counted for a reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It went to a server, or back to its client.
    Sent,
    /// It went to this host's own network stack.
    Passed,
    /// It was discarded.
    Dropped,
    /// It is counted under another reason, or at its server, too.
    Remark,
}

/// A reason: its word in reports and metrics, what became of the packet, and what it means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reason {
    pub word: &'static str,
    pub fate: Fate,
    pub meaning: &'static str,
}

const fn reason(word: &'static str, fate: Fate, meaning: &'static str) -> Reason {
    Reason { word, fate, meaning }
}

impl Reason {
    /// In the order of `enum reason` in `program/layout.h`.
    pub const ALL: [Self; 26] = [
        reason("foreign", Fate::Passed, "for no cluster address"),
        reason("other-mac", Fate::Passed, "the frame is for another station, a group or everybody"),
        reason("not-ip", Fate::Passed, "neither IPv4 nor IPv6"),
        reason("protocol", Fate::Passed, "for a cluster address, but neither TCP, UDP nor ICMP"),
        reason("partner", Fate::Passed, "from a partner dispatcher, which has decided already"),
        reason("unserved-pass", Fate::Passed, "no service has this port, and the cluster passes such packets"),
        reason("local", Fate::Passed, "for a collocated server"),
        reason("forwarded", Fate::Sent, "to a server by the interface that it came in on"),
        reason("redirected", Fate::Remark, "to a server by another interface"),
        reason("echo", Fate::Sent, "an echo request was answered"),
        reason("reset", Fate::Sent, "the client of a dead server was told"),
        reason("icmp-pass", Fate::Passed, "ICMP that is neither an echo request nor an error"),
        reason("malformed", Fate::Dropped, "shorter than its headers say"),
        reason("unserved", Fate::Dropped, "no service has this port"),
        reason("no-server", Fate::Dropped, "no server may take it"),
        reason("no-neighbour", Fate::Dropped, "the server's MAC address is not known"),
        reason("stray-fin", Fate::Dropped, "a FIN of no known connection"),
        reason("stray-ack", Fate::Dropped, "an ACK of no known connection"),
        reason("stray-rst", Fate::Dropped, "a reset of no known connection"),
        reason("stray-other", Fate::Dropped, "another segment of no known connection"),
        reason("fragment", Fate::Dropped, "a later fragment whose first one was not seen"),
        reason("icmp-unknown", Fate::Dropped, "an error about no known connection"),
        reason("broken-plan", Fate::Dropped, "the tables are not as they should be: a fault of this program"),
        reason("table-full", Fate::Remark, "forwarded by consistent hash, as the connection table has no room"),
        reason("stateless", Fate::Remark, "forwarded by consistent hash and not remembered, in a flood"),
        reason("affinity-full", Fate::Remark, "an affinity record could not be made"),
    ];

    /// Whether a packet of this reason is a packet that a cluster lost.
    pub fn is_drop(self) -> bool {
        self.fate == Fate::Dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header is the specification: `REASON_NO_SERVER` is `no-server`.
    #[test]
    fn the_words_are_those_of_the_program() {
        let header = include_str!("program/layout.h");
        let start = header.find("enum reason {").unwrap();
        let names = header[start..].lines().skip(1).map_while(|line| {
            let line = line.trim().trim_end_matches(',');
            (!line.starts_with("REASONS")).then_some(line)
        });
        let words: Vec<String> = names
            .filter_map(|name| name.strip_prefix("REASON_"))
            .map(|name| name.to_lowercase().replace('_', "-"))
            .collect();
        assert_eq!(words, Reason::ALL.map(|reason| reason.word));
    }
}
