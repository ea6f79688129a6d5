//! Where the mean of numbers between 0 and 1 lies, looked at after each: exact, however few there are, and whether they are
//! independent or not as long as each has the same mean given the past. Owns the two sequences and their sums.
//!
//! Each bets on every number before it is seen. Waudby-Smith, Ramdas: Estimating means of bounded random variables by
//! betting (JRSS B, 2023; arXiv 2010.09686), theorem 2 and proposition 1.

use crate::alpha::Alpha;
use crate::interval::Interval;

/// A number that is not between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not between 0 and 1: divide by the largest value that there can be")]
pub struct OutOfRange(pub f64);

/// What both sequences sum up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bets {
    bets: f64,
    won: f64,
    cost_below: f64,
    cost_above: f64,
}

impl Bets {
    fn add(&mut self, bet: f64, value: f64, costs: (f64, f64)) {
        self.bets += bet;
        self.won += bet * value;
        self.cost_below += costs.0;
        self.cost_above += costs.1;
    }

    fn interval(&self, alpha: Alpha) -> Interval {
        if self.bets <= 0.0 {
            return Interval { low: 0.0, high: 1.0 };
        }
        let (centre, least) = (self.won / self.bets, half(alpha));
        let low = centre - (least + self.cost_below) / self.bets;
        let high = centre + (least + self.cost_above) / self.bets;
        Interval { low: low.max(0.0), high: high.min(1.0) }
    }
}

/// `ln(1/(α/2))`: each end errs half as often.
fn half(alpha: Alpha) -> f64 {
    -(alpha.get() / 2.0).ln()
}

fn checked(value: f64) -> Result<f64, OutOfRange> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(OutOfRange(value)) }
}

/// The empirical Bernstein sequence: narrow where the numbers scatter little.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bernstein {
    alpha: Alpha,
    n: f64,
    sum: f64,
    scatter: f64,
    bets: Bets,
}

impl Bernstein {
    /// The largest bet.
    const MOST: f64 = 0.5;
    /// The variance that is assumed before anything is seen, the largest that there can be.
    const PRIOR: f64 = 0.25;

    /// Nothing was seen yet.
    #[must_use]
    pub fn new(alpha: Alpha) -> Self {
        Self { alpha, n: 0.0, sum: 0.0, scatter: Self::PRIOR, bets: Bets::default() }
    }

    /// Takes a number.
    ///
    /// # Errors
    /// It is not between 0 and 1.
    pub fn add(&mut self, value: f64) -> Result<(), OutOfRange> {
        let value = checked(value)?;
        let next = self.n + 1.0;
        let variance = self.scatter / next;
        let bet = (2.0 * half(self.alpha) / (next * next.ln_1p() * variance)).sqrt().min(Self::MOST);
        let cost = -(-bet).ln_1p() - bet;
        // Before the first, both means, of the numbers and of what they lack to 1, are taken for 0.
        let (below, above) = if self.n > 0.0 { (self.sum / self.n, self.sum / self.n) } else { (0.0, 1.0) };
        let costs = ((value - below).powi(2) * cost, (value - above).powi(2) * cost);
        self.bets.add(bet, value, costs);
        self.n = next;
        self.sum += value;
        let mean = ((0.5 + self.sum) / (next + 1.0)).min(1.0);
        self.scatter += (value - mean).powi(2);
        Ok(())
    }

    /// Where their mean lies.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.bets.interval(self.alpha)
    }
}

/// Hoeffding's sequence: as wide as if the numbers scattered as much as they can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hoeffding {
    alpha: Alpha,
    n: f64,
    bets: Bets,
}

impl Hoeffding {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(alpha: Alpha) -> Self {
        Self { alpha, n: 0.0, bets: Bets::default() }
    }

    /// Takes a number.
    ///
    /// # Errors
    /// It is not between 0 and 1.
    pub fn add(&mut self, value: f64) -> Result<(), OutOfRange> {
        let value = checked(value)?;
        self.n += 1.0;
        let bet = (8.0 * half(self.alpha) / (self.n * self.n.ln_1p())).sqrt().min(1.0);
        let cost = bet * bet / 8.0;
        self.bets.add(bet, value, (cost, cost));
        Ok(())
    }

    /// Where their mean lies.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.bets.interval(self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_say_nothing_and_odd_numbers_are_refused() {
        let (mut narrow, mut wide) = (Bernstein::new(Alpha::FIVE_PERCENT), Hoeffding::new(Alpha::FIVE_PERCENT));
        let all = Interval { low: 0.0, high: 1.0 };
        assert_eq!((narrow.interval(), wide.interval()), (all, all));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(narrow.add(bad).is_err() && wide.add(bad).is_err(), "{bad}");
        }
        assert_eq!((narrow.interval(), wide.interval()), (all, all));
        assert_eq!(
            narrow.add(2.0).unwrap_err().to_string(),
            "2 is not between 0 and 1: divide by the largest value that there can be"
        );
    }

    #[test]
    fn what_scatters_little_is_soon_known_to_bernstein() {
        let (mut narrow, mut wide) = (Bernstein::new(Alpha::FIVE_PERCENT), Hoeffding::new(Alpha::FIVE_PERCENT));
        for i in 0..2_000 {
            let value = 0.3 + 0.01 * f64::from(i % 3);
            assert!(narrow.add(value).is_ok() && wide.add(value).is_ok());
        }
        assert!(narrow.interval().has(0.31) && wide.interval().has(0.31));
        assert!(narrow.interval().width() * 3.0 < wide.interval().width(), "{narrow:?} {wide:?}");
    }

    #[test]
    fn numbers_and_what_they_lack_to_one_mirror_each_other() {
        let (mut a, mut b) = (Bernstein::new(Alpha::FIVE_PERCENT), Bernstein::new(Alpha::FIVE_PERCENT));
        for i in 0..300 {
            let value = f64::from(i * 7 % 10) / 10.0;
            assert!(a.add(value).is_ok() && b.add(1.0 - value).is_ok());
        }
        assert!((a.interval().low - (1.0 - b.interval().high)).abs() < 1e-12);
    }
}
