//! Answers of several models made one, value by value. Owns which outputs belong together and the arithmetic.

use super::{Misfit, listed};
use bytes::BytesMut;
use std::collections::HashMap;
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
    let mut ballots: Vec<Ballots<'_>> =
        parts.iter().map(|part| Ballots { width: datatype.width(), rest: part.data() }).collect();
    let mut data = BytesMut::with_capacity(first.data().len());
    let mut tally = Tally::default();
    for _ in 0..first.elements() {
        data.extend_from_slice(tally.won(ballots.iter_mut().filter_map(Iterator::next)));
    }
    Tensor::new(first.name(), datatype, first.shape().to_vec(), data.freeze())
        .map_err(|fault| Misfit(fault.to_string()))
}

/// The bytes of each element of a tensor; of byte strings with their lengths.
struct Ballots<'a> {
    width: Option<usize>,
    rest: &'a [u8],
}

impl<'a> Iterator for Ballots<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = self.width.unwrap_or_else(|| {
            let said = self.rest.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
            usize::try_from(said).unwrap_or(usize::MAX).saturating_add(4)
        });
        // Checked when the tensor was made.
        let (ballot, rest) = self.rest.split_at_checked(length).filter(|_| !self.rest.is_empty())?;
        self.rest = rest;
        Some(ballot)
    }
}

/// How many votes each value of one element has; kept from one element to the next for its room alone.
#[derive(Default)]
struct Tally<'a> {
    /// The values with their votes, in the order in which they came.
    values: Vec<(&'a [u8], usize)>,
    /// Where those stand that are too many to be looked through.
    places: HashMap<&'a [u8], usize>,
}

/// Of so many values it is quicker to look at each than to look one up.
const FEW: usize = 8;

impl<'a> Tally<'a> {
    /// The value with the most votes; of several the first. Each vote costs as much, however many there are.
    fn won(&mut self, ballots: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
        self.values.clear();
        self.places.clear();
        for ballot in ballots {
            let among_few = self.values.iter().take(FEW).position(|(value, _)| *value == ballot);
            let place = among_few.or_else(|| self.places.get(ballot).copied());
            match place.and_then(|place| self.values.get_mut(place)) {
                Some((_, votes)) => *votes += 1,
                None => {
                    if self.values.len() >= FEW {
                        self.places.insert(ballot, self.values.len());
                    }
                    self.values.push((ballot, 1));
                }
            }
        }
        let most = self.values.iter().map(|(_, votes)| *votes).max().unwrap_or(0);
        self.values.iter().find(|(_, votes)| *votes == most).map_or(&[], |(value, _)| *value)
    }
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
        fn the_first_of_those_with_the_most_votes_wins_however_many_vote(
            votes in prop::collection::vec(prop::collection::vec(0i64..20, 3), 2..64),
        ) {
            let answers: Vec<[Tensor; 1]> =
                votes.iter().map(|row| [Tensor::of_i64("p", vec![3], row).unwrap()]).collect();
            let answers: Vec<&[Tensor]> = answers.iter().map(|one| &one[..]).collect();
            let voted = combine(&spec(Combine::Vote, &vec![1.0; votes.len()], &[]), &answers).unwrap();
            let wanted: Vec<i64> = (0..3)
                .map(|at| {
                    let count = |value: i64| votes.iter().filter(|row| row[at] == value).count();
                    let most = votes.iter().map(|row| count(row[at])).max().unwrap();
                    votes.iter().map(|row| row[at]).find(|value| count(*value) == most).unwrap()
                })
                .collect();
            prop_assert_eq!(&voted[0], &Tensor::of_i64("p", vec![3], &wanted).unwrap());
        }

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
