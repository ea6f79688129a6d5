//! Explanations that add up, and those that do not.

use super::*;
use proptest::prelude::*;
use tidegate_core::spec::graph::{CaseSpec, NodeSpec, SwitchSpec, ValueIs};

/// An explanation that adds up.
fn why(features: &[&str], base: f64, contributions: &[f64]) -> Why {
    let values = contributions.len() / features.len();
    let sums = contributions.chunks(features.len()).map(|part| base + part.iter().sum::<f64>());
    Why {
        method: "tree_shap".to_owned(),
        features: features.iter().map(|&name| name.to_owned()).collect(),
        rows: values,
        groups: 1,
        contributions: contributions.to_vec(),
        base: vec![base; values],
        explained: sums.collect(),
        of: Source::default(),
    }
}

fn step(target: Target) -> StepSpec {
    StepSpec { target, takes_request: false, inputs: Vec::new() }
}

fn model() -> StepSpec {
    step(Target::Model("m".parse().unwrap()))
}

fn ensemble(combine: Combine, weights: &[f64]) -> EnsembleSpec {
    EnsembleSpec { combine, members: weights.iter().map(|weight| (*weight, model())).collect(), outputs: Vec::new() }
}

#[test]
fn features_belong_together_by_their_names_and_weigh_as_their_members() {
    let (one, two) = (why(&["a", "b"], 1.0, &[2.0, 4.0]), why(&["c", "a"], 3.0, &[8.0, 6.0]));
    let mean = Why::together(&ensemble(Combine::Mean, &[9.0, 1.0]), &[&one, &two]).unwrap();
    assert_eq!(mean, why(&["a", "b", "c"], 2.0, &[4.0, 2.0, 4.0]));
    let weighted = Why::together(&ensemble(Combine::Weighted, &[3.0, 1.0]), &[&one, &two]).unwrap();
    assert_eq!(weighted, why(&["a", "b", "c"], 1.5, &[3.0, 3.0, 2.0]));
}

#[test]
fn what_does_not_add_up_is_said() {
    let (one, mean) = (why(&["a"], 1.0, &[2.0]), ensemble(Combine::Mean, &[1.0, 1.0]));
    let says = |other: &Why| Why::together(&mean, &[&one, other]).unwrap_err().to_string();
    assert!(says(&Why { method: "permutation".to_owned(), ..one.clone() }).contains("`tree_shap` and one by `permut"));
    assert!(says(&why(&["a"], 1.0, &[2.0, 3.0])).contains("one is of 1 × 1 values and one of 2 × 1"));
    let of = Source { given: 0, inputs: vec![("x".to_owned(), "z".to_owned())] };
    assert!(says(&Why { of, ..one.clone() }).contains("members 0 and 1 do not add up, since these members were given"));
    let vote = Why::together(&ensemble(Combine::Vote, &[1.0, 1.0]), &[&one, &one]).unwrap_err();
    assert!(vote.to_string().starts_with("a vote is not explained"), "{vote}");
}

#[test]
fn explanations_are_taken_out_of_answers_and_must_fit() {
    let one = why(&["a", "b"], 0.5, &[1.0, 2.0, 3.0, 4.0]);
    let answer = Tensor::of_f64("y", vec![2], &[3.5, 7.5]).unwrap();
    let mut outputs = vec![answer.clone()];
    outputs.extend(one.to_tensors().unwrap());
    let taken = Why::taken(&mut outputs.clone(), Source::default());
    assert_eq!(taken, Ok(Some(one)));
    for lacks in 1..5 {
        let mut broken = outputs.clone();
        broken.remove(lacks);
        assert!(Why::taken(&mut broken, Source::default()).is_err(), "without {lacks}");
    }
    let mut wrong = outputs.clone();
    wrong[2] = Tensor::of_f64("explanation.base", vec![1], &[0.5]).unwrap();
    assert!(Why::taken(&mut wrong, Source::default()).is_err());
    outputs.truncate(1);
    assert_eq!(Why::taken(&mut outputs, Source::default()), Ok(None));
    assert_eq!(outputs, [answer]);
}

#[test]
fn a_node_passes_on_what_it_was_given_where_all_its_way_may() {
    let case = || CaseSpec { tensor: "x".to_owned(), at: 0, is: ValueIs::Above(0.0) };
    let switch = |otherwise| NodeWork::Switch(SwitchSpec { cases: vec![(case(), model())], otherwise });
    let works = vec![
        NodeWork::Sequence(vec![step(Target::Node(1)), step(Target::Node(2))]),
        NodeWork::Splitter(vec![(0.5, step(Target::Node(3))), (0.5, step(Target::Node(4)))]),
        NodeWork::Sequence(vec![step(Target::Node(3)), model()]),
        switch(None),
        switch(Some(model())),
        NodeWork::Sequence(vec![StepSpec { takes_request: true, ..step(Target::Node(3)) }]),
    ];
    let steps = (0..works.len() - 1).filter(|at| *at != 0).map(|at| step(Target::Node(at)));
    let all = NodeWork::Sequence(steps.chain([step(Target::Node(5)), step(Target::Node(0))]).collect());
    let nodes = works.into_iter().chain([all]).enumerate();
    let nodes = nodes.map(|(at, work)| NodeSpec { name: format!("n{at}").parse().unwrap(), work }).collect();
    let spec = GraphSpec::new(nodes, 6).unwrap();
    assert_eq!(passes(&spec), [false, true, false, true, false, false, false]);
}

/// Some members of one ensemble, each with its features among some names, and the weight of each.
fn members() -> impl Strategy<Value = Vec<(f64, Why)>> {
    let member = |rows: usize, groups: usize| {
        let names = prop::sample::subsequence((0..12).collect::<Vec<u32>>(), 1..12).prop_shuffle();
        (0.01f64..50.0, names, -1e3f64..1e3).prop_flat_map(move |(weight, names, base)| {
            prop::collection::vec(-1e3f64..1e3, names.len() * rows * groups).prop_map(move |contributions| {
                let names: Vec<String> = names.iter().map(|name| format!("f{name}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                (weight, Why { rows, groups, ..why(&names, base, &contributions) })
            })
        })
    };
    (1usize..5, 1usize..4).prop_flat_map(move |(rows, groups)| prop::collection::vec(member(rows, groups), 1..7))
}

proptest! {
    #[test]
    fn an_ensemble_adds_up_to_the_mean_of_what_its_members_add_up_to(members in members(), is_weighted: bool) {
        let weights: Vec<f64> = members.iter().map(|(weight, _)| *weight).collect();
        let combine = if is_weighted { Combine::Weighted } else { Combine::Mean };
        let whys: Vec<&Why> = members.iter().map(|(_, why)| why).collect();
        let made = Why::together(&ensemble(combine, &weights), &whys).unwrap();
        let weight = |nth: usize| if is_weighted { weights[nth] } else { 1.0 };
        let total: f64 = (0..weights.len()).map(weight).sum();
        for (value, part) in made.contributions.chunks(made.features.len()).enumerate() {
            let sum = made.base[value] + part.iter().sum::<f64>();
            prop_assert!((sum - made.explained[value]).abs() < 1e-8, "{} and {}", sum, made.explained[value]);
            let mean: f64 = whys.iter().enumerate().map(|(nth, why)| weight(nth) / total * why.explained[value]).sum();
            prop_assert!((mean - made.explained[value]).abs() < 1e-8);
            // Each feature has what its members gave it, and those that have it not gave it nothing.
            for (feature, ours) in made.features.iter().zip(part) {
                let theirs = |(nth, why): (usize, &&Why)| {
                    let place = why.features.iter().position(|name| name == feature);
                    place.map_or(0.0, |place| weight(nth) / total * why.contributions[value * why.features.len() + place])
                };
                let mean: f64 = whys.iter().enumerate().map(theirs).sum();
                prop_assert!((mean - ours).abs() < 1e-8);
            }
        }
        let mut tensors = made.to_tensors().unwrap();
        prop_assert_eq!(Why::taken(&mut tensors, Source::default()).unwrap(), Some(made));
    }
}
