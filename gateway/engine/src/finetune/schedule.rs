//! How large a step is: pure functions of its number.

/// What the rate does after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TuneSchedule {
    /// It falls to zero at the end, in a line.
    #[default]
    Linear,
    /// It stays.
    Constant,
}

impl TuneSchedule {
    /// Its name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Constant => "constant",
        }
    }

    /// The rate of the step `step` of `steps` (from 0): it rises in a line over the first `warmup`.
    pub(super) fn rate(self, most: f64, step: usize, warmup: usize, steps: usize) -> f64 {
        if step < warmup {
            return most * step as f64 / warmup as f64;
        }
        match self {
            Self::Constant => most,
            Self::Linear => most * (steps.saturating_sub(step)) as f64 / (steps.saturating_sub(warmup)).max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `get_linear_schedule_with_warmup` and `get_constant_schedule_with_warmup` of transformers have it.
    #[test]
    fn rates_rise_and_fall_in_lines() {
        let rates = |schedule: TuneSchedule| (0..8).map(|step| schedule.rate(8.0, step, 4, 8)).collect::<Vec<_>>();
        assert_eq!(rates(TuneSchedule::Linear), [0.0, 2.0, 4.0, 6.0, 8.0, 6.0, 4.0, 2.0]);
        assert_eq!(rates(TuneSchedule::Constant), [0.0, 2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0]);
        assert_eq!(TuneSchedule::Linear.rate(3.0, 0, 0, 3), 3.0);
    }
}
