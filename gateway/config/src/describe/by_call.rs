//! Policies that give each call shares of its own, as JSON. Owns how conditions are shown: as they are written.

use super::{feature, seconds};
use serde_json::{Map, Value, json};
use tidegate_core::spec::{AdvisedSpec, GaugeSpec, Match, RouteSpec, RulesSpec, SteerBy, SteeredSpec, When};

pub(super) fn steered(steered: &SteeredSpec, spec: &RouteSpec) -> Value {
    let SteeredSpec { by, explore, gauge: GaugeSpec { decay, penalty } } = steered;
    let settings = match by {
        SteerBy::Latency => json!({"decay": seconds(*decay), "penalty": seconds(*penalty), "explore": explore}),
        SteerBy::LeastBusy { weights } => {
            let named = spec.variants.iter().map(|variant| variant.name.to_string());
            let weights = named.zip(weights.iter().map(|weight| json!(weight))).collect::<Map<_, _>>();
            json!({"weights": weights, "explore": explore})
        }
        SteerBy::Cost { max_latency } => json!({
            "max_latency": max_latency.map(seconds), "decay": seconds(*decay), "penalty": seconds(*penalty),
            "explore": explore,
        }),
    };
    json!({by.word(): settings})
}

pub(super) fn rules(by: &RulesSpec, spec: &RouteSpec) -> Value {
    let RulesSpec { rules, otherwise } = by;
    let to = |shares: &[f64]| {
        let named = spec.variants.iter().map(|variant| variant.name.to_string());
        json!({"weighted": named.zip(shares.iter().map(|share| json!(share))).collect::<Map<_, _>>()})
    };
    let each = rules.iter().map(|rule| json!({"when": when(&rule.when), "to": to(&rule.to)}));
    json!({"rules": each.chain([json!({"to": to(otherwise)})]).collect::<Vec<_>>()})
}

pub(super) fn advised(by: &AdvisedSpec, spec: &RouteSpec) -> Value {
    let AdvisedSpec { plugin, features, shares, explore } = by;
    let named = spec.variants.iter().map(|variant| variant.name.to_string());
    json!({"router": {
        "plugin": plugin,
        "features": features.iter().map(feature).collect::<Vec<_>>(),
        "shares": named.zip(shares.iter().map(|share| json!(share))).collect::<Map<_, _>>(),
        "explore": explore,
    }})
}

fn when(when: &When) -> Value {
    let of = |with: &Match| match with {
        Match::Present => json!("present"),
        Match::OneOf(texts) => json!({"one_of": texts}),
        Match::Prefix(text) => json!({"prefix": text}),
    };
    let each = |all: &[When]| all.iter().map(self::when).collect::<Vec<_>>();
    match when {
        When::Header(name, with) => json!({"header": {name: of(with)}}),
        When::KeyTag(tag, with) => json!({"key_tag": {tag: of(with)}}),
        When::Tenant(with) => json!({"tenant": of(with)}),
        When::Principal(with) => json!({"principal": of(with)}),
        When::User(with) => json!({"user": of(with)}),
        When::LongerThan(bytes) => json!({"prompt_longer_than": bytes}),
        When::ShorterThan(bytes) => json!({"prompt_shorter_than": bytes}),
        When::Language(languages) => json!({"language": languages.iter().map(|one| one.word()).collect::<Vec<_>>()}),
        When::Hour(from, to) => json!({"hour": {"from": from, "to": to}}),
        When::Stream(is) => json!({"stream": is}),
        When::Tools(has) => json!({"tools": has}),
        When::All(all) => json!({"all": each(all)}),
        When::Any(any) => json!({"any": each(any)}),
        When::Not(not) => json!({"not": self::when(not)}),
    }
}
