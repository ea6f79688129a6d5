//! Policies of routes, each with its settings and its faults.

use super::*;

#[test]
fn policies_that_look_at_variants_have_their_settings_and_prices() {
    let steered = |policy: &str| {
        let PolicySpec::Steered(steered) = loaded("routes", &route(policy)).unwrap().spec.routes["r"].policy.clone()
        else {
            panic!("another policy");
        };
        steered
    };
    let usual = SteeredSpec { by: SteerBy::Latency, explore: 0.02, gauge: GaugeSpec::default() };
    assert_eq!(steered("policy: {latency: {}}"), usual);
    let gauge = GaugeSpec { decay: Duration::from_secs(3), penalty: Duration::from_millis(700) };
    let given = SteeredSpec { explore: 0.0, gauge, ..usual.clone() };
    assert_eq!(steered("policy: {latency: {decay: 3s, penalty: 700ms, explore: 0%}}"), given);
    let by = SteerBy::LeastBusy { weights: vec![1.0, 2.5] };
    assert_eq!(steered("policy: {least_busy: {weights: {b: 2.5}}}"), SteeredSpec { by, ..usual });
    for (policy, fault) in [
        ("policy: {latency: {decay: 0s}}", "nothing or longer"),
        ("policy: {latency: {explore: 200%}}", "between 0 and 100"),
        ("policy: {least_busy: {weights: {c: 1}}}", "no variant `c`"),
        ("policy: {least_busy: {weights: {a: 0}}}", "a weight is above 0"),
        ("policy: {least_busy: {penalty: 1s}}", "unknown field `penalty`"),
    ] {
        each("routes", &[(&route(policy), fault)]);
    }
    let unpriced = faults("routes", &route("policy: {cost: {max_latency: 2s}}"));
    assert!(unpriced.len() == 2 && unpriced[0].contains("what the model `a` costs is not known"), "{unpriced:?}");
    let timeless = faults("routes", &route("policy: {cost: {decay: 2s}}"));
    assert!(timeless.iter().any(|fault| fault.contains("`decay` can never apply")), "{timeless:?}");
    let priced =
        text("models", "{a: {provider: p, price: {input: 1, output: 2}}, l: {provider: here, source: minilm}}")
            .replace("b: {model: b}}}", "b: {model: a}}, policy: {cost: {max_latency: 2s}}}");
    let spec = load_str(&priced, Path::new("x.yaml"), &env).unwrap().spec;
    let PolicySpec::Steered(cost) = &spec.routes["r"].policy else { panic!("another policy") };
    assert_eq!(cost.by, SteerBy::Cost { max_latency: Some(Duration::from_secs(2)) });
}

#[test]
fn a_cascade_has_an_order_and_what_is_too_poor() {
    let of = |fields: &str| route(&format!("policy: {{cascade: {{{fields}}}}}"));
    let cascade = |fields: &str| {
        let PolicySpec::Cascade(cascade) = loaded("routes", &of(fields)).unwrap().spec.routes["r"].policy.clone()
        else {
            panic!("another policy");
        };
        cascade
    };
    let judge = JudgeSpec { model: "l".parse().unwrap(), below: 0.7, timeout: Duration::from_secs(2) };
    let given = cascade(
        "order: [b, a], explore: 10%, escalate: [length, empty, {shorter_than: 9}, {contains: [\"I CAN'T\"]}, \
         {confidence_below: 60%}, {entropy_above: 2.5}, {judge: {model: l, below: 70%, timeout: 2s}}]",
    );
    let escalate = vec![
        Weakness::Length,
        Weakness::Empty,
        Weakness::ShorterThan(9),
        Weakness::Contains(vec!["i can't".to_owned()]),
        Weakness::ConfidenceBelow(0.6),
        Weakness::EntropyAbove(2.5),
    ];
    let mut expected = CascadeSpec {
        order: vec![1, 0],
        shares: vec![0.05, 0.95],
        escalate,
        monitors: vec![],
        plugins: vec![],
        judge: Some(judge),
    };
    assert_eq!(given, expected);
    expected.judge = None;
    let usual = cascade("escalate: [refusal, {judge: {model: l}}]");
    assert_eq!((usual.order, usual.shares, usual.escalate), (vec![0, 1], vec![0.99, 0.01], vec![Weakness::Refusal]));
    assert_eq!(usual.judge.unwrap().below, 0.5);
    for (fields, fault) in [
        ("order: [a, b]", "`escalate` is missing"),
        ("escalate: []", "no answer is ever too poor"),
        ("escalate: [short]", "short"),
        ("escalate: [empty], order: [a]", "a cascade of one variant"),
        ("escalate: [empty], order: [a, c]", "no variant `c`"),
        ("escalate: [empty], order: [a, b, a]", "stands in this order twice"),
        ("escalate: [{contains: []}]", "`contains` names no text"),
        ("escalate: [{confidence_below: 0%}]", "is never below 0"),
        ("escalate: [{judge: {model: l}}, {judge: {model: l}}]", "a second judge can never apply"),
        ("escalate: [{judge: {model: nope}}]", "there is no model `nope`"),
        ("escalate: [{plugin: nope}]", "there is no plugin `nope`"),
        ("escalate: [{monitor: nope}]", "there is no monitor `nope`"),
    ] {
        each("routes", &[(&of(fields), fault)]);
    }
    let spec = loaded("routes", &route("checks: [valid_json, valid_tool_call]")).unwrap().spec;
    assert!(spec.routes["r"].looks_at(Implicit::ValidJson) && !spec.routes["l"].looks_at(Implicit::ValidJson));
    let spec = loaded("routes", &route("policy: {ucb1: {reward: valid_json}}")).unwrap().spec;
    assert!(spec.routes["r"].looks_at(Implicit::ValidJson) && !spec.routes["r"].looks_at(Implicit::ValidToolCall));
    each(
        "routes",
        &[(&route("checks: [latency]"), "not a form of answers"), (&route("checks: [valid_jsn]"), "not a form")],
    );
}

#[test]
fn dear_variants_are_bounded_where_prices_are_known() {
    let models = "{a: {provider: p, price: {input: 1, output: 2}}, b: {provider: p, price: {input: 10, output: 20}}, l: {provider: here, source: minilm}}";
    let whole = |models: &str, policy: &str| {
        let text = text("models", models).replace("b: {model: b}}}", &format!("b: {{model: b}}}}, policy: {policy}}}"));
        load_str(&text, Path::new("x.yaml"), &env)
    };
    let spec = whole(models, "{thompson: {reward: error, max_cost_share: {b: 30%}}}").unwrap().spec;
    let PolicySpec::Learned(learned) = &spec.routes["r"].policy else { panic!("another policy") };
    let expected = CostShareSpec { most: vec![None, Some(0.3)], weights: vec![5.0, 50.0] };
    assert_eq!(learned.cost_share, Some(expected));
    let shown = crate::describe(&spec);
    assert_eq!(shown["routes"]["r"]["policy"]["thompson"]["max_cost_share"], serde_json::json!({"b": 0.3}));
    let free = models.replace("input: 1, output: 2", "input: 0, output: 0");
    for (models, bounds, fault) in [
        (models, "{c: 30%}", "no variant `c`"),
        (models, "{b: 100%}", "a bound is more than nothing"),
        (models, "{a: 30%, b: 30%}", "every variant is bounded"),
        (&free, "{b: 30%}", "the other variants cost nothing"),
        (
            "{a: {provider: p}, b: {provider: p}, l: {provider: here, source: minilm}}",
            "{b: 30%}",
            "`max_cost_share` goes by that",
        ),
    ] {
        let report = whole(models, &format!("{{thompson: {{reward: error, max_cost_share: {bounds}}}}}")).unwrap_err();
        assert!(!report.findings.is_empty(), "{bounds}");
        assert!(report.findings.iter().all(|one| one.message.contains(fault)), "{bounds}: {report}");
    }
}

#[test]
fn rules_each_apply_and_the_last_is_for_what_is_left() {
    let of = |rules: &str| route(&format!("policy: {{rules: {rules}}}"));
    let spec = loaded(
        "routes",
        &of(
            "[{when: {header: {X-Tier: {is: gold}, x-app: absent}}, to: {variant: b}}, {to: {weighted: {b: 25%, a: 75%}}}]",
        ),
    );
    let PolicySpec::Rules(rules) = &spec.unwrap().spec.routes["r"].policy else { panic!("another policy") };
    let header = |name: &str, with| When::Header(name.to_owned(), with);
    let gold = header("x-tier", Match::OneOf(vec!["gold".to_owned()]));
    let when = When::All(vec![gold, When::Not(Box::new(header("x-app", Match::Present)))]);
    assert_eq!(rules.rules, [RuleOfRoute { when, to: vec![0.0, 1.0] }]);
    assert_eq!(rules.otherwise, [0.75, 0.25]);
    let longer = |bytes: u32| format!("{{when: {{prompt_longer_than: {bytes}}}, to: {{variant: b}}}}");
    let rest = "{to: {variant: a}}";
    for (rules, fault) in [
        ("[]".to_owned(), "a call that no rule is for goes nowhere"),
        (format!("[{}]", longer(9)), "a call that no rule is for goes nowhere"),
        (format!("[{rest}, {}]", longer(9)), "the one before it has no `when`"),
        (format!("[{}, {}, {rest}]", longer(9), longer(10)), "rule 1 takes the calls that it is for"),
        (format!("[{{when: {{tenant: {{is: a}}}}, to: {{variant: b}}}}, {rest}]"), "callers have no keys"),
        (format!("[{{when: {{key_tag: {{t: present}}}}, to: {{variant: b}}}}, {rest}]"), "callers have no keys"),
        (format!("[{{when: {{hour: {{from: 3, to: 3}}}}, to: {{variant: b}}}}, {rest}]"), "all hours, or none"),
        (format!("[{{when: {{hour: {{from: 3, to: 25}}}}, to: {{variant: b}}}}, {rest}]"), "not an hour of the day"),
        (format!("[{{when: {{any: []}}, to: {{variant: b}}}}, {rest}]"), "an empty list"),
        (
            format!("[{{when: {{header: {{\"a b\": present}}}}, to: {{variant: b}}}}, {rest}]"),
            "not the name of a header",
        ),
        (format!("[{{when: {{language: [germen]}}, to: {{variant: b}}}}, {rest}]"), "not a language"),
        (format!("[{{when: {{streem: true}}, to: {{variant: b}}}}, {rest}]"), "`streem` is not one of the choices"),
        ("[{to: {variant: c}}]".to_owned(), "no variant `c`"),
        ("[{to: {weighted: {a: 40%}}}]".to_owned(), "add up to 40%"),
        ("[{when: {stream: true}}, {to: {variant: a}}]".to_owned(), "`to` is missing"),
    ] {
        each("routes", &[(&of(&rules), fault)]);
    }
}
