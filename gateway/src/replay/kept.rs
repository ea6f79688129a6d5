//! A route's policy as it was when a call was decided, from the configuration that is kept beside the records. Owns what
//! that file has beside what people are shown, and how a policy is read back from it.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{
    CostShareSpec, GatewaySpec, Goal, Implicit, LearnedSpec, PolicySpec, RewardKind, RewardLevel, RewardSource,
    RewardSpec, RuleSpec,
};
use tidegate_core::{RouteName, StateId, VariantName};
use tidegate_route::share::Shares;
use tidegate_storage::configurations::Configurations;

/// A configuration as it is kept: as people are shown it, with the variants of each route in the order of its decisions.
pub(crate) fn kept_form(spec: &GatewaySpec) -> Value {
    let mut shown = tidegate_config::describe(spec);
    for (name, route) in &spec.routes {
        let arms: Vec<&str> = route.variants.iter().map(|variant| variant.name.as_str()).collect();
        shown["routes"][name.as_str()]["arms"] = json!(arms);
        if let PolicySpec::Learned(LearnedSpec { cost_share: Some(cost), .. }) = &route.policy {
            shown["routes"][name.as_str()]["weights"] = json!(cost.weights);
        }
    }
    shown
}

/// What is kept of a route.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    route: Value,
    rewards: Value,
}

impl Kept {
    /// What the configuration of this hash said of a route; `None` where it is not kept, or had no such route.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn of(folder: &Path, hash: &str, route: &RouteName) -> anyhow::Result<Option<Self>> {
        let kept = Configurations::at(folder).get(hash)?;
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()).and_then(|whole| Self::read(whole, route)))
    }

    /// The same, of a configuration that is at hand.
    pub(crate) fn read(mut whole: Value, route: &RouteName) -> Option<Self> {
        let found = whole["routes"][route.as_str()].take();
        found.is_object().then(|| Self { route: found, rewards: whole["rewards"].take() })
    }

    /// The names of the arms, in the order of decisions; older files lack them.
    pub(crate) fn arms(&self) -> Option<Vec<VariantName>> {
        self.route["arms"].as_array()?.iter().map(|name| name.as_str()?.parse().ok()).collect()
    }

    /// How the arm was picked, and the settings of that.
    pub(crate) fn policy(&self) -> Option<(&str, &Value)> {
        let of = |name: &str| self.route[name].as_object().and_then(|policy| policy.iter().next());
        of("policy").or_else(|| of("rollout")).map(|(kind, settings)| (kind.as_str(), settings))
    }

    /// The probability of each of these arms, where it was fixed.
    pub(crate) fn weighted(&self, arms: &[VariantName]) -> Option<Arc<[f64]>> {
        let (_, shares) = self.policy().filter(|(kind, _)| *kind == "weighted")?;
        let shares: Option<Vec<f64>> = arms.iter().map(|arm| shares[arm.as_str()].as_f64()).collect();
        Shares::new(&shares?).ok().map(|shares| Arc::clone(shares.vector()))
    }

    /// The policy, where it is one that learns and that this program knows.
    pub(crate) fn learned(&self) -> Option<LearnedSpec> {
        let (kind, settings) = self.policy()?;
        let share = |name: &str| settings[name].as_f64();
        let count = |name: &str| settings[name].as_u64().and_then(|count| u32::try_from(count).ok());
        let rule = match kind {
            "epsilon_greedy" => RuleSpec::EpsilonGreedy { epsilon: share("epsilon")?, decay: count("decay") },
            "ucb1" => RuleSpec::Ucb1,
            "thompson" => RuleSpec::Thompson,
            "track_and_stop" => RuleSpec::TrackAndStop { delta: share("delta")? },
            "linucb" => RuleSpec::LinUcb { alpha: share("alpha")? },
            "linear_thompson" => RuleSpec::LinearThompson,
            _ => return None,
        };
        Some(LearnedSpec {
            rule,
            features: features(&settings["features"])?,
            reward: self.reward(settings["reward"].as_str()?)?,
            // Rules that explore by themselves have no such setting.
            explore: share("explore").unwrap_or(0.0),
            min_share: share("min_share")?,
            half_life: count("half_life"),
            cost_share: self.cost_share(&settings["max_cost_share"]),
        })
    }

    fn cost_share(&self, shown: &Value) -> Option<CostShareSpec> {
        let most = shown.as_object()?;
        let arms = self.arms()?;
        let weights = self.route["weights"].as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?;
        let most = arms.iter().map(|arm| most.get(arm.as_str()).and_then(Value::as_f64)).collect();
        Some(CostShareSpec { most, weights })
    }

    fn reward(&self, name: &str) -> Option<RewardSource> {
        if let Some(implicit) = Implicit::ALL.into_iter().find(|implicit| implicit.as_str() == name) {
            return Some(RewardSource::Call(implicit));
        }
        let kept = &self.rewards[name];
        let range = || Some((kept["range"][0].as_f64()?, kept["range"][1].as_f64()?));
        Some(RewardSource::Feedback(RewardSpec {
            name: name.parse().ok()?,
            kind: match kept["kind"].as_str()? {
                "boolean" => RewardKind::Boolean,
                "float" => RewardKind::Float(range()),
                _ => return None,
            },
            goal: if kept["goal"] == "minimize" { Goal::Minimize } else { Goal::Maximize },
            level: if kept["level"] == "episode" { RewardLevel::Episode } else { RewardLevel::Inference },
            window: window(kept["window"].as_str()?)?,
        }))
    }

    /// Whether the arms are the same and are picked in the same way.
    pub(crate) fn picks_as(&self, other: &Self) -> bool {
        let of = |kept: &Self, name: &str| kept.route[name].clone();
        let reward = |kept: &Self| kept.policy().and_then(|(_, of)| kept.rewards.get(of["reward"].as_str()?).cloned());
        ["arms", "policy", "rollout", "sticky", "weights"].iter().all(|name| of(self, name) == of(other, name))
            && reward(self) == reward(other)
    }
}

/// The features of a policy, as they are shown; none where it is blind.
fn features(shown: &Value) -> Option<Vec<FeatureSpec>> {
    let text = |of: &Value| of.as_str().map(str::to_owned);
    let values = |of: &Value| of["values"].as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
    let feature = |one: &Value| match (one.as_str(), one.as_object().and_then(|one| one.iter().next())) {
        (Some("language"), _) => Some(FeatureSpec::Language),
        (Some("hour"), _) => Some(FeatureSpec::Hour),
        (_, Some((kind, of))) => match kind.as_str() {
            "prompt_length" => Some(FeatureSpec::PromptLength { most: u32::try_from(of["most"].as_u64()?).ok()? }),
            "key_tag" => Some(FeatureSpec::KeyTag { tag: text(&of["name"])?, values: values(of)? }),
            "header" => Some(FeatureSpec::Header { name: text(&of["name"])?, values: values(of)? }),
            _ => None,
        },
        _ => None,
    };
    shown.as_array().map_or(Some(Vec::new()), |all| all.iter().map(feature).collect())
}

/// What is kept of the configurations under which calls drew from states.
///
/// # Errors
/// Their files cannot be read.
pub(crate) fn kept_of_states(
    folder: &Path,
    route: &RouteName,
    configs: &HashMap<StateId, Arc<str>>,
) -> anyhow::Result<HashMap<StateId, Arc<Kept>>> {
    let mut known: HashMap<&Arc<str>, Option<Arc<Kept>>> = HashMap::new();
    let mut found = HashMap::new();
    for (state, config) in configs {
        let kept = match known.entry(config) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Kept::of(folder, config, route)?.map(Arc::new)),
        };
        found.extend(kept.clone().map(|kept| (*state, kept)));
    }
    Ok(found)
}

/// A span as configurations are shown with it: `60s` or `1500ms`.
fn window(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::spec::PolicySpec;

    fn spec(policy: &str) -> GatewaySpec {
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
             providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1\"}}]}}}}}}\n\
             models: {{m: {{provider: p, model: x, price: {{input: 1, output: 2}}}}}}\n\
             rewards: {{solved: {{kind: boolean, level: episode, window: 90s}}, stars: {{kind: float, range: [1, 5]}}, wait: {{kind: float, goal: minimize, window: 1500ms}}}}\n\
             routes: {{r: {{variants: {{z: {{model: m}}, a: {{model: m}}}}, policy: {policy}}}}}\n"
        );
        tidegate_config::load_str(&text, Path::new("c.yaml"), &|_| None).unwrap().spec
    }

    fn kept(spec: &GatewaySpec) -> Kept {
        Kept::read(kept_form(spec), &"r".parse().unwrap()).unwrap()
    }

    #[test]
    fn each_policy_that_learns_is_read_back_as_it_was() {
        for policy in [
            "{epsilon_greedy: {reward: solved, epsilon: 20%, decay: 300, half_life: 50}}",
            "{epsilon_greedy: {reward: wait, min_share: 0%}}",
            "{ucb1: {reward: stars, explore: 7%}}",
            "{ucb1: {reward: error}}",
            "{thompson: {reward: latency, min_share: 0.3%}}",
            "{thompson: {reward: wait}}",
            "{track_and_stop: {reward: solved, delta: 1%, explore: 0%}}",
            "{linucb: {reward: stars, features: [hour, {prompt_length: {most: 4096}}], alpha: 0.5, half_life: 50}}",
            "{linear_thompson: {reward: solved, features: [language, {header: {name: X-Task, values: [a, b]}}], explore: 1%}}",
            "{thompson: {reward: latency, max_cost_share: {a: 40%}}}",
        ] {
            let spec = spec(policy);
            let Some(PolicySpec::Learned(learned)) = spec.routes.values().next().map(|route| &route.policy) else {
                panic!("{policy}");
            };
            assert_eq!(kept(&spec).learned().as_ref(), Some(learned), "{policy}");
        }
    }

    #[test]
    fn arms_keep_their_order_and_what_does_not_learn_is_none() {
        let fixed = kept(&spec("{weighted: {z: 25%, a: 75%}}"));
        let arms: Vec<String> = fixed.arms().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!((arms, fixed.learned()), (vec!["z".to_owned(), "a".to_owned()], None));
        let shares = fixed.weighted(&fixed.arms().unwrap()).unwrap();
        assert_eq!((shares.as_ref(), fixed.weighted(&["b".parse().unwrap()])), (&[0.25, 0.75][..], None));
        assert_eq!(fixed.policy().map(|(kind, of)| (kind, of["a"].as_f64())), Some(("weighted", Some(0.75))));
        assert!(Kept::read(kept_form(&spec("{weighted: {z: 25%, a: 75%}}")), &"other".parse().unwrap()).is_none());
    }

    #[test]
    fn another_policy_or_another_reward_is_seen() {
        let of = |policy: &str| kept(&spec(policy));
        let one = of("{thompson: {reward: solved}}");
        assert!(one.picks_as(&of("{thompson: {reward: solved}}")));
        assert!(!one.picks_as(&of("{thompson: {reward: stars}}")) && !one.picks_as(&of("{ucb1: {reward: solved}}")));
        let mut turned = kept_form(&spec("{thompson: {reward: solved}}"));
        turned["rewards"]["solved"]["goal"] = json!("minimize");
        assert!(!one.picks_as(&Kept::read(turned, &"r".parse().unwrap()).unwrap()));
    }
}
