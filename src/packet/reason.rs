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

/// Writes the enum and its tables from one list, in the order of `enum reason` in `datapath/xdp/program/layout.h`.
macro_rules! reasons {
    ($($variant:ident, $word:literal, $fate:ident, $meaning:literal;)+) => {
        /// Why a packet went where it went, by its place among what is counted.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u32)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)+
        }

        impl Reason {
            /// Every reason, each at its number.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Its word in reports and metrics.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What became of the packet.
            pub const fn fate(self) -> Fate {
                match self { $(Self::$variant => Fate::$fate,)+ }
            }
        }
    };
}

reasons! {
    Foreign, "foreign", Passed, "For no cluster address.";
    OtherMac, "other-mac", Passed, "The frame is for another station, a group or everybody.";
    NotIp, "not-ip", Passed, "Neither IPv4 nor IPv6.";
    Protocol, "protocol", Passed, "For a cluster address, but neither TCP, UDP nor ICMP.";
    Partner, "partner", Passed, "From a partner dispatcher, which has decided already.";
    UnservedPass, "unserved-pass", Passed, "No service has this port, and the cluster passes such packets.";
    Local, "local", Passed, "For a collocated server.";
    Forwarded, "forwarded", Sent, "To a server by the interface that it came in on.";
    Redirected, "redirected", Remark, "To a server by another interface.";
    Echo, "echo", Sent, "An echo request was answered.";
    Reset, "reset", Sent, "The client of a dead server was told.";
    IcmpPass, "icmp-pass", Passed, "ICMP that is neither an echo request nor an error.";
    Malformed, "malformed", Dropped, "Shorter than its headers say.";
    Unserved, "unserved", Dropped, "No service has this port.";
    NoServer, "no-server", Dropped, "No server may take it.";
    NoNeighbour, "no-neighbour", Dropped, "The server's MAC address is not known.";
    StrayFin, "stray-fin", Dropped, "A FIN of no known connection.";
    StrayAck, "stray-ack", Dropped, "An ACK of no known connection.";
    StrayRst, "stray-rst", Dropped, "A reset of no known connection.";
    StrayOther, "stray-other", Dropped, "Another segment of no known connection.";
    Fragment, "fragment", Dropped, "A later fragment whose first one was not seen.";
    IcmpUnknown, "icmp-unknown", Dropped, "An error about no known connection.";
    BrokenPlan, "broken-plan", Dropped, "The tables are not as they should be, a fault of this program: a connection or a \
        policy is of a number that there cannot be. A ring that names such a server counts as one without any.";
    TableFull, "table-full", Remark, "Forwarded by consistent hash, as the connection table has no room.";
    Stateless, "stateless", Remark, "Forwarded by consistent hash and not remembered, in a flood.";
    AffinityFull, "affinity-full", Remark, "An affinity record could not be made. The kernel's table is full and the nodes \
        that it would give up are in the hands of other CPUs at that very moment; the twin's always makes room.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header is the specification: `REASON_NO_SERVER` is [`Reason::NoServer`] and `no-server`.
    #[test]
    fn the_words_are_those_of_the_program() {
        let header = include_str!("../datapath/xdp/program/layout.h");
        let start = header.find("enum reason {").unwrap();
        let names = header[start..].lines().skip(1).map_while(|line| {
            let line = line.trim().trim_end_matches(',');
            (!line.starts_with("REASONS")).then_some(line)
        });
        let names: Vec<String> = names.filter_map(|name| name.strip_prefix("REASON_")).map(str::to_lowercase).collect();
        let words: Vec<String> = names.iter().map(|name| name.replace('_', "-")).collect();
        assert_eq!(words, Reason::ALL.map(Reason::word));
        for reason in Reason::ALL {
            assert_eq!(names[reason as usize].replace('_', ""), format!("{reason:?}").to_lowercase());
        }
    }
}
