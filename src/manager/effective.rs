//! What a server's weight comes to, once its state is considered.

use crate::model::{AdministrativeState, Weight};

/// The weight by which a server takes part in the choice: zero exactly if it is down, quiesced or has weight 0 by its
/// operator's wish.
pub fn effective_weight(weight: Weight, state: AdministrativeState, down: bool) -> Weight {
    if down || state != AdministrativeState::Up { Weight::ZERO } else { weight }
}

/// The number that reports show: -1 for down (by an advisor or by `server down`), 0 for quiesced, else the weight.
pub fn reported_weight(weight: Weight, state: AdministrativeState, down: bool) -> i16 {
    if down || state == AdministrativeState::Down {
        return -1;
    }
    i16::from(effective_weight(weight, state, down).get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use AdministrativeState::{Down, Quiesced, QuiescedNow, Up};

    #[test]
    fn shown_and_effective() {
        let weight = Weight::new(7).expect("in range");
        let cases = [
            (Up, false, 7, 7),
            (Up, true, 0, -1),
            (Quiesced, false, 0, 0),
            (QuiescedNow, false, 0, 0),
            (Quiesced, true, 0, -1),
            (Down, false, 0, -1),
        ];
        for (state, down, effective, reported) in cases {
            assert_eq!(effective_weight(weight, state, down).get(), effective, "{state:?} {down}");
            assert_eq!(reported_weight(weight, state, down), reported, "{state:?} {down}");
        }
    }
}
