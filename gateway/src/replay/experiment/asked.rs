//! What may be asked of an experiment, from the words of a command line or a query. Owns their form and what is wrong with
//! them; the names are those of the configuration.

use tidegate_core::spec::{GatewaySpec, Implicit, PolicySpec, RewardSource, RouteSpec};
use tidegate_experiment::power::Change;

/// What no arm may lose beside the reward unless one says otherwise, and how much worse it may be.
const USUAL: [(Implicit, Change); 3] = [
    (Implicit::Error, Change::Absolute(0.01)),
    (Implicit::Latency, Change::Relative(0.1)),
    (Implicit::Cost, Change::Relative(0.1)),
];
/// The most guardrails: each keeps the sums of all units once more.
const MOST: usize = 8;

/// What is asked of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// What arms are compared by.
    pub(crate) reward: RewardSource,
    /// The index of the arm that the others are compared with.
    pub(crate) control: usize,
    /// Only calls since this moment, in milliseconds since 1970.
    pub(crate) since: u64,
    /// The smallest difference that matters, where one was named.
    pub(crate) least: Option<Change>,
    /// Of which difference one wants to know how many units it takes.
    pub(crate) effect: Option<Change>,
    /// Since when calls before `since` tell what units were like beforehand.
    pub(crate) covariate_since: Option<u64>,
    /// What no arm may lose beside the reward.
    pub(crate) guardrails: Vec<Rail>,
}

/// A measure that may not become worse by more than so much.
#[derive(Debug, Clone)]
pub(crate) struct Rail {
    pub(crate) reward: RewardSource,
    pub(crate) worse_by: Change,
}

/// The same in words, as far as they are given.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) reward: Option<String>,
    pub(crate) control: Option<String>,
    pub(crate) since: u64,
    pub(crate) least: Option<Change>,
    pub(crate) effect: Option<Change>,
    pub(crate) covariate_since: Option<u64>,
    pub(crate) guardrails: Vec<RailWords>,
}

/// A guardrail in words: its measure, and how much worse it may be; nothing where it is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RailWords {
    name: String,
    worse_by: Option<Change>,
}

/// What is wrong with what was asked: which word, and why.
pub(crate) type Wrong = (&'static str, String);

impl Words {
    /// What they ask of a route.
    ///
    /// # Errors
    /// They ask nothing that can be answered.
    pub(crate) fn of(self, spec: &GatewaySpec, route: &RouteSpec) -> Result<Asking, Wrong> {
        let reward = asked(spec, route, self.reward.as_deref()).map_err(|says| ("reward", says))?;
        let control = control_of(route, self.control.as_deref()).map_err(|says| ("control", says))?;
        if self.covariate_since.is_some_and(|before| before >= self.since) {
            let says = if self.since == 0 {
                "what units did before is before calls that count: say since when they do, too"
            } else {
                "what units did before ends where the calls that count begin: name an earlier moment, or a longer span"
            };
            return Err(("covariate_since", says.to_owned()));
        }
        let guardrails = rails(spec, self.guardrails).map_err(|says| ("guardrail", says))?;
        let Self { since, least, effect, covariate_since, .. } = self;
        Ok(Asking { reward, control, since, least, effect, covariate_since, guardrails })
    }
}

/// The usual guardrails, as far as these words leave them, and those that they add.
fn rails(spec: &GatewaySpec, words: Vec<RailWords>) -> Result<Vec<Rail>, String> {
    let usual = USUAL.map(|(implicit, worse_by)| Rail { reward: RewardSource::Call(implicit), worse_by });
    let mut rails = usual.to_vec();
    let mut met = Vec::new();
    for RailWords { name, worse_by } in words {
        if met.contains(&name) {
            return Err(format!("the guardrail `{name}` was given twice"));
        }
        let reward = named(spec, &name)?;
        let at = rails.iter().position(|rail| rail.reward == reward);
        match (worse_by, at) {
            (Some(worse_by), Some(at)) => rails[at].worse_by = worse_by,
            (Some(worse_by), None) => rails.push(Rail { reward, worse_by }),
            (None, Some(at)) => drop(rails.remove(at)),
            (None, None) => {}
        }
        met.push(name);
    }
    if rails.len() > MOST {
        return Err(format!("an experiment has at most {MOST} guardrails"));
    }
    Ok(rails)
}

/// A guardrail, as on a command line: `latency=20%`, `error=2%` (points), `stars=0.5`, or `cost=off`.
///
/// # Errors
/// It is none, in words.
pub(crate) fn rail_of(text: &str) -> Result<RailWords, String> {
    let form = "a guardrail is a measure and how much worse it may be, such as latency=20% or stars=0.5, or cost=off";
    let (name, worse_by) = text.split_once('=').ok_or_else(|| form.to_owned())?;
    let (name, worse_by) = (name.trim().to_owned(), worse_by.trim());
    if worse_by == "off" {
        return Ok(RailWords { name, worse_by: None });
    }
    let worse_by = match least_of(worse_by).map_err(|says| format!("{form}: {says}"))? {
        // A share of calls is itself a part: what it may grow by is counted in points.
        Change::Relative(by) if name == Implicit::Error.as_str() => Change::Absolute(by),
        other => other,
    };
    Ok(RailWords { name, worse_by: Some(worse_by) })
}

/// The smallest difference that matters, as on a command line: `2%` of the control's mean, or `0.01` of the reward itself.
///
/// # Errors
/// It is none, in words.
pub(crate) fn least_of(text: &str) -> Result<Change, String> {
    let (number, is_relative) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
    let number = number.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    let number =
        number.ok_or_else(|| "a difference is a number above 0, such as 0.01, or a part, such as 2%".to_owned())?;
    Ok(if is_relative { Change::Relative(number / 100.0) } else { Change::Absolute(number) })
}

/// The reward of this name, or what the route learns from.
///
/// # Errors
/// There is none, in words.
pub(crate) fn asked(spec: &GatewaySpec, route: &RouteSpec, name: Option<&str>) -> Result<RewardSource, String> {
    if let Some(name) = name {
        return named(spec, name);
    }
    if let PolicySpec::Learned(learned) = &route.policy {
        return Ok(learned.reward.clone());
    }
    Err(format!("`{}` does not say what is earned: name a reward, such as `error`", route.name))
}

fn named(spec: &GatewaySpec, name: &str) -> Result<RewardSource, String> {
    if let Some(implicit) = Implicit::ALL.into_iter().find(|implicit| implicit.as_str() == name) {
        return Ok(RewardSource::Call(implicit));
    }
    let declared = spec.rewards.iter().find(|(declared, _)| declared.as_str() == name);
    let spec = declared.ok_or_else(|| format!("the configuration declares no reward `{name}`"))?.1;
    Ok(RewardSource::Feedback(spec.clone()))
}

/// The index of the variant that the others are compared with: this one, or the first.
fn control_of(route: &RouteSpec, name: Option<&str>) -> Result<usize, String> {
    if route.variants.len() < 2 {
        return Err(format!("`{}` has one variant, and there is nothing to compare", route.name));
    }
    let Some(name) = name else { return Ok(0) };
    let found = route.variants.iter().position(|variant| variant.name.as_str() == name);
    found.ok_or_else(|| format!("`{}` has no variant `{name}`", route.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::loaded;

    fn asking(words: Words) -> Result<Asking, Wrong> {
        let spec = loaded("{weighted: {a: 50%, b: 50%}}");
        let route = spec.routes.values().next().unwrap();
        words.of(&spec, route)
    }

    fn railed(words: &[&str]) -> Result<Vec<(String, Change)>, Wrong> {
        let guardrails = words.iter().map(|text| rail_of(text).unwrap()).collect();
        let asking = asking(Words { reward: Some("error".to_owned()), guardrails, ..Words::default() })?;
        Ok(asking.guardrails.iter().map(|rail| (rail.reward.name().to_owned(), rail.worse_by)).collect())
    }

    #[test]
    fn a_smallest_difference_is_above_nothing() {
        assert_eq!(least_of("2%"), Ok(Change::Relative(0.02)));
        assert_eq!(least_of("0.5"), Ok(Change::Absolute(0.5)));
        for bad in ["0", "-1", "%", "x", "nan", "inf%", ""] {
            assert!(least_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn guardrails_are_changed_added_and_left_out_by_name() {
        let of = |name: &str, worse_by: Change| (name.to_owned(), worse_by);
        let (error, latency) = (of("error", Change::Absolute(0.01)), of("latency", Change::Relative(0.1)));
        let cost = of("cost", Change::Relative(0.1));
        assert_eq!(railed(&[]), Ok(vec![error.clone(), latency.clone(), cost]));
        let got = railed(&["error=2%", "cost=off", "tokens=5%", "first_token=0.25", "solved=1%"]);
        let expected = vec![
            of("error", Change::Absolute(0.02)),
            latency,
            of("tokens", Change::Relative(0.05)),
            of("first_token", Change::Absolute(0.25)),
            of("solved", Change::Relative(0.01)),
        ];
        assert_eq!(got, Ok(expected));
        assert_eq!(railed(&["error=off", "latency=off", "cost=off", "tokens=off"]), Ok(vec![]));
        assert!(railed(&["cost=1%", "cost=off"]).unwrap_err().1.contains("given twice"));
        assert!(railed(&["likes=1%"]).unwrap_err().1.contains("no reward `likes`"));
        for bad in ["latency", "latency=", "latency=0", "latency=-1%", "=x", "cost=none"] {
            assert!(rail_of(bad).unwrap_err().contains("such as latency=20%"), "{bad}");
        }
    }

    #[test]
    fn what_units_did_before_is_before_what_counts() {
        let of = |since: u64, covariate_since: Option<u64>| {
            asking(Words { reward: Some("error".to_owned()), since, covariate_since, ..Words::default() })
        };
        assert!(of(0, None).is_ok() && of(5, Some(4)).is_ok());
        for (since, before, why) in [(0, 0, "say since when"), (5, 5, "an earlier moment"), (5, 9, "an earlier moment")]
        {
            let (word, says) = of(since, Some(before)).unwrap_err();
            assert!(word == "covariate_since" && says.contains(why), "{says}");
        }
    }
}
