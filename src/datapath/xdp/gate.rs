//! What all packets look at first: which bank of the service table counts, and the gate, a bit for the last two bytes of each
//! cluster address, by which most packets that are not ours go at once.

use std::mem::offset_of;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::packet::Plan;
use crate::packet::layout::live;
use crate::sys::datapath_layout::Live;

use super::tables::Tables;

/// Opens the gate for the plan's addresses, swaps the banks, and closes the gate for all others.
pub(super) fn publish(tables: &Tables, plan: &Plan, bank: u32, salt: u64) {
    let Some(words) = tables.live.element(0) else { return };
    let wanted = gate_of(plan);
    let (gate, head) = (words.get(GATE_AT..).unwrap_or_default(), words.get(..GATE_AT).unwrap_or_default());
    for (word, bits) in gate.iter().zip(wanted.iter()) {
        word.fetch_or(*bits, Ordering::Relaxed);
    }
    let flags = [live::WILDCARD4, live::WILDCARD6, live::IPV6];
    let set = plan.services.iter().fold(0, |set, service| set | live_flags(service.address));
    if let [state, _, salts @ ..] = head
        && let Some(own) = salts.get(bank as usize)
    {
        own.store(salt, Ordering::Relaxed);
        let cleared = !(u64::from(flags.iter().fold(0, |all, flag| all | flag)) << 32 | 0xffff_ffff);
        let _ = state.fetch_update(Ordering::Release, Ordering::Relaxed, |before| {
            Some(before & cleared | u64::from(set) << 32 | u64::from(bank))
        });
    }
    for (word, bits) in gate.iter().zip(wanted.iter()) {
        word.store(*bits, Ordering::Relaxed);
    }
}

/// The gate's first word in [`Live`].
const GATE_AT: usize = offset_of!(Live, gate) / 8;

fn live_flags(address: IpAddr) -> u32 {
    match (address, address.is_unspecified()) {
        (IpAddr::V4(_), true) => live::WILDCARD4,
        (IpAddr::V6(_), true) => live::WILDCARD6 | live::IPV6,
        (IpAddr::V4(_), false) => 0,
        (IpAddr::V6(_), false) => live::IPV6,
    }
}

fn gate_of(plan: &Plan) -> Vec<u64> {
    let mut gate = vec![0_u64; 1024];
    for service in &plan.services {
        let IpAddr::V4(address) = service.address else { continue };
        if address.is_unspecified() {
            gate.fill(u64::MAX);
        }
        // The program tests the upper half of the address as it loads it: the last two bytes of the wire.
        let low = u32::from_ne_bytes(address.octets()) >> 16;
        if let Some(word) = gate.get_mut((low >> 6) as usize) {
            *word |= 1 << (low & 63);
        }
    }
    gate
}
