//! Which rows a step takes: all of them in an order of their own for each time through, drawn from the seed.

use crate::sample::SplitMix;

/// The order of rows.
#[derive(Debug)]
pub(super) struct Order {
    rows: usize,
    seed: u64,
    /// The time through that `drawn` is of.
    through: u64,
    drawn: Vec<usize>,
}

impl Order {
    pub(super) fn new(rows: usize, seed: u64) -> Self {
        Self { rows, seed, through: 0, drawn: draw(rows, seed, 0) }
    }

    /// The row at a place of the endless sequence.
    pub(super) fn at(&mut self, place: u64) -> usize {
        let through = place / self.rows as u64;
        if through != self.through {
            (self.through, self.drawn) = (through, draw(self.rows, self.seed, through));
        }
        self.drawn[(place % self.rows as u64) as usize]
    }
}

/// Fisher and Yates.
fn draw(rows: usize, seed: u64, through: u64) -> Vec<usize> {
    let mut numbers = SplitMix(seed ^ through.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        order.swap(last, (numbers.unit() * (last + 1) as f64) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_through_has_all_rows_in_an_order_that_any_place_tells() {
        let mut order = Order::new(7, 3);
        let places: Vec<usize> = (0..21).map(|place| order.at(place)).collect();
        for through in places.chunks_exact(7) {
            let mut sorted = through.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(places[..7], places[7..14]);
        assert_eq!(Order::new(7, 3).at(16), places[16]);
        assert_ne!((0..7).map(|place| Order::new(7, 4).at(place)).collect::<Vec<_>>(), places[..7]);
    }
}
