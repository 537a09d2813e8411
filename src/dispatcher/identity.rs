//! Short identities for names, given out once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::model::{AccessLogId, PortId, PortKey, ServerId, ServerKey};

/// The identities of this process. A name keeps its identity when it is removed and comes back, so that what was
/// measured under it is never taken for another's; the few bytes per name ever used are the price.
#[derive(Debug, Default)]
pub(super) struct Identities {
    ports: HashMap<PortKey, PortId>,
    servers: HashMap<ServerKey, ServerId>,
    access_logs: HashMap<PathBuf, AccessLogId>,
}

impl Identities {
    /// The identity of this port, a new one if it never had any.
    pub fn port(&mut self, key: &PortKey) -> PortId {
        let next = PortId(self.ports.len() as u32);
        *self.ports.entry(key.clone()).or_insert(next)
    }

    /// The identity of this server, a new one if it never had any.
    pub fn server(&mut self, key: &ServerKey) -> ServerId {
        let next = ServerId(self.servers.len() as u32);
        *self.servers.entry(key.clone()).or_insert(next)
    }

    /// The identity of this file, a new one if it never had any.
    pub fn access_log(&mut self, path: &Path) -> AccessLogId {
        let next = AccessLogId(self.access_logs.len() as u32);
        *self.access_logs.entry(path.to_owned()).or_insert(next)
    }

    pub fn known_access_log(&self, path: &Path) -> Option<AccessLogId> {
        self.access_logs.get(path).copied()
    }

    pub fn known_port(&self, key: &PortKey) -> Option<PortId> {
        self.ports.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, PortNumber};

    #[test]
    fn a_name_that_comes_back_is_itself() {
        let key = |name| ServerKey {
            port: PortKey { cluster: Name::new("shop").unwrap(), port: PortNumber::new(80).unwrap() },
            server: Name::new(name).unwrap(),
        };
        let mut identities = Identities::default();
        let [first, second, again] = ["w1", "w2", "w1"].map(|name| identities.server(&key(name)));
        assert_eq!(first, again);
        assert_ne!(first, second);
    }
}
