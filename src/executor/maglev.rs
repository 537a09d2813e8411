//! The consistent hash's table (Eisenbud and others, "Maglev", NSDI 2016, section 3.4), weighted.
//!
//! Whoever builds it from the same servers gets the same table, whatever order they come in: two dispatchers agree on each
//! client without exchanging a word. When a server goes, nearly all clients of the others stay where they are.

/// Sizes that are used: primes, so that each server's walk visits every place.
const SIZES: [usize; 9] = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521];

/// Places for each server at least, as long as the biggest size allows: shares are then within some percent of weights.
const PLACES_A_SERVER: usize = 100;

/// One server: its place in the caller's list, the hash of its name, and its weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    pub place: u16,
    pub name_hash: u64,
    /// 0: it gets nothing, for now.
    pub weight: u32,
}

/// For each place of the table the place of its server. Empty when no candidate has a weight.
///
/// Candidates without weight count for the table's size. Who leaves out a server that is down for a while gets a table of
/// another size at some numbers of servers, and there nearly all clients move.
pub fn table(candidates: &[Candidate]) -> Vec<u16> {
    let mut walkers: Vec<_> = candidates.iter().filter(|candidate| candidate.weight > 0).copied().collect();
    walkers.sort_by_key(|candidate| (candidate.name_hash, candidate.place));
    let size = size_for(candidates.len());
    let heaviest = walkers.iter().map(|candidate| candidate.weight).max().unwrap_or(0);
    let mut walkers: Vec<_> = walkers.into_iter().map(|candidate| Walker::new(candidate, size)).collect();
    if walkers.is_empty() {
        return Vec::new();
    }
    let mut table = vec![None; size];
    let mut left = size;
    while left > 0 {
        for walker in &mut walkers {
            if left > 0 && walker.has_turn(heaviest) {
                walker.settle(&mut table);
                left -= 1;
            }
        }
    }
    table.into_iter().flatten().collect()
}

fn size_for(servers: usize) -> usize {
    let wanted = servers * PLACES_A_SERVER;
    let [.., biggest] = SIZES;
    SIZES.into_iter().find(|size| *size >= wanted).unwrap_or(biggest)
}

/// A server on its walk over the table.
struct Walker {
    candidate: Candidate,
    at: usize,
    step: usize,
    /// Weight saved up; a place costs as much as the heaviest server earns in a round.
    saved: u32,
}

impl Walker {
    fn new(candidate: Candidate, size: usize) -> Self {
        let at = mix(candidate.name_hash, 0x9e37_79b9_7f4a_7c15) % size as u64;
        let step = mix(candidate.name_hash, 0xc2b2_ae3d_27d4_eb4f) % (size as u64 - 1) + 1;
        Self { candidate, at: at as usize, step: step as usize, saved: 0 }
    }

    fn has_turn(&mut self, price: u32) -> bool {
        self.saved += self.candidate.weight;
        let rich = self.saved >= price;
        if rich {
            self.saved -= price;
        }
        rich
    }

    /// Takes the next free place on its walk; there is one.
    fn settle(&mut self, table: &mut [Option<u16>]) {
        loop {
            let place = self.at;
            self.at = (self.at + self.step) % table.len();
            if let Some(free @ None) = table.get_mut(place) {
                *free = Some(self.candidate.place);
                return;
            }
        }
    }
}

fn mix(hash: u64, salt: u64) -> u64 {
    let mut mixed = hash ^ salt;
    for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ mixed >> 31).wrapping_mul(multiplier);
    }
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let candidate = |(place, &weight): (usize, &u32)| Candidate {
            place: place as u16,
            name_hash: mix(place as u64 + 1, 7),
            weight,
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn share(table: &[u16], place: u16) -> f64 {
        table.iter().filter(|&&server| server == place).count() as f64 / table.len() as f64
    }

    proptest! {
        #[test]
        fn shares_follow_weights(weights in prop::collection::vec(1..20_u32, 1..40)) {
            let table = table(&candidates(&weights));
            let sum: u32 = weights.iter().sum();
            for (place, &weight) in weights.iter().enumerate() {
                let wanted = f64::from(weight) / f64::from(sum);
                let got = share(&table, place as u16);
                prop_assert!((got - wanted).abs() <= 0.03 * wanted + 2.0 / table.len() as f64 * f64::from(weight), "{got} {wanted}");
            }
        }

        #[test]
        fn the_order_of_the_list_does_not_matter(weights in prop::collection::vec(0..5_u32, 1..20), seed in any::<u64>()) {
            let in_order = candidates(&weights);
            let mut shuffled = in_order.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            prop_assert_eq!(table(&in_order), table(&shuffled));
        }

        #[test]
        fn few_clients_move_when_a_server_goes(servers in 2..30_usize, gone in any::<prop::sample::Index>()) {
            let gone = gone.index(servers) as u16;
            let all = candidates(&vec![1; servers]);
            let mut rest = all.clone();
            rest[usize::from(gone)].weight = 0;
            let (before, after) = (table(&all), table(&rest));
            prop_assert_eq!(before.len(), after.len());
            let moved = before.iter().zip(&after).filter(|(a, b)| a != b && **a != gone).count();
            prop_assert!(moved as f64 <= before.len() as f64 * 0.12, "{moved} of {}", before.len());
        }
    }

    #[test]
    fn without_weight_there_is_no_table() {
        assert!(table(&[]).is_empty());
        assert!(table(&candidates(&[0, 0])).is_empty());
        assert_eq!(table(&candidates(&[3])).len(), 251);
    }
}
