//! Where a flow belongs: the buckets of its entry, the fingerprint that stands for it, the server that the consistent hash
//! gives it.
//!
//! All are multilinear hashes (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): the high half of
//! `k0 + Σ k(i+1)·w(i)` in 64-bit arithmetic that wraps, over words of 32 bits. With secret random keys two different
//! inputs meet with a probability of 2^-32, whatever a sender who does not know the keys may choose.
//!
//! `datapath/xdp/program/hash.h` computes the same numbers in the kernel. Both take addresses and ports as a load of the
//! packet's bytes gives them, so the numbers are those of little-endian machines.

/// Secret random numbers under which flows are hashed. Three families use keys of their own, so that knowing a flow's
/// bucket tells nothing about its fingerprint.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct HashKeys(pub [u64; 32]);

/// The keys of each family: where they begin, and how many words they serve.
const FIRST_BUCKET: usize = 0;
const SECOND_BUCKET: usize = 3;
const FINGERPRINT_HIGH: usize = 8;
const FINGERPRINT_LOW: usize = 19;

/// Whose packet it is, with words as loads of the packet's bytes give them; an IPv4 address is the last word of four.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flow {
    pub saddr: [u32; 4],
    pub daddr: [u32; 4],
    pub sport: u16,
    pub dport: u16,
    /// The number of the transport protocol.
    pub protocol: u8,
}

/// The name under which the connection table knows a flow. Its lowest 16 bits are the flow's service, at least 1: a key is
/// never 0.
pub type Key = u64;

/// Keys of the client's hash. They are no secret and never change: two dispatchers must find the same server. A client
/// who steers its own flows to one server can do no more harm than by sending them there at all.
pub const MAGLEV_KEYS: [u64; 6] = [
    0x8f14_e45f_ceea_167a,
    0x9b74_c989_7bac_770f,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x27d4_eb2f_1656_67c5,
    0xd6e8_feb8_6659_fd93,
];

impl Flow {
    /// The key of an IPv4 flow of a service with one address and one port: all of the flow.
    pub fn exact_key(&self, service: u16) -> Key {
        let [.., client] = self.saddr;
        u64::from(client) << 32 | u64::from(self.sport) << 16 | u64::from(service)
    }

    /// The key of any other flow: 48 bits that stand for it. Of a million flows of one service one in some 280 million
    /// meets another one.
    pub fn fingerprint_key(&self, service: u16, keys: &HashKeys) -> Key {
        let words = self.words();
        let high = keys.hash(FINGERPRINT_HIGH, &words);
        let low = keys.hash(FINGERPRINT_LOW, &words) & 0xffff_0000;
        u64::from(high) << 32 | u64::from(low) | u64::from(service)
    }

    /// The consistent hash of the client, by address and port. What it is a place of: see [`in_range`].
    pub fn client_hash(&self) -> u32 {
        let [a, b, c, d] = self.saddr;
        multilinear(&MAGLEV_KEYS, &[a, b, c, d, self.ports()])
    }

    fn words(&self) -> [u32; 10] {
        let ([a, b, c, d], [e, f, g, h]) = (self.saddr, self.daddr);
        [a, b, c, d, e, f, g, h, self.ports(), u32::from(self.protocol)]
    }

    fn ports(&self) -> u32 {
        u32::from(self.sport) | u32::from(self.dport) << 16
    }
}

impl HashKeys {
    /// The two buckets, of `buckets`, that an entry of this key may be in. They differ when there are two buckets at all.
    pub fn buckets_of(&self, key: Key, buckets: u32) -> [u32; 2] {
        let words = [key as u32, (key >> 32) as u32];
        let first = in_range(self.hash(FIRST_BUCKET, &words), buckets);
        let second = in_range(self.hash(SECOND_BUCKET, &words), buckets);
        if second != first {
            return [first, second];
        }
        let next = first.wrapping_add(1);
        [first, if next < buckets { next } else { 0 }]
    }

    fn hash(&self, first: usize, words: &[u32]) -> u32 {
        multilinear(self.0.get(first..).unwrap_or_default(), words)
    }
}

/// The high half of `k0 + Σ k(i+1)·w(i)`. There is a key for each word, and one more.
fn multilinear(keys: &[u64], words: &[u32]) -> u32 {
    let [start, keys @ ..] = keys else { return 0 };
    let products = keys.iter().zip(words).map(|(key, &word)| key.wrapping_mul(u64::from(word)));
    (products.fold(*start, u64::wrapping_add) >> 32) as u32
}

/// From a hash to 0..`n` without a division, evenly (Lemire, "Fast random integer generation in an interval", 2019).
pub fn in_range(hash: u32, n: u32) -> u32 {
    ((u64::from(hash) * u64::from(n)) >> 32) as u32
}

impl std::fmt::Debug for HashKeys {
    /// Nothing of the keys: who knows them can make flows that share a bucket.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(seed: u64) -> HashKeys {
        let mut random = fastrand::Rng::with_seed(seed);
        HashKeys(std::array::from_fn(|_| random.u64(..)))
    }

    fn flow() -> impl Strategy<Value = Flow> {
        any::<([u32; 4], [u32; 4], u16, u16, u8)>().prop_map(|(saddr, daddr, sport, dport, protocol)| Flow {
            saddr,
            daddr,
            sport,
            dport,
            protocol,
        })
    }

    /// Numbers that `hash.h` gives, compiled for this machine, with keys 1·g, 2·g, 3·g, … where g = 0x9e3779b97f4a7c15.
    #[test]
    fn the_numbers_are_those_of_the_program() {
        let keys = HashKeys(std::array::from_fn(|place| (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let v4 = Flow {
            saddr: [0, 0, 0, u32::from_ne_bytes([203, 0, 113, 7])],
            daddr: [0, 0, 0, u32::from_ne_bytes([192, 0, 2, 10])],
            sport: 4000_u16.to_be(),
            dport: 80_u16.to_be(),
            protocol: 6,
        };
        let v6 = Flow { saddr: [1, 2, 3, 4], daddr: [5, 6, 7, 8], sport: 9, dport: 10, protocol: 17 };
        EXPECTED.iter().zip([v4, v6]).for_each(|(expected, flow)| {
            let exact = flow.exact_key(6);
            let [first, second] = keys.buckets_of(exact, 393_216);
            let found = (exact, flow.fingerprint_key(7, &keys), first, second, flow.client_hash());
            assert_eq!(found, *expected);
        });
    }

    proptest! {
        #[test]
        fn buckets_are_two_of_those_there_are(key in any::<u64>(), buckets in 2..1_000_000_u32, seed in any::<u64>()) {
            let [first, second] = keys(seed).buckets_of(key, buckets);
            prop_assert!(first < buckets && second < buckets && first != second);
        }

        #[test]
        fn every_word_of_a_flow_counts(flow in flow(), other in flow(), part in 0..5_usize, seed in any::<u64>()) {
            let mut changed = flow;
            match part {
                0 => changed.saddr = other.saddr,
                1 => changed.daddr = other.daddr,
                2 => changed.sport = other.sport,
                3 => changed.dport = other.dport,
                _ => changed.protocol = other.protocol,
            }
            let keys = keys(seed);
            prop_assert_eq!(flow == changed, flow.fingerprint_key(1, &keys) == changed.fingerprint_key(1, &keys));
        }

        #[test]
        fn a_key_tells_its_service_and_is_never_nothing(flow in flow(), service in 1..u16::MAX, seed in any::<u64>()) {
            for key in [flow.exact_key(service), flow.fingerprint_key(service, &keys(seed))] {
                prop_assert_eq!(key as u16, service);
            }
        }
    }

    #[test]
    fn entries_spread_evenly() {
        let (keys, buckets) = (keys(7), 64);
        let mut found = vec![0_u32; buckets as usize];
        for client in 0..64_000_u64 {
            for bucket in keys.buckets_of(client << 32 | 1, buckets) {
                found[bucket as usize] += 1;
            }
        }
        // 2,000 expected, ±45 the standard deviation.
        assert!(found.iter().all(|count| (1_750..2_250).contains(count)), "{found:?}");
    }

    #[test]
    fn a_range_is_covered_from_end_to_end() {
        assert_eq!([0, u32::MAX].map(|hash| in_range(hash, 251)), [0, 250]);
        assert_eq!(in_range(u32::MAX, 0), 0);
    }

    #[test]
    fn keys_do_not_reach_a_log() {
        assert_eq!(format!("{:?}", keys(1)), "HashKeys(..)");
    }

    const EXPECTED: [(u64, u64, u32, u32, u32); 2] = [
        (0x0771_00cb_a00f_0006, 0x709c_c2de_64a3_0007, 377_426, 366_490, 354_871_220),
        (0x0000_0004_0009_0006, 0x37e5_72e9_d1c6_0007, 3_779, 95_501, 329_966_132),
    ];
}
