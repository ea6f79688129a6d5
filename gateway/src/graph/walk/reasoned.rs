//! Why a graph answers what it answers, on the way of one call. Owns whose explanation the answer has, and what is said
//! where there is none; which explanations make one is `tidegate-route`'s.

use std::sync::Arc;
use tidegate_core::spec::graph::{Combine, EnsembleSpec};
use tidegate_core::{Fault, FaultKind, PredictAnswer, Tensor};
use tidegate_route::graph::{Source, Why};

/// What a node or a model answers.
pub(super) struct Said {
    pub(super) outputs: Vec<Tensor>,
    /// Why, where that was asked.
    pub(super) why: Option<Reasoned>,
}

/// An explanation, or why there is none: that is a fault only where the answer of the call is without.
pub(super) type Reasoned = Result<Arc<Explained>, Fault>;

/// Why a model answers what it answers, or several together.
pub(super) struct Explained {
    why: Why,
    /// Whether one of them is governed.
    is_governed: bool,
}

impl Said {
    /// What a model answered, that was asked why where there is a `source`; `within` names it in faults.
    pub(super) fn by(said: PredictAnswer, source: Option<Source>, within: impl Fn(Fault) -> Fault) -> Self {
        let PredictAnswer { mut outputs, reasons, .. } = said;
        let why = source.map(|source| match Why::taken(&mut outputs, source) {
            Ok(Some(why)) => Ok(Arc::new(Explained { why, is_governed: reasons.is_some() })),
            Ok(None) => Err(within(none("what it answers"))),
            Err(misfit) => Err(within(Fault::new(FaultKind::UpstreamFailed, misfit.to_string()))),
        });
        Self { outputs, why }
    }
}

/// The fault that there is no explanation.
pub(super) fn none(what: &str) -> Fault {
    Fault::field("parameters.explain", format!("{what} has no explanation: leave `explain` out"))
}

/// Why an ensemble answers what it answers, where it can be said.
pub(super) fn together(spec: &EnsembleSpec, said: &mut [Said], within: impl Fn(Fault) -> Fault) -> Reasoned {
    // Members of a vote were not asked.
    let is_asked = spec.combine != Combine::Vote;
    let why = |said: &mut Said| said.why.take().unwrap_or_else(|| Err(none("a member")));
    let members: Vec<Arc<Explained>> = said.iter_mut().filter(|_| is_asked).map(why).collect::<Result<_, _>>()?;
    let whys: Vec<&Why> = members.iter().map(|member| &member.why).collect();
    let why = Why::together(spec, &whys);
    let why = why.map_err(|misfit| within(Fault::field("parameters.explain", misfit.to_string())))?;
    Ok(Arc::new(Explained { why, is_governed: members.iter().any(|member| member.is_governed) }))
}

/// An answer with why, and what of that goes into the record where a model is governed.
///
/// # Errors
/// There is no explanation.
pub(super) fn with(mut answer: PredictAnswer, why: Option<Reasoned>) -> Result<PredictAnswer, Fault> {
    let explained = why.unwrap_or_else(|| Err(none("what answers")))?;
    answer.outputs.extend(explained.why.to_tensors().map_err(Fault::internal)?);
    answer.reasons = explained.is_governed.then(|| Arc::new(explained.why.kept()));
    Ok(answer)
}
