//! What is a graph and what is none.

use super::*;
use proptest::prelude::*;

fn step(target: Target) -> StepSpec {
    StepSpec { target, takes_request: false, inputs: Vec::new() }
}

fn model() -> StepSpec {
    step(Target::Model("m".parse().unwrap()))
}

fn to(node: usize) -> StepSpec {
    step(Target::Node(node))
}

fn node(at: usize, work: NodeWork) -> NodeSpec {
    NodeSpec { name: format!("n{at}").parse().unwrap(), work }
}

fn graph(works: Vec<NodeWork>) -> Result<GraphSpec, GraphFault> {
    GraphSpec::new(works.into_iter().enumerate().map(|(at, work)| node(at, work)).collect(), 0)
}

fn ensemble(members: Vec<(f64, StepSpec)>) -> NodeWork {
    NodeWork::Ensemble(EnsembleSpec { combine: Combine::Weighted, members, outputs: Vec::new() })
}

fn case() -> CaseSpec {
    CaseSpec { tensor: "x".to_owned(), at: 0, is: ValueIs::Above(1.0) }
}

#[test]
fn illegal_graphs_do_not_construct() {
    use NodeWork::{Sequence, Splitter, Switch};
    let deep = |depth: usize| {
        let inner = (1..depth).map(|at| Sequence(vec![to(at)]));
        graph(inner.chain([Sequence(vec![model()])]).collect())
    };
    assert!(deep(MOST_DEPTH).is_ok());
    assert!(matches!(deep(MOST_DEPTH + 1), Err(GraphFault::Depth { depth: 9, .. })));
    // Seven nodes, each of which goes to the next one twice: 128 ways.
    let twice = (1..7).map(|at| Sequence(vec![to(at), to(at)])).chain([Sequence(vec![model(), model()])]);
    assert!(matches!(graph(twice.collect()), Err(GraphFault::Steps { steps: 128, .. })));
    let cases = [
        (vec![], "begins at a node that it does not have"),
        (vec![Sequence(vec![])], "a sequence has 1 step(s) at least, and this one has 0"),
        (vec![Sequence(vec![to(0)])], "leads back to itself"),
        (vec![Sequence(vec![to(1)]), Sequence(vec![to(2)]), Sequence(vec![model(), to(1)])], "leads back to itself"),
        (vec![Sequence(vec![to(7)])], "a node that is not there"),
        (vec![Sequence(vec![model()]), Sequence(vec![model()])], "nothing leads to this node"),
        (vec![ensemble(vec![(1.0, model())])], "an ensemble has 2 step(s) at least"),
        (vec![ensemble(vec![(1.0, model()), (0.0, model())])], "a weight is a number above 0"),
        (vec![ensemble(vec![(1.0, model()), (f64::NAN, model())])], "a weight is a number above 0"),
        (vec![Splitter(vec![(0.5, model()), (0.4, model())])], "add up to 0.9000"),
        (vec![Splitter(vec![(1.0, model()), (0.0, model())])], "a share is above 0"),
        (vec![Switch(SwitchSpec { cases: vec![], otherwise: Some(model()) })], "a switch has 1 case(s) at least"),
    ];
    for (works, says) in cases {
        let fault = graph(works.clone()).expect_err(says);
        assert!(fault.to_string().contains(says), "{works:?}: {fault}");
        assert!(!fault.remedy().is_empty());
    }
    let same = vec![node(1, Sequence(vec![model()])), node(1, Sequence(vec![model()]))];
    assert_eq!(GraphSpec::new(same, 0), Err(GraphFault::Twice { node: 1 }));
}

#[test]
fn one_branch_of_a_switch_or_splitter_counts_for_the_steps() {
    let switch = SwitchSpec { cases: vec![(case(), to(1)), (case(), to(1))], otherwise: Some(to(1)) };
    let wide = NodeWork::Sequence(vec![model(); 60]);
    let both = graph(vec![NodeWork::Switch(switch), wide.clone()]).unwrap();
    assert_eq!((both.models().count(), both.root().steps().count(), both.root().kind()), (60, 3, "switch"));
    assert!(graph(vec![NodeWork::Splitter(vec![(0.5, to(1)), (0.5, to(1))]), wide]).is_ok());
}

proptest! {
    /// Whatever leads wherever: what constructs has an order in which every node leads to later ones.
    #[test]
    fn what_constructs_has_no_cycle(edges in prop::collection::vec(prop::collection::vec(0usize..6, 0..4), 1..6)) {
        let works = edges.iter().map(|leads| {
            let mut steps: Vec<StepSpec> = leads.iter().map(|at| to(*at)).collect();
            steps.push(model());
            NodeWork::Sequence(steps)
        });
        if let Ok(graph) = graph(works.collect()) {
            let mut left: Vec<usize> = (0..graph.nodes().len()).collect();
            while !left.is_empty() {
                let leads = |at: usize| graph.nodes()[at].steps().filter_map(|step| match step.target {
                    Target::Node(to) => Some(to),
                    _ => None,
                }).collect::<Vec<_>>();
                let free = left.iter().position(|at| leads(*at).iter().all(|to| !left.contains(to)));
                prop_assert!(free.is_some(), "{:?}", edges);
                left.remove(free.unwrap());
            }
        }
    }
}
