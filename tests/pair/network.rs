//! The links between the two, one for each direction of each path, and the LAN of the clients.

use crate::random::Random;
use crate::time::{MS, Time};

pub const PATHS: usize = 2;

/// One direction of one path.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub least: Time,
    /// Added to `least`, evenly spread: what is sent later may arrive sooner.
    pub spread: Time,
    pub loss_permille: u32,
    pub twice_permille: u32,
    pub cut: bool,
}

impl Link {
    pub const GOOD: Self = Self { least: MS / 5, spread: MS / 5, loss_permille: 0, twice_permille: 0, cut: false };

    /// How long each copy of what is sent now travels.
    pub fn carry(&self, random: &mut Random) -> [Option<Time>; 2] {
        if self.cut || random.permille(self.loss_permille) {
            return [None, None];
        }
        let again = random.permille(self.twice_permille);
        [Some(self.delay(random)), again.then(|| self.delay(random))]
    }

    fn delay(&self, random: &mut Random) -> Time {
        self.least + random.between(0, self.spread + 1)
    }
}

/// `links[from][path]`.
pub type Links = [[Link; PATHS]; 2];

/// Who announced a group's addresses last, as far as the clients know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lan {
    pub owner: [Option<usize>; 2],
}
