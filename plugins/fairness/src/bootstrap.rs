//! How far a measure may be off. Owns percentile intervals of the bootstrap (Efron and Tibshirani 1993, chapter 13; Fairlearn's
//! `n_boot` and `ci_quantiles`): rows are drawn again with replacement, the measure taken of each draw.
//!
//! All measures here rest on counts alone, so drawing rows is drawing cells, each with the chance that its count gives it. The
//! same seed and table give the same interval anywhere.

use crate::counts::Counts;
use crate::measured::Measured;
use crate::table::Table;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Where chance begins.
    pub seed: u64,
    /// How many times all rows are drawn again.
    pub draws: u32,
    /// How much of the draws lies within, from 0 to 1.
    pub level: f64,
}

impl Default for Bootstrap {
    /// 1,000 draws, 95 %.
    fn default() -> Self {
        Self { seed: 1, draws: 1000, level: 0.95 }
    }
}

/// Where a measure lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Of how many draws the measure was undefined: the interval is of the others.
    pub undefined: u32,
}

impl Bootstrap {
    /// The intervals of measures of a table, in their order, all of the same draws; `None` where a measure is undefined of
    /// half of the draws or more, so that an interval would be of what was lucky.
    pub fn intervals<F>(&self, table: &Table, measures: &[F]) -> Vec<Option<Interval>>
    where
        F: Fn(&Table) -> Measured,
    {
        let mut chance = SplitMix(self.seed);
        let mut values = vec![Vec::new(); measures.len()];
        for _ in 0..self.draws {
            let drawn = redraw(table, &mut chance);
            for (values, measure) in values.iter_mut().zip(measures) {
                values.extend(measure(&drawn).value());
            }
        }
        values.into_iter().map(|values| self.interval(values)).collect()
    }

    fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        let defined = u32::try_from(values.len()).ok()?;
        if u64::from(defined) * 2 <= u64::from(self.draws) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level.clamp(0.0, 1.0)) / 2.0;
        let (low, high) = (quantile(&values, tail)?, quantile(&values, 1.0 - tail)?);
        Some(Interval { low, high, undefined: self.draws - defined })
    }
}

/// As many rows as the table has, drawn from it.
fn redraw(table: &Table, chance: &mut SplitMix) -> Table {
    let mut reach = 0;
    let cells: Vec<u64> = table
        .groups()
        .iter()
        .flat_map(|group| group.counts.cells())
        .map(|rows| {
            reach += rows;
            reach
        })
        .collect();
    let mut drawn = vec![0u64; cells.len()];
    for _ in 0..reach {
        let row = chance.below(reach);
        let at = cells.partition_point(|&reach| reach <= row);
        if let Some(cell) = drawn.get_mut(at) {
            *cell += 1;
        }
    }
    let groups = drawn.chunks_exact(Counts::CELLS).filter_map(|cells| cells.try_into().ok().map(Counts::of));
    table.with_counts(groups)
}

/// The quantile of sorted numbers, between neighbours on a straight line (R's type 7, NumPy's default).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies within the list")]
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)? as f64);
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    // Equal neighbours may be infinite.
    Some(if below == above { below } else { below + (above - below) * place.fract() })
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`: the high half of a product, whose bias is below `n / 2^64`.
    const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Empty, Measure};
    use crate::spread::Spread;
    use crate::table::Group;

    fn table(groups: &[[u64; 6]]) -> Table {
        let named = groups.iter().enumerate();
        let groups = named.map(|(at, &cells)| Group { name: at.to_string(), counts: Counts::of(cells) }).collect();
        Table::new(groups, 1).expect("a table")
    }

    fn selection(table: &Table) -> Measured {
        Measure::SelectionRate.of(table.overall(), Empty::Undefined)
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_a_near_one() {
        let table = table(&[[0, 0, 0, 0, 300, 700]]);
        let of =
            |seed| Bootstrap { seed, ..Bootstrap::default() }.intervals(&table, &[selection])[0].expect("an interval");
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        // By the normal approximation: 0.3 ± 1.96 √(0.3 · 0.7 / 1000).
        for seed in [7, 8] {
            let Interval { low, high, undefined } = of(seed);
            assert!((low - 0.2716).abs() < 0.004 && (high - 0.3284).abs() < 0.004 && undefined == 0, "{low} {high}");
        }
    }

    #[test]
    fn what_is_mostly_undefined_has_no_interval() {
        let hits = |table: &Table| Measure::TruePositiveRate.of(table.overall(), Empty::Undefined);
        let rare = table(&[[1, 0, 999, 0, 0, 0]]);
        // A row of 1,000 is missed by a draw with a chance of 1/e.
        let got = Bootstrap::default().intervals(&rare, &[hits])[0].expect("an interval");
        assert!((300..440).contains(&got.undefined), "{got:?}");
        assert_eq!(Bootstrap::default().intervals(&table(&[[0, 0, 999, 0, 0, 0]]), &[hits]), [None]);
        assert_eq!(Bootstrap { draws: 0, ..Bootstrap::default() }.intervals(&rare, &[hits]), [None]);
        assert_eq!(Bootstrap::default().intervals(&table(&[]), &[selection]), [None]);
    }

    #[test]
    fn it_holds_what_is_so_as_often_as_it_says() {
        let mut chance = SplitMix(3);
        let apart = |table: &Table| Spread::DifferenceBetweenGroups.of(table, Measure::SelectionRate, Empty::Undefined);
        let held = (0..100).filter(|&seed| {
            let mut drawn = |per_mille: u64| (0..200).filter(|_| chance.below(1000) < per_mille).count() as u64;
            let (few, many) = (drawn(300), drawn(500));
            let table = table(&[[0, 0, 0, 0, few, 200 - few], [0, 0, 0, 0, many, 200 - many]]);
            let bootstrap = Bootstrap { seed, draws: 200, level: 0.9 };
            let Interval { low, high, .. } = bootstrap.intervals(&table, &[apart])[0].expect("an interval");
            (low..=high).contains(&0.2)
        });
        let held = held.count();
        // 90 expected, with a standard deviation of 3.
        assert!((80..=98).contains(&held), "{held} of 100");
    }
}
