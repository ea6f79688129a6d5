//! A sample of rows, each with the same chance, chosen while they pass (Vitter's algorithm R).

use tidegate_core::Dice;

/// What was chosen so far.
#[derive(Debug)]
pub(super) struct Reservoir<'d, T> {
    dice: &'d dyn Dice,
    most: usize,
    seen: u64,
    kept: Vec<(u64, T)>,
}

impl<'d, T> Reservoir<'d, T> {
    /// Chooses at most so many.
    pub(super) const fn new(most: usize, dice: &'d dyn Dice) -> Self {
        Self { dice, most, seen: 0, kept: Vec::new() }
    }

    /// Shows the next; `make` is asked for it only where it is chosen.
    pub(super) fn offer(&mut self, make: impl FnOnce() -> T) {
        let number = self.seen;
        self.seen += 1;
        if self.kept.len() < self.most {
            self.kept.push((number, make()));
            return;
        }
        let place = below(self.dice.next_u64(), self.seen);
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = (number, make());
        }
    }

    /// What was chosen, in the order in which it passed.
    pub(super) fn chosen(mut self) -> Vec<T> {
        self.kept.sort_by_key(|(number, _)| *number);
        self.kept.into_iter().map(|(_, kept)| kept).collect()
    }
}

/// A number below `most`; for tables that fit into a memory its bias is beyond measure.
fn below(bits: u64, most: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(most)) >> 64).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::dice::SplitMix;

    #[test]
    fn each_row_has_the_same_chance() {
        let dice = SplitMix::seeded(7);
        let mut times = [0u32; 20];
        for _ in 0..10_000 {
            let mut reservoir = Reservoir::new(5, &dice);
            (0..20).for_each(|row| reservoir.offer(|| row));
            let chosen = reservoir.chosen();
            assert!(chosen.len() == 5 && chosen.is_sorted(), "{chosen:?}");
            chosen.into_iter().for_each(|row: usize| times[row] += 1);
        }
        // 2,500 are expected, with a standard deviation of 43.
        assert!(times.iter().all(|&n| (2_300..2_700).contains(&n)), "{times:?}");
    }

    #[test]
    fn fewer_rows_than_places_are_all_kept() {
        let dice = SplitMix::seeded(7);
        let mut reservoir = Reservoir::new(5, &dice);
        (0..3).for_each(|row| reservoir.offer(|| row));
        assert_eq!(reservoir.chosen(), [0, 1, 2]);
    }
}
