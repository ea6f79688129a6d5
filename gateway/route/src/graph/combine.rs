//! Answers of several models made one, value by value. Owns which outputs belong together and the arithmetic.

use super::{Misfit, listed};
use bytes::{Bytes, BytesMut};
use tidegate_core::spec::graph::{Combine, EnsembleSpec};
use tidegate_core::{Datatype, Tensor};

/// One answer of these, in the order of the members.
///
/// Outputs belong together by their names; where a member lacks one, and all have as many, by their places. A mean is
/// reckoned with doubles; it is of the members' datatype where that has fractions (of FP32 where it has 16 bits), and
/// else of FP64.
///
/// # Errors
/// An output is missing, of another shape, or of values that cannot be combined so.
pub fn combine(spec: &EnsembleSpec, answers: &[&[Tensor]]) -> Result<Vec<Tensor>, Misfit> {
    let Some(first) = answers.first() else { return Err(Misfit("no member answered".to_owned())) };
    let names: Vec<&str> = match &*spec.outputs {
        [] => first.iter().map(Tensor::name).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let has_all = |answer: &&[Tensor]| names.iter().all(|name| answer.iter().any(|tensor| tensor.name() == *name));
    let by_place = spec.outputs.is_empty()
        && !answers.iter().all(has_all)
        && answers.iter().all(|answer| answer.len() == first.len());
    let weights: Vec<f64> = spec.members.iter().map(|(weight, _)| *weight).collect();
    let one = |(place, name): (usize, &&str)| {
        let of = |(member, answer): (usize, &&[Tensor])| {
            let found = answer.iter().find(|tensor| tensor.name() == *name);
            let found = if by_place { answer.get(place).cloned() } else { found.cloned() };
            found.ok_or_else(|| {
                let has = listed(answer.iter().map(Tensor::name));
                Misfit(format!("the member {member} answers no `{name}`; it has {has}: name common ones as `outputs`"))
            })
        };
        let parts: Vec<Tensor> = answers.iter().enumerate().map(of).collect::<Result<_, _>>()?;
        match spec.combine {
            Combine::Mean => mean(name, &parts, &vec![1.0; parts.len()]),
            Combine::Weighted => mean(name, &parts, &weights),
            Combine::Vote => vote(name, &parts),
        }
    };
    names.iter().enumerate().map(one).collect()
}

/// That all have one shape.
fn alike<'a>(name: &str, parts: &'a [Tensor]) -> Result<&'a Tensor, Misfit> {
    let (first, others) = parts.split_first().ok_or_else(|| Misfit("no member answered".to_owned()))?;
    match others.iter().position(|part| part.shape() != first.shape()) {
        None => Ok(first),
        Some(other) => Err(Misfit(format!(
            "`{name}` is of shape {:?} by the first member and {:?} by the member {}: they cannot be combined",
            first.shape(),
            others[other].shape(),
            other + 1
        ))),
    }
}

fn mean(name: &str, parts: &[Tensor], weights: &[f64]) -> Result<Tensor, Misfit> {
    let first = alike(name, parts)?;
    let total: f64 = weights.iter().sum();
    let mut sums = vec![0.0; first.elements()];
    for (part, weight) in parts.iter().zip(weights) {
        let numbers = part.numbers().ok_or_else(|| {
            Misfit(format!("`{name}` is of {}, which has no mean: combine labels by `vote`", part.datatype()))
        })?;
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number * (weight / total);
        }
    }
    let datatype = first.datatype();
    let is_same = parts.iter().all(|part| part.datatype() == datatype);
    let made = if is_same && datatype.is_float() && datatype != Datatype::Fp64 {
        #[expect(clippy::cast_possible_truncation, reason = "the nearest number of the members' datatype")]
        let values: Vec<f32> = sums.iter().map(|sum| *sum as f32).collect();
        Tensor::of_f32(first.name(), first.shape().to_vec(), &values)
    } else {
        Tensor::of_f64(first.name(), first.shape().to_vec(), &sums)
    };
    made.map_err(|fault| Misfit(fault.to_string()))
}

fn vote(name: &str, parts: &[Tensor]) -> Result<Tensor, Misfit> {
    let first = alike(name, parts)?;
    let datatype = first.datatype();
    if let Some(other) = parts.iter().find(|part| part.datatype() != datatype) {
        return Err(Misfit(format!(
            "`{name}` is of {datatype} by the first member and of {} by another: votes are of one datatype",
            other.datatype()
        )));
    }
    let split: Vec<Vec<Bytes>> = parts.iter().map(values).collect();
    let mut data = BytesMut::with_capacity(first.data().len());
    for element in 0..first.elements() {
        let votes = || split.iter().filter_map(move |values| values.get(element));
        let count = |value: &Bytes| votes().filter(|other| *other == value).count();
        // The first of those with the most: `max_by_key` has the last.
        let most = votes().map(count).max().unwrap_or(0);
        if let Some(won) = votes().find(|value| count(value) == most) {
            data.extend_from_slice(won);
        }
    }
    Tensor::new(first.name(), datatype, first.shape().to_vec(), data.freeze())
        .map_err(|fault| Misfit(fault.to_string()))
}

/// The bytes of each element; of byte strings with their lengths.
fn values(tensor: &Tensor) -> Vec<Bytes> {
    let mut rest = tensor.data().clone();
    let mut all = Vec::with_capacity(tensor.elements());
    while !rest.is_empty() {
        let length = tensor.datatype().width().unwrap_or_else(|| {
            let said = rest.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
            usize::try_from(said).unwrap_or(usize::MAX).saturating_add(4)
        });
        // Checked when the tensor was made.
        all.push(rest.split_to(length.min(rest.len())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_core::spec::graph::{StepSpec, Target};

    fn spec(combine: Combine, weights: &[f64], outputs: &[&str]) -> EnsembleSpec {
        let target = Target::Model("m".parse().unwrap());
        let step = StepSpec { target, takes_request: false, inputs: Vec::new() };
        let members = weights.iter().map(|weight| (*weight, step.clone())).collect();
        EnsembleSpec { combine, members, outputs: outputs.iter().map(|&name| name.to_owned()).collect() }
    }

    fn f(name: &str, values: &[f32]) -> Tensor {
        Tensor::of_f32(name, vec![values.len() as u64], values).unwrap()
    }

    #[test]
    fn means_are_of_the_datatype_of_the_members() {
        let (a, b) = ([f("p", &[0.0, 1.0])], [f("p", &[1.0, 2.0])]);
        let even = combine(&spec(Combine::Mean, &[5.0, 1.0], &[]), &[&a, &b]).unwrap();
        assert_eq!(even, [f("p", &[0.5, 1.5])]);
        let weighted = combine(&spec(Combine::Weighted, &[3.0, 1.0], &[]), &[&a, &b]).unwrap();
        assert_eq!(weighted, [f("p", &[0.25, 1.25])]);
        let whole = |values: &[i64]| [Tensor::of_i64("p", vec![1], values).unwrap()];
        let mixed = combine(&spec(Combine::Mean, &[1.0, 1.0], &[]), &[&whole(&[1]), &whole(&[2])]).unwrap();
        assert_eq!(mixed, [Tensor::of_f64("p", vec![1], &[1.5]).unwrap()]);
    }

    #[test]
    fn most_votes_win_and_the_first_of_as_many() {
        let label = |text: [&str; 3]| [Tensor::of_texts("label", vec![3], &text).unwrap()];
        let (a, b, c) = (label(["x", "yes", ""]), label(["y", "no", "z"]), label(["z", "no", "z"]));
        let voted = combine(&spec(Combine::Vote, &[1.0; 3], &[]), &[&a, &b, &c]).unwrap();
        assert_eq!(voted, label(["x", "no", "z"]));
    }

    #[test]
    fn outputs_belong_together_by_name_or_by_place() {
        let one = [f("label", &[1.0]), f("p", &[0.2])];
        let two = [f("p", &[0.4]), f("label", &[3.0])];
        let both = combine(&spec(Combine::Mean, &[1.0; 2], &["p"]), &[&one, &two]).unwrap();
        assert!((both[0].numbers().unwrap().next().unwrap() - 0.3).abs() < 1e-6 && both.len() == 1);
        let other = [f("score", &[2.0])];
        let placed = combine(&spec(Combine::Mean, &[1.0; 2], &[]), &[&[f("p", &[1.0])], &other]).unwrap();
        assert_eq!(placed, [f("p", &[1.5])]);
        let says = |spec, answers: &[&[Tensor]]| combine(&spec, answers).unwrap_err().to_string();
        assert!(
            says(spec(Combine::Mean, &[1.0; 2], &[]), &[&one, &other]).contains("answers no `label`; it has `score`")
        );
        assert!(
            says(spec(Combine::Mean, &[1.0; 2], &[]), &[&[f("p", &[1.0])], &[f("p", &[1.0, 2.0])]]).contains("shape")
        );
        let text = [Tensor::of_texts("p", vec![1], &["a"]).unwrap()];
        assert!(says(spec(Combine::Mean, &[1.0; 2], &[]), &[&text, &text]).contains("by `vote`"));
        assert!(says(spec(Combine::Vote, &[1.0; 2], &[]), &[&text, &[f("p", &[1.0])]]).contains("one datatype"));
    }

    proptest! {
        #[test]
        fn a_mean_lies_between_and_a_vote_is_one_of_them(
            rows in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3, -1e3f32..1e3), 1..8),
            weights in prop::array::uniform3(0.1f64..9.0),
        ) {
            let column = |of: fn(&(f32, f32, f32)) -> f32| [f("p", &rows.iter().map(of).collect::<Vec<_>>())];
            let (a, b, c) = (column(|r| r.0), column(|r| r.1), column(|r| r.2));
            let mean = combine(&spec(Combine::Weighted, &weights, &[]), &[&a, &b, &c]).unwrap();
            let vote = combine(&spec(Combine::Vote, &weights, &[]), &[&a, &b, &c]).unwrap();
            for (at, (mean, row)) in mean[0].to_f32().unwrap().iter().zip(&rows).enumerate() {
                let least = row.0.min(row.1).min(row.2) - 1e-2;
                let most = row.0.max(row.1).max(row.2) + 1e-2;
                prop_assert!(*mean >= least && *mean <= most);
                let voted = vote[0].to_f32().unwrap()[at];
                prop_assert!(voted == row.0 || voted == row.1 || voted == row.2);
            }
        }
    }
}
