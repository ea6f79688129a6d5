//! The factors that are trained: two for each product that is meant, by PEFT's names and begun as PEFT begins them. Owns
//! their numbers and order; how they are moved is `adamw`'s.

use super::fault::TuneFault;
use crate::adapter::{BaseShape, PROJECTIONS, Size, slot_of};
use crate::sample::SplitMix;

/// The largest rank, as adapters that are loaded have it.
const MOST_RANK: usize = 256;

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Factors {
    pub(super) rank: usize,
    /// What differences are multiplied by.
    pub(super) scale: f64,
    /// By layer, then by product.
    pub(super) pairs: Vec<Factor>,
    /// `layer * PROJECTIONS.len() + slot` to an index of `pairs`.
    places: Vec<Option<usize>>,
}

/// The two factors of one product.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factor {
    /// The module as adapters name it.
    pub(super) path: String,
    pub(super) size: Size,
    /// `rank` rows.
    pub(super) a: Vec<f32>,
    /// `rank` columns.
    pub(super) b: Vec<f32>,
}

/// The gradients of all factors, in their order: of A and of B.
#[derive(Debug, Clone)]
pub(super) struct Gradients(pub(super) Vec<[Vec<f32>; 2]>);

impl Factors {
    /// Begins them: A uniform within one over the root of its inputs, B zero, so that the model begins as the base.
    pub(super) fn begin(
        base: &BaseShape,
        targets: &[String],
        (rank, alpha): (usize, f32),
        seed: u64,
    ) -> Result<Self, TuneFault> {
        let wanted = wanted(targets, (rank, alpha))?;
        let mut numbers = SplitMix(seed ^ 0x5EED_FAC7_0125_0A0B);
        let (mut pairs, mut places) = (Vec::new(), Vec::new());
        for (layer, sizes) in base.layers.iter().enumerate() {
            for (path, slots) in base.modules(layer) {
                let slot = slots[0];
                places.push(wanted[slot].then_some(pairs.len()));
                if wanted[slot] {
                    pairs.push(Factor::begin(path, sizes[slot], rank, &mut numbers));
                }
            }
        }
        Ok(Self { rank, scale: f64::from(alpha) / rank as f64, pairs, places })
    }

    /// The factors of a product and their index, where it has any.
    pub(super) fn of(&self, layer: usize, slot: usize) -> Option<(usize, &Factor)> {
        let index = (*self.places.get(layer * PROJECTIONS.len() + slot)?)?;
        Some((index, &self.pairs[index]))
    }

    /// How many numbers are trained.
    pub(super) fn count(&self) -> usize {
        self.pairs.iter().map(|pair| pair.a.len() + pair.b.len()).sum()
    }

    /// Room for their gradients.
    pub(super) fn gradients(&self) -> Gradients {
        Gradients(self.pairs.iter().map(|pair| [vec![0.0; pair.a.len()], vec![0.0; pair.b.len()]]).collect())
    }

    /// All numbers that are trained, in the order of [`Gradients::all`].
    pub(super) fn all_mut(&mut self) -> Vec<&mut Vec<f32>> {
        self.pairs.iter_mut().flat_map(|pair| [&mut pair.a, &mut pair.b]).collect()
    }
}

/// Which products are meant, where that and the factors' size are possible.
pub(super) fn wanted(targets: &[String], (rank, alpha): (usize, f32)) -> Result<[bool; PROJECTIONS.len()], TuneFault> {
    let wrong = |text: String| Err(TuneFault::Options(text));
    if !(1..=MOST_RANK).contains(&rank) {
        return wrong(format!("a rank of {rank}: ranks are 1 to {MOST_RANK}"));
    }
    if !(alpha.is_finite() && alpha > 0.0) {
        return wrong(format!("an alpha of {alpha}: it is a number above 0"));
    }
    let mut wanted = [false; PROJECTIONS.len()];
    for target in targets {
        let Some(slot) = slot_of(target) else {
            let known = PROJECTIONS.join(", ");
            return wrong(format!("`{target}` is no product that can be adapted: those are {known}"));
        };
        wanted[slot] = true;
    }
    if !wanted.contains(&true) {
        return wrong("no product to adapt is named".into());
    }
    Ok(wanted)
}

impl Factor {
    fn begin(path: String, size: Size, rank: usize, numbers: &mut SplitMix) -> Self {
        let bound = 1.0 / (size.cols as f64).sqrt();
        let a = (0..rank * size.cols).map(|_| ((numbers.unit() * 2.0 - 1.0) * bound) as f32).collect();
        Self { path, size, a, b: vec![0.0; size.rows * rank] }
    }
}

impl Gradients {
    /// All of them, factor by factor.
    pub(super) fn all(&self) -> impl Iterator<Item = &Vec<f32>> {
        self.0.iter().flatten()
    }

    /// The root of the sum of their squares.
    pub(super) fn norm(&self) -> f64 {
        self.all().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt()
    }

    /// Shortens them where they are longer than `most`; gives their length before.
    pub(super) fn clip(&mut self, most: f64) -> f64 {
        let norm = self.norm();
        if norm > most {
            let by = (most / (norm + 1e-6)) as f32;
            self.0.iter_mut().flatten().flatten().for_each(|g| *g *= by);
        }
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::testing::base;

    fn begun(targets: &[&str], rank: usize, seed: u64) -> Result<Factors, TuneFault> {
        let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
        Factors::begin(&base(), &targets, (rank, 8.0), seed)
    }

    #[test]
    fn they_begin_as_peft_begins_them() {
        let factors = begun(&["q_proj", "down_proj"], 4, 7).unwrap();
        let paths: Vec<&str> = factors.pairs.iter().map(|pair| pair.path.as_str()).collect();
        assert_eq!(paths[..2], ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"]);
        assert_eq!((paths.len(), factors.scale, factors.count()), (4, 2.0, 2 * (4 * 32 + 32 * 4 + 4 * 64 + 32 * 4)));
        let bound = 1.0 / 32f32.sqrt();
        let (a, b) = (&factors.pairs[0].a, &factors.pairs[0].b);
        assert!(a.iter().all(|v| v.abs() <= bound) && a.iter().any(|v| v.abs() > bound * 0.9));
        assert!(b.iter().all(|v| *v == 0.0));
        assert_eq!(factors.of(1, 6).unwrap().0, 3);
        assert!(factors.of(1, 5).is_none() && factors.of(2, 0).is_none());
        assert_eq!(factors.pairs, begun(&["q_proj", "down_proj"], 4, 7).unwrap().pairs);
        assert_ne!(factors.pairs, begun(&["q_proj", "down_proj"], 4, 8).unwrap().pairs);
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        for (targets, rank, says) in [
            (&["c_attn"][..], 4, "`c_attn` is no product"),
            (&[], 4, "no product"),
            (&["q_proj"], 0, "ranks are 1 to 256"),
            (&["q_proj"], 257, "ranks are 1 to 256"),
        ] {
            let said = begun(targets, rank, 1).map(|_| ()).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_kept() {
        let mut gradients = begun(&["q_proj"], 1, 1).unwrap().gradients();
        gradients.0[0][0][0] = 3.0;
        gradients.0[1][1][0] = 4.0;
        let kept = gradients.clone();
        assert_eq!(gradients.clip(5.0), 5.0);
        assert_eq!(gradients.0, kept.0);
        assert_eq!(gradients.clip(1.0), 5.0);
        assert!((gradients.norm() - 1.0).abs() < 1e-5);
    }
}
