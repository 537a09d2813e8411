//! Makes the tables that data paths read.

use std::sync::Arc;

use crate::executor::{PortPlan, PortTable, ServerPlan};
use crate::model::PortId;

use super::state::PortState;
use super::{Action, Dispatcher};

impl Dispatcher {
    /// One new table with every port that changed since the last one; nothing if none did.
    pub(super) fn publish(&mut self) {
        if self.dirty.is_empty() && self.gone.is_empty() {
            return;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let gone = std::mem::take(&mut self.gone);
        let changed: Vec<PortTable> = dirty.iter().filter_map(|&id| self.port_table(id)).collect();
        self.table = Arc::new(self.table.with(changed, &gone));
        self.actions.push_back(Action::Publish(Arc::clone(&self.table)));
        // Not before: what is cut looks for another server, and must not find the same one again.
        self.actions.extend(self.cuts.drain(..).map(|server| Action::Cut { server }));
    }

    fn port_table(&self, id: PortId) -> Option<PortTable> {
        let port = self.ports.get(&id)?;
        Some(PortTable::new(PortPlan {
            id,
            key: port.key.clone(),
            address: port.listen.ip(),
            settings: &port.settings,
            servers: self.server_plans(port),
            affinity_group: port.affinity_group,
            affinity: &self.affinity,
            sorry: &port.sorry,
            tls: port.tls.front.clone(),
            accesslog: port.settings.accesslog.as_ref().and_then(|log| self.identities.known_access_log(&log.path)),
            counters: &port.counters,
            cookie_key: &self.cookie_key,
            previous: self.table.port(id).map(Arc::as_ref),
        }))
    }

    fn server_plans(&self, port: &PortState) -> Vec<ServerPlan<'_>> {
        let links = port.tls.links.iter().cloned().chain(std::iter::repeat(None));
        let states = port.servers.iter().zip(links).filter_map(|(id, link)| Some((self.servers.get(id)?, link)));
        states
            .map(|(state, tls)| ServerPlan {
                tls,
                id: state.id,
                server: &state.server,
                address: state.address,
                weight: state.ramped.unwrap_or(state.weight),
                health: state.health.clone(),
                standing: state.standing,
                counters: &state.counters,
            })
            .collect()
    }
}
