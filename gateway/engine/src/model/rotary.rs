//! Rotary positions: pairs of numbers of each head turned by an angle that grows with the position.

use super::description::{Pairing, RotaryScaling, RotarySpec};
use super::part::Part;
use super::source::Source;
use crate::error::LoadError;

/// The turning speeds of one kind of layer.
pub(crate) struct Rotary {
    pairing: Pairing,
    speeds: Vec<f32>,
}

/// Sine and cosine of each pair's angle, a row for each position.
#[derive(Default)]
pub(crate) struct Turns(Vec<(f32, f32)>);

impl Turns {
    /// The same turns the other way.
    pub(crate) fn reversed(&self) -> Self {
        Self(self.0.iter().map(|(sin, cos)| (-sin, *cos)).collect())
    }
}

impl Rotary {
    /// Reckons the speeds.
    pub(crate) fn new(spec: &RotarySpec, source: &mut dyn Source) -> Result<Self, LoadError> {
        let (base, dims) = (spec.base, spec.dims);
        let mut speeds: Vec<f32> = (0..dims).step_by(2).map(|i| 1.0 / base.powf(i as f32 / dims as f32)).collect();
        match spec.scaling {
            RotaryScaling::None => {}
            RotaryScaling::Linear(factor) => speeds.iter_mut().for_each(|s| *s /= factor),
            RotaryScaling::Factors => {
                for (speed, factor) in speeds.iter_mut().zip(source.plain(Part::RotaryFactors, dims / 2)?) {
                    *speed /= factor;
                }
            }
            RotaryScaling::Llama3 { factor, low, high, original } => {
                for speed in &mut speeds {
                    let rounds = original * *speed / std::f32::consts::TAU;
                    let kept = ((rounds - low) / (high - low)).clamp(0.0, 1.0);
                    *speed = kept * *speed + (1.0 - kept) * *speed / factor;
                }
            }
        }
        Ok(Self { pairing: spec.pairing, speeds })
    }

    /// The turns of some positions.
    pub(crate) fn turns(&self, positions: &[u32], turns: &mut Turns) {
        turns.0.clear();
        for position in positions {
            turns.0.extend(self.speeds.iter().map(|speed| (*position as f32 * speed).sin_cos()));
        }
    }

    /// Turns `heads` heads of `dim` numbers in each row, a row for each position that `turns` was made of.
    pub(crate) fn turn(&self, rows: &mut [f32], turns: &Turns, heads: usize, dim: usize) {
        let pairs = self.speeds.len();
        for (row, turns) in rows.chunks_exact_mut(heads * dim).zip(turns.0.chunks_exact(pairs)) {
            for head in row.chunks_exact_mut(dim) {
                match self.pairing {
                    Pairing::Interleaved => {
                        for (pair, turn) in head.chunks_exact_mut(2).zip(turns) {
                            (pair[0], pair[1]) = turned(pair[0], pair[1], *turn);
                        }
                    }
                    Pairing::Halves => {
                        let (first, second) = head[..2 * pairs].split_at_mut(pairs);
                        for ((a, b), turn) in first.iter_mut().zip(second).zip(turns) {
                            (*a, *b) = turned(*a, *b, *turn);
                        }
                    }
                }
            }
        }
    }
}

fn turned(a: f32, b: f32, (sin, cos): (f32, f32)) -> (f32, f32) {
    (a * cos - b * sin, a * sin + b * cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotary(pairing: Pairing) -> Rotary {
        Rotary { pairing, speeds: vec![1.0, 0.5] }
    }

    #[test]
    fn both_pairings_turn_the_same_pairs() {
        let (mut beside, mut halves) = ([1.0, 2.0, 3.0, 4.0, 9.0, 9.0], [1.0, 3.0, 2.0, 4.0, 9.0, 9.0]);
        for (pairing, head) in [(Pairing::Interleaved, &mut beside), (Pairing::Halves, &mut halves)] {
            let (rotary, mut turns) = (rotary(pairing), Turns::default());
            rotary.turns(&[3], &mut turns);
            rotary.turn(head, &turns, 1, 6);
        }
        assert_eq!([beside[0], beside[2], beside[1], beside[3]], halves[..4]);
        assert_eq!((beside[4..].to_vec(), halves[4..].to_vec()), (vec![9.0; 2], vec![9.0; 2]), "the rest stays");
        let expected = 1.0 * 3f32.cos() - 2.0 * 3f32.sin();
        assert!((beside[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn position_zero_turns_nothing() {
        let (rotary, mut turns) = (rotary(Pairing::Halves), Turns::default());
        rotary.turns(&[0, 1], &mut turns);
        let mut rows = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0];
        rotary.turn(&mut rows, &turns, 1, 4);
        assert_eq!(rows[..4], [1.0, 2.0, 3.0, 4.0]);
        assert!(rows[4] != 1.0);
    }
}
