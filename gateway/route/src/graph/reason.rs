//! Why a graph answers what it answers, made of why its models do. Owns which explanations add up to one of an
//! ensemble, the arithmetic, and which nodes may answer what they were given; what explains a model is elsewhere.

use super::{Misfit, listed};
use std::collections::HashMap;
use tidegate_core::Tensor;
use tidegate_core::reasons::{AllReasons, Reasons};
use tidegate_core::spec::graph::{Combine, EnsembleSpec, GraphSpec, NodeWork, StepSpec, Target};
use tidegate_core::tensor::EXPLANATION;

/// Contributions of features to what is explained: of each row and value, they and the base add up to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// How they were reckoned.
    pub method: String,
    /// The features' names.
    pub features: Vec<String>,
    /// How many rows.
    pub rows: usize,
    /// How many values of each row.
    pub groups: usize,
    /// Rows × groups × features.
    pub contributions: Vec<f64>,
    /// Rows × groups.
    pub base: Vec<f64>,
    /// Rows × groups.
    pub explained: Vec<f64>,
    /// What the features are of: two explanations are of the same ones where this is the same.
    pub of: Source,
}

/// Which tensors a model was given, and by which names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// A number for what was given: what the caller sent is 0.
    pub given: u32,
    /// Which of them by which name, as the step says it.
    pub inputs: Vec<(String, String)>,
}

impl Why {
    /// Takes the explanation out of what a model answered, where there is one.
    ///
    /// # Errors
    /// Its tensors are not all there, or do not fit one another.
    pub fn taken(outputs: &mut Vec<Tensor>, of: Source) -> Result<Option<Self>, Misfit> {
        let (why, others): (Vec<Tensor>, Vec<Tensor>) =
            std::mem::take(outputs).into_iter().partition(|output| output.name().starts_with(EXPLANATION));
        *outputs = others;
        if why.is_empty() {
            return Ok(None);
        }
        let broken = || Misfit("the tensors of its explanation do not fit one another".to_owned());
        let part = |name: &str| {
            why.iter().find(|tensor| tensor.name().strip_prefix(EXPLANATION) == Some(name)).ok_or_else(broken)
        };
        let numbers = |name: &str, shape: &[u64]| {
            let part = part(name)?;
            let numbers: Vec<f64> = part.numbers().ok_or_else(broken)?.collect();
            if part.shape() == shape { Ok(numbers) } else { Err(broken()) }
        };
        let contributions = part("contributions")?;
        let &[rows, groups, width] = contributions.shape() else { return Err(broken()) };
        let names = part("features")?.texts().ok_or_else(broken)?;
        let features: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let size = |size: u64| usize::try_from(size).map_err(|_| broken());
        if features.len() != size(width)? {
            return Err(broken());
        }
        let method = contributions.parameters().get("method").and_then(|method| method.as_str());
        Ok(Some(Self {
            method: method.unwrap_or("unknown").to_owned(),
            features,
            rows: size(rows)?,
            groups: size(groups)?,
            contributions: numbers("contributions", &[rows, groups, width])?,
            base: numbers("base", &[rows, groups])?,
            explained: numbers("explained", &[rows, groups])?,
            of,
        }))
    }

    /// As the tensors that an answer has beside its own.
    ///
    /// # Errors
    /// Never, as long as the lists are as long as they say.
    pub fn to_tensors(&self) -> Result<Vec<Tensor>, Misfit> {
        let (rows, groups, width) = (self.rows as u64, self.groups as u64, self.features.len() as u64);
        let name = |part: &str| format!("{EXPLANATION}{part}");
        let made = [
            Tensor::of_f64(name("contributions"), vec![rows, groups, width], &self.contributions),
            Tensor::of_f64(name("base"), vec![rows, groups], &self.base),
            Tensor::of_f64(name("explained"), vec![rows, groups], &self.explained),
            Tensor::of_texts(name("features"), vec![width], &self.features),
        ];
        let said = |tensor: Tensor| {
            let parameters = [("method".to_owned(), self.method.as_str().into())].into_iter().collect();
            tensor.with_parameters(parameters)
        };
        made.into_iter().map(|one| one.map(said).map_err(|fault| Misfit(fault.to_string()))).collect()
    }

    /// What of it is kept in a record.
    #[must_use]
    pub fn kept(&self) -> Reasons {
        let features: Vec<_> = self.features.iter().map(|name| name.as_str().into()).collect();
        Reasons::kept(&AllReasons {
            method: &self.method,
            features: &features,
            rows: self.rows,
            groups: self.groups,
            contributions: &self.contributions,
            base: &self.base,
            explained: &self.explained,
        })
    }

    /// Why an ensemble answers what it answers: Shapley values are linear, so those of a mean are the mean of those of
    /// its members, by the same weights. What is explained is the mean of what is explained of the members, which is the
    /// answer's own value where that is what members answer, and of classifiers made of trees the mean of their margins.
    /// A feature that a member has not adds nothing there.
    ///
    /// # Errors
    /// The ensemble votes, or its members' explanations are of different things.
    pub fn together(spec: &EnsembleSpec, members: &[&Self]) -> Result<Self, Misfit> {
        if spec.combine == Combine::Vote {
            let says = "a vote is not explained, since what most members say is no sum of what they say: ask for one \
                        of its members by a route of its own, or leave `explain` out";
            return Err(Misfit(says.to_owned()));
        }
        let Some(first) = members.first() else { return Err(Misfit("no member is explained".to_owned())) };
        if let Some((nth, what)) = members.iter().enumerate().find_map(|(nth, one)| Some((nth, first.unlike(one)?))) {
            return Err(Misfit(format!(
                "the explanations of its members 0 and {nth} do not add up, since {what}: ask for one of them by a \
                 route of its own, or leave `explain` out"
            )));
        }
        let (features, places) = union(members);
        let weight = |nth: usize| match (spec.combine, spec.members.get(nth)) {
            (Combine::Weighted, Some((weight, _))) => *weight,
            _ => 1.0,
        };
        let total: f64 = (0..members.len()).map(weight).sum();
        let values = first.rows * first.groups;
        let (mut base, mut explained) = (vec![0.0; values], vec![0.0; values]);
        let mut contributions = vec![0.0; values * features.len()];
        for (nth, (member, places)) in members.iter().zip(&places).enumerate() {
            let weight = weight(nth) / total;
            for value in 0..values {
                base[value] += weight * member.base[value];
                explained[value] += weight * member.explained[value];
                let theirs = &member.contributions[value * places.len()..][..places.len()];
                let ours = &mut contributions[value * features.len()..][..features.len()];
                for (place, contribution) in places.iter().zip(theirs) {
                    ours[*place] += weight * contribution;
                }
            }
        }
        Ok(Self { features, contributions, base, explained, ..(*first).clone() })
    }

    /// What makes two explanations be of different things, where something does.
    fn unlike(&self, other: &Self) -> Option<String> {
        if self.method != other.method {
            let (one, two) = (listed([&*self.method].into_iter()), listed([&*other.method].into_iter()));
            return Some(format!("one is by {one} and one by {two}"));
        }
        if (self.rows, self.groups) != (other.rows, other.groups) {
            let (one, two) = ((self.rows, self.groups), (other.rows, other.groups));
            return Some(format!("one is of {} × {} values and one of {} × {}", one.0, one.1, two.0, two.1));
        }
        (self.of != other.of).then(|| "these members were given different tensors".to_owned())
    }
}

/// The features of all, each once, and for each member where its own stand among them.
fn union(members: &[&Why]) -> (Vec<String>, Vec<Vec<usize>>) {
    let (mut features, mut known) = (Vec::new(), HashMap::new());
    let mut place = |name: &String| {
        *known.entry(name.clone()).or_insert_with(|| {
            features.push(name.clone());
            features.len() - 1
        })
    };
    let places = members.iter().map(|member| member.features.iter().map(&mut place).collect()).collect();
    (features, places)
}

/// For each node whether it may answer what it was given, as a switch does of which no case holds: then the answer's
/// explanation is that of what came before it.
#[must_use]
pub fn passes(spec: &GraphSpec) -> Vec<bool> {
    let mut passes = vec![false; spec.nodes().len()];
    // What is found makes more of it be found, and never less; a graph is so deep at most.
    loop {
        let may = |step: &StepSpec| match step.target {
            Target::Node(node) => !step.takes_request && passes[node],
            Target::Model(_) | Target::Plugin(_) => false,
        };
        let found: Vec<bool> = spec
            .nodes()
            .iter()
            .map(|node| match &node.work {
                NodeWork::Sequence(steps) => steps.iter().all(may),
                NodeWork::Switch(switch) => switch.otherwise.is_none() || node.steps().any(may),
                NodeWork::Ensemble(_) | NodeWork::Splitter(_) => node.steps().any(may),
            })
            .collect();
        if found == passes {
            return passes;
        }
        passes = found;
    }
}

#[cfg(test)]
mod tests;
