//! What the gathered calls of an experiment say: of each arm, and of each beside the control. Owns the sentences; the
//! statistics are those of the crate `tidegate-experiment`.

use super::asked::Asking;
use super::gathered::{Gathered, interval};
use super::past::Before;
use super::{Against, Arm, Cuped, CupedArm, Experiment, Guard, Measure, Needed};
use tidegate_core::spec::{Goal as Wanted, RewardSource, RouteSpec};
use tidegate_experiment::compare::LEAST;
use tidegate_experiment::cuped::{Adjusted, adjust};
use tidegate_experiment::guardrail::{Goal, Guarded, Guardrail};
use tidegate_experiment::multiplicity::{Correction, adjusted};
use tidegate_experiment::power::{Change, needed_of};
use tidegate_experiment::verdict::{POWER, Question, shown};
use tidegate_experiment::{Pair, Verdict};

fn goal(of: &RewardSource) -> Goal {
    if of.goal() == Wanted::Maximize { Goal::Maximize } else { Goal::Minimize }
}

impl Gathered {
    /// What they say of a route.
    pub(super) fn experiment(mut self, route: &RouteSpec, asking: &Asking, before: Option<&Before>) -> Experiment {
        self.finish();
        let others: Vec<usize> = (0..self.names.len()).filter(|arm| *arm != asking.control).collect();
        let pairs: Vec<Option<Pair>> = others.iter().map(|arm| self.pair(0, *arm)).collect();
        let ps: Vec<f64> = pairs.iter().map(|pair| pair.map_or(1.0, |pair| pair.compare(self.design).p)).collect();
        let smallest: Vec<f64> = others.iter().map(|arm| self.smallest[*arm]).collect();
        let (ps, msprt) = (adjusted(&ps, Correction::Holm), adjusted(&smallest, Correction::Holm));
        let taken = before.map(|before| self.taken_out(before));
        let mut compared = Vec::with_capacity(others.len());
        for (nth, arm) in others.into_iter().enumerate() {
            let mut against = self.against(asking, arm, pairs[nth]);
            (against.adjusted_p, against.msprt_adjusted_p) = (ps[nth], msprt[nth]);
            let taken = taken.as_ref().and_then(|(_, taken)| taken.as_ref());
            against.cuped = taken.and_then(|taken| {
                let pair = Pair { control: taken.arms[asking.control]?, treatment: taken.arms[arm]? };
                Some(pair.compare(self.design))
            });
            compared.push(against);
        }
        Experiment {
            route: route.name.to_string(),
            routes: Vec::new(),
            reward: asking.reward.name().to_owned(),
            goal: goal(&asking.reward),
            control: self.names.get(asking.control).map(ToString::to_string).unwrap_or_default(),
            calls: self.calls,
            left_out: self.left_out,
            units_left_out: self.measures[0].units.left_out(),
            arms: (0..self.names.len()).map(|arm| self.arm(asking, arm)).collect(),
            sample_ratio_p: self.alarm.p().min(1.0),
            compared,
            cuped: taken.map(|(cuped, _)| cuped),
            over_time: self.over_time,
        }
    }

    fn arm(&self, asking: &Asking, arm: usize) -> Arm {
        let drawn = self.ratio.arms()[arm];
        let all = self.estimates();
        let rails = asking.guardrails.iter().enumerate();
        Arm {
            name: self.names[arm].to_string(),
            drawn: drawn.seen,
            expected: drawn.expected,
            reward: self.measure(0, &asking.reward, arm),
            interval: all[arm].and_then(|of| interval(&of, &all, self.design)),
            others: rails.map(|(nth, rail)| self.measure(nth + 1, &rail.reward, arm)).collect(),
        }
    }

    fn measure(&self, nth: usize, of: &RewardSource, arm: usize) -> Measure {
        let measured = &self.measures[nth];
        let ((moments, sketch), estimate) = (&measured.values[arm], measured.units.estimate(arm));
        Measure {
            measure: of.name().to_owned(),
            values: measured.units.values(arm),
            units: estimate.map_or(0.0, |estimate| estimate.units),
            mean: estimate.map(|estimate| estimate.mean),
            variance: moments.sample_variance(),
            mean_variance: estimate.map(|estimate| estimate.variance).filter(|variance| variance.is_finite()),
            p50: sketch.quantile(0.5),
            p95: sketch.quantile(0.95),
        }
    }

    fn against(&self, asking: &Asking, arm: usize, pair: Option<Pair>) -> Against {
        let question = Question {
            control: self.names[asking.control].to_string(),
            treatment: self.names[arm].to_string(),
            goal: goal(&asking.reward),
            design: self.design,
            least: asking.least,
        };
        let verdict = pair.map(|pair| question.answer(&pair, &self.ratio, &self.alarm));
        let guardrails: Vec<Guard> = asking
            .guardrails
            .iter()
            .enumerate()
            .filter_map(|(nth, rail)| {
                let pair = self.pair(nth + 1, arm)?;
                let is = Guardrail { goal: goal(&rail.reward), worse_by: rail.worse_by }.judge(&pair, self.design);
                Some(Guard { measure: rail.reward.name().to_owned(), worse_by: rail.worse_by, is })
            })
            .collect();
        let broken: Vec<&str> =
            guardrails.iter().filter(|one| one.is == Guarded::Broken).map(|one| one.measure.as_str()).collect();
        let mut says = verdict.as_ref().map_or_else(
            || format!("Go on: `{}` or `{}` has no value of the reward yet.", question.control, question.treatment),
            ToString::to_string,
        );
        if !broken.is_empty() {
            says.push_str(&format!(" But it is worse than allowed in {}.", broken.join(", ")));
        }
        Against {
            comparison: pair.map(|pair| pair.compare(self.design)),
            adjusted_p: 1.0,
            msprt_p: self.smallest[arm],
            msprt_adjusted_p: 1.0,
            guardrails,
            needed: pair.and_then(|pair| self.needed(asking, &question, &pair)),
            cuped: None,
            may_stop: verdict.as_ref().is_some_and(Verdict::may_stop),
            verdict,
            says,
            treatment: question.treatment,
        }
    }

    /// How many units it takes until a difference would be seen: the one that was named, else the smallest that matters, else
    /// what a guardrail allows of the same measure, else the one that was seen so far.
    fn needed(&self, asking: &Asking, question: &Question, pair: &Pair) -> Option<Needed> {
        let rail = asking.guardrails.iter().find(|rail| rail.reward == asking.reward);
        let named = asking.effect.or(asking.least).or(rail.map(|rail| rail.worse_by));
        let seen = Change::Absolute(pair.treatment.mean - pair.control.mean);
        let effect = named.unwrap_or(seen).of(pair.control.mean);
        let (control, treatment) = needed_of(pair, Change::Absolute(effect), self.design, POWER)?;
        let more = ((control - pair.control.units).max(0.0), (treatment - pair.treatment.units).max(0.0));
        let what = if named.is_some() { "A difference of" } else { "A difference as large as the one so far," };
        let comma = if named.is_some() { "" } else { "," };
        let begins = format!(
            "{what} {}{comma} would be seen in four of five such experiments by {control} units of `{}` and {treatment} of `{}`",
            shown(effect),
            question.control,
            question.treatment
        );
        let ends = match more {
            (control, treatment) if control + treatment <= 0.0 => "so many there are".to_owned(),
            (control, treatment) => format!("{control} and {treatment} more than there are"),
        };
        let says = format!("{begins}: {ends}.");
        Some(Needed { effect, is_named: named.is_some(), power: POWER, control, treatment, more, says })
    }

    /// The arms without what their units were like before, where enough of them were there; else why not.
    fn taken_out(&self, before: &Before) -> (Cuped, Option<Adjusted>) {
        let (pairs, met) = self.measures[0].units.beside(&before.units);
        let taken = Some(adjust(&pairs)).filter(|_| met >= LEAST);
        let units: f64 = pairs.iter().map(tidegate_experiment::cuped::Pairs::units).sum();
        let mut says = match &taken {
            Some(taken) => format!(
                "What {met} of {units} units did before is taken out (CUPED), and their scatter is {} % smaller. These bounds, \
                 too, hold at every look as units grow in number, if the span before was chosen beforehand; whether one may \
                 stop goes by those without it.",
                shown(taken.reduction * 100.0)
            ),
            None => format!(
                "Nothing is taken out (CUPED): {met} of {units} units have values from before, and {LEAST} are needed."
            ),
        };
        if before.left_out > 0 {
            says.push_str(&format!(
                " Of the calls before, {} tell nothing: their units had been given arms already.",
                before.left_out
            ));
        }
        let arms = taken.iter().flat_map(|taken| {
            taken.arms.iter().zip(&self.names).map(|(of, name)| CupedArm {
                name: name.to_string(),
                mean: of.map(|of| of.mean),
                interval: of.and_then(|of| interval(&of, &taken.arms, self.design)),
            })
        });
        let cuped = Cuped {
            since_ms: before.since,
            units_with_past: met,
            units,
            calls_left_out: before.left_out,
            theta: taken.as_ref().map(|taken| taken.theta),
            variance_reduction: taken.as_ref().map(|taken| taken.reduction),
            arms: arms.collect(),
            says,
        };
        (cuped, taken)
    }
}
