//! AdamW, as torch has it. Owns what is remembered of gradients; the rate and the gradients are given.

/// How much is remembered of the gradients and of their squares.
const KEPT: [f64; 2] = [0.9, 0.999];
/// Added to the root of the squares.
const EPS: f64 = 1e-8;

/// What is remembered for each number that is trained.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AdamW {
    /// Steps that were taken.
    pub(super) steps: u64,
    /// Of the gradients, then of their squares, in the order of the numbers.
    pub(super) kept: [Vec<Vec<f32>>; 2],
}

impl AdamW {
    /// Remembers nothing yet of groups of so many numbers.
    pub(super) fn new(sizes: impl Iterator<Item = usize>) -> Self {
        let zeros: Vec<Vec<f32>> = sizes.map(|size| vec![0.0; size]).collect();
        Self { steps: 0, kept: [zeros.clone(), zeros] }
    }

    /// Moves the numbers against their gradients.
    pub(super) fn step<'a>(
        &mut self,
        numbers: Vec<&mut Vec<f32>>,
        gradients: impl Iterator<Item = &'a Vec<f32>>,
        rate: f64,
        decay: f64,
    ) {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let [first, second] = KEPT.map(|kept| 1.0 - kept.powi(steps));
        let [means, squares] = &mut self.kept;
        let groups = numbers.into_iter().zip(gradients).zip(means.iter_mut().zip(squares));
        for ((numbers, gradients), (means, squares)) in groups {
            let each = numbers.iter_mut().zip(gradients).zip(means.iter_mut().zip(squares));
            for ((number, gradient), (mean, square)) in each {
                let gradient = f64::from(*gradient);
                *mean = (KEPT[0] * f64::from(*mean) + (1.0 - KEPT[0]) * gradient) as f32;
                *square = (KEPT[1] * f64::from(*square) + (1.0 - KEPT[1]) * gradient * gradient) as f32;
                let down = (f64::from(*square) / second).sqrt() + EPS;
                *number = (f64::from(*number) * (1.0 - rate * decay) - rate * f64::from(*mean) / first / down) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.optim.AdamW([1., -2.], lr=0.1, weight_decay=0.01)` with the gradients `[0.5, -1.] * 2^step`, three steps.
    #[test]
    fn steps_are_those_of_torch() {
        let mut numbers = vec![1.0f32, -2.0];
        let mut adam = AdamW::new([2].into_iter());
        for step in 0..3 {
            let gradients = [vec![0.5 * 2f32.powi(step), -(2f32.powi(step))]];
            adam.step(vec![&mut numbers], gradients.iter(), 0.1, 0.01);
        }
        for (got, want) in numbers.iter().zip(TORCH) {
            assert!((got - want).abs() < 1e-6, "{numbers:?}");
        }
    }

    const TORCH: [f32; 2] = [0.708_624_3, -1.705_627_4];
}
