//! A model's first runs, before calls come to it: they fill caches, find models that fail always, and tell what a run costs.

use super::Unready;
use crate::Model;
use crate::batch::{BatchSpec, Pace};
use tidegate_core::{Clock, Tensor, TensorMeta};

/// Larger inputs are not warmed up with a whole batch.
const MOST_BYTES: u64 = 16 << 20;

/// Runs the model on zeros: a row, then as many as a batch has, each twice, of which the second one is timed.
pub(super) fn warmed(model: &Model, spec: &BatchSpec, clock: &dyn Clock, pace: &mut Pace) -> Result<(), Unready> {
    if !spec.warm_up {
        return Ok(());
    }
    for rows in [1, spec.max_rows.max(2)] {
        let Some(inputs) = zeros(model.inputs(), rows as u64) else { continue };
        model.predict(&inputs, &[]).map_err(Unready::WarmUp)?;
        let start = clock.now();
        model.predict(&inputs, &[]).map_err(Unready::WarmUp)?;
        pace.ran(rows, clock.now().saturating_duration_since(start));
    }
    Ok(())
}

/// Inputs of zeros and empty texts; sizes that a call decides are 1. None where they would be too large.
fn zeros(metas: &[TensorMeta], rows: u64) -> Option<Vec<Tensor>> {
    let zero = |meta: &TensorMeta| {
        let sizes = meta.shape.iter().enumerate();
        let shape: Vec<u64> = sizes.map(|(place, size)| size.unwrap_or(if place == 0 { rows } else { 1 })).collect();
        let width = meta.datatype.width().unwrap_or(4) as u64;
        let bytes = shape.iter().try_fold(width, |bytes, size| bytes.checked_mul(*size))?;
        let data = vec![0; usize::try_from(bytes).ok().filter(|_| bytes <= MOST_BYTES)?];
        Tensor::new(&meta.name, meta.datatype, shape, data.into()).ok()
    };
    metas.iter().map(zero).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::Datatype;

    #[test]
    fn zeros_are_of_the_shape_that_is_taken_and_never_huge() {
        let meta =
            |datatype, shape: &[Option<u64>]| TensorMeta { name: "x".to_owned(), datatype, shape: shape.to_vec() };
        let made = zeros(&[meta(Datatype::Fp32, &[None, Some(3)]), meta(Datatype::Bytes, &[None, None])], 4).unwrap();
        assert_eq!((made[0].shape(), made[1].shape()), (&[4, 3][..], &[4, 1][..]));
        assert!(zeros(&[meta(Datatype::Fp32, &[None, Some(u64::MAX)])], 4).is_none());
        assert!(zeros(&[meta(Datatype::Fp32, &[None, Some(1 << 40)])], 1).is_none());
    }
}
