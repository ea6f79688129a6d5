//! One step of training: the gradients of its batches added up, shortened, and the factors moved. Owns what a run goes on
//! from; where rows come from and where results go is `run`'s.

use super::adamw::AdamW;
use super::base::Base;
use super::factors::{Factors, Gradients};
use super::lesson::Lesson;
use super::network::{Batch, learn};
use super::options::TuneSettings;

/// What is trained, and how far it is.
pub(super) struct Trainer {
    pub(super) base: Base,
    pub(super) factors: Factors,
    pub(super) adam: AdamW,
    /// The mean loss of each step that was taken.
    pub(super) losses: Vec<f32>,
}

/// What a step found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stepped {
    /// The mean loss of its tokens, before the step.
    pub(super) loss: f64,
    pub(super) rate: f64,
    /// How long its gradient was.
    pub(super) norm: f64,
}

impl Trainer {
    pub(super) fn new(base: Base, factors: Factors) -> Self {
        let sizes = factors.gradients();
        let adam = AdamW::new(sizes.all().map(Vec::len));
        Self { base, factors, adam, losses: Vec::new() }
    }

    /// The mean loss of batches and its gradients.
    pub(super) fn gradients(&self, batches: &[Vec<&Lesson>]) -> candle_core::Result<(f64, Gradients)> {
        let learnt: usize = batches.iter().flatten().map(|lesson| lesson.learnt().count()).sum();
        let weight = 1.0 / learnt as f64;
        let mut gradients = self.factors.gradients();
        let mut sum = 0.0;
        for batch in batches {
            let batch = Batch::of(batch.iter().copied());
            sum += learn(&self.base, &self.factors, &batch, weight, &mut gradients)?;
        }
        Ok((sum * weight, gradients))
    }

    /// Takes the next step of `steps` with some batches.
    pub(super) fn step(
        &mut self,
        settings: &TuneSettings,
        steps: usize,
        batches: &[Vec<&Lesson>],
    ) -> candle_core::Result<Stepped> {
        let (loss, mut gradients) = self.gradients(batches)?;
        let norm = gradients.clip(settings.clip);
        let rate = settings.schedule.rate(settings.rate, self.losses.len(), settings.warmup(steps), steps);
        if loss.is_finite() && norm.is_finite() {
            self.adam.step(self.factors.all_mut(), gradients.all(), rate, settings.decay);
        }
        self.losses.push(loss as f32);
        Ok(Stepped { loss, rate, norm })
    }
}
