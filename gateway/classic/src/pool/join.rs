//! Calls put together into one, and its answer taken apart again. Pure.

use bytes::{Bytes, BytesMut};
use tidegate_core::{Datatype, Tensor};

/// Whether two calls differ in their rows alone.
pub(super) fn alike(one: &[Tensor], other: &[Tensor]) -> bool {
    let inner = |tensor: &Tensor| tensor.shape().get(1..).map(<[u64]>::to_vec);
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.name() == other.name()
                && one.datatype() == other.datatype()
                && inner(one).is_some()
                && inner(one) == inner(other)
        })
}

/// The rows of a call, where all its inputs have as many.
pub(super) fn rows(inputs: &[Tensor]) -> Option<usize> {
    let mut rows = inputs.iter().map(|input| input.shape().first().copied());
    let first = rows.next()??;
    rows.all(|rows| rows == Some(first)).then(|| usize::try_from(first).ok()).flatten()
}

/// One call of all rows. None where they do not fit.
pub(super) fn joined(calls: &[&[Tensor]]) -> Option<Vec<Tensor>> {
    let (first, _) = calls.split_first()?;
    let column = |place: usize| {
        let parts: Vec<&Tensor> = calls.iter().filter_map(|call| call.get(place)).collect();
        let mut data = BytesMut::with_capacity(parts.iter().map(|part| part.data().len()).sum());
        parts.iter().for_each(|part| data.extend_from_slice(part.data()));
        let mut shape = first[place].shape().to_vec();
        *shape.first_mut()? = parts.iter().map(|part| part.shape().first().copied().unwrap_or(0)).sum();
        Tensor::new(first[place].name(), first[place].datatype(), shape, data.freeze()).ok()
    };
    (0..first.len()).map(column).collect()
}

/// The answer of each call, by how many rows it had. None where an output has other rows than came in.
pub(super) fn parted(outputs: &[Tensor], rows: &[usize]) -> Option<Vec<Vec<Tensor>>> {
    let mut answers: Vec<Vec<Tensor>> = rows.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in outputs {
        if output.shape().is_empty() || output.rows() != rows.iter().sum::<usize>() {
            return None;
        }
        let per_row: u64 = output.shape()[1..].iter().product();
        let mut rest = output.data().clone();
        for (answer, rows) in answers.iter_mut().zip(rows) {
            let elements = usize::try_from(per_row).ok()?.checked_mul(*rows)?;
            let length = length(output.datatype(), &rest, elements)?;
            let data = rest.split_to(length);
            let shape = std::iter::once(*rows as u64).chain(output.shape()[1..].iter().copied()).collect();
            answer.push(Tensor::new(output.name(), output.datatype(), shape, data).ok()?);
        }
    }
    Some(answers)
}

/// How many bytes the first so many elements have.
fn length(datatype: Datatype, data: &Bytes, elements: usize) -> Option<usize> {
    if let Some(width) = datatype.width() {
        return elements.checked_mul(width).filter(|length| *length <= data.len());
    }
    let mut length = 0_usize;
    for _ in 0..elements {
        let (size, _) = data.get(length..)?.split_first_chunk::<4>()?;
        length = length.checked_add(4)?.checked_add(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    }
    (length <= data.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_were_put_together_come_apart_again() {
        let call = |values: &[f32], texts: &[&str]| {
            let rows = texts.len() as u64;
            vec![Tensor::of_f32("x", vec![rows, 2], values).unwrap(), Tensor::of_texts("t", vec![rows], texts).unwrap()]
        };
        let (one, two) = (call(&[1.0, 2.0], &["a"]), call(&[3.0, 4.0, 5.0, 6.0], &["", "bcd"]));
        assert!(alike(&one, &two));
        assert_eq!((rows(&one), rows(&two)), (Some(1), Some(2)));
        let whole = joined(&[&one, &two]).unwrap();
        assert_eq!(whole[0].shape(), [3, 2]);
        assert_eq!(parted(&whole, &[1, 2]).unwrap(), [one, two]);
    }

    #[test]
    fn what_differs_is_not_put_together() {
        let x = |name: &str, shape: &[u64]| vec![Tensor::of_f32(name, shape.to_vec(), &[0.0; 4]).unwrap()];
        assert!(!alike(&x("x", &[2, 2]), &x("y", &[2, 2])));
        assert!(!alike(&x("x", &[2, 2]), &x("x", &[1, 4])));
        assert!(!alike(&x("x", &[2, 2]), &[]));
        let scalar = vec![Tensor::of_f32("x", vec![], &[0.0]).unwrap()];
        assert!(!alike(&scalar, &scalar));
        assert_eq!(rows(&[]), None);
        // An output that has no rows is nobody's.
        assert_eq!(parted(&scalar, &[1]), None);
        assert_eq!(parted(&x("x", &[2, 2]), &[1, 2]), None);
    }
}
