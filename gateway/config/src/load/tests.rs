//! Tests of what is refused and why, one table for each section, and of folders.

use super::*;
use std::fs;
use std::time::Duration;
use tidegate_core::FaultKind;
use tidegate_core::spec::{
    ArtifactsSpec, AuthSpec, CascadeSpec, Condition, CostShareSpec, GaugeSpec, HedgeAfter, HedgeSpec, Implicit,
    JudgeSpec, Match, Measure, PolicySpec, ProviderKind, ProxySpec, Requirement, RiskTier, RuleOfRoute, Source,
    SourceUri, SteerBy, SteeredSpec, Weakness, When,
};

mod alerts;
mod contracts;
mod monitors;
mod plugins;
mod policies;

/// A configuration without a fault, in which a case replaces a section.
const GOOD: [(&str, &str); 5] = [
    ("listeners", "{public: {address: 127.0.0.1:0}}"),
    ("providers", "{p: {openai: {endpoints: [{url: http://127.0.0.1:1/v1}]}}, here: {local: {}}}"),
    ("models", "{a: {provider: p}, b: {provider: p}, l: {provider: here, source: minilm}}"),
    ("routes", "{r: {variants: {a: {model: a}, b: {model: b}}}, l: {model: l}}"),
    ("store", "{}"),
];

fn text(section: &str, value: &str) -> String {
    let others = GOOD.iter().filter(|(name, _)| *name != section);
    let others: String = others.map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{others}{section}: {value}\n")
}

fn env(name: &str) -> Option<String> {
    match name {
        "KEY" => Some("s3cret".to_owned()),
        "MULTI" => Some("two\nlines".to_owned()),
        "LOGIN" => Some("user:s3cret".to_owned()),
        "HOOK" => Some("https://h.example/x?token=s3cret".to_owned()),
        "SLACK" => Some("https://hooks.slack.com/services/T/B/s3cret".to_owned()),
        "OPEN" => Some("http://hooks.example/s3cret".to_owned()),
        "HTTPS_PROXY" => Some("user:pass@proxy:3128".to_owned()),
        "NO_PROXY" => Some("a.example, .b.example".to_owned()),
        _ => None,
    }
}

fn loaded(section: &str, value: &str) -> Result<Loaded, Report> {
    load_str(&text(section, value), Path::new("x.yaml"), &env)
}

fn faults(section: &str, value: &str) -> Vec<String> {
    let report = loaded(section, value).map(|_| ()).expect_err(value);
    assert!(report.findings.iter().all(|finding| finding.remedy.is_some()), "no remedy: {report}");
    assert!(!report.to_string().contains("s3cret"), "{report}");
    report.findings.into_iter().map(|finding| finding.message).collect()
}

/// Each value has exactly this fault.
fn each(section: &str, cases: &[(&str, &str)]) {
    for (value, fault) in cases {
        let found = faults(section, value);
        assert!(found.len() == 1 && found[0].contains(fault), "{value}\n{found:#?}\n{fault}");
    }
}

#[test]
fn listeners() {
    each(
        "listeners",
        &[
            ("{}", "there is no listener"),
            ("{a b: {address: 127.0.0.1:1}}", "not the name of a listener"),
            ("{a: {address: localhost:8080}}", "`localhost:8080` is not an address"),
            ("{a: }", "`address` is missing"),
            ("{a: {address: 127.0.0.1:1, tls: {cert: nope.pem, key: Cargo.toml}}}", "there is no file nope.pem"),
            ("{a: {address: 127.0.0.1:1, tls: {key: Cargo.toml}}}", "`cert` is missing"),
            ("{a: {address: 127.0.0.1:1, cors: {origins: [\"https://a.example/path\"]}}}", "no origin"),
            ("{a: {address: 127.0.0.1:1, head_timeout: 5}}", "it has no unit"),
            ("{a: {address: 192.168.0.1:1}}", "callers need no key"),
            ("{a: {address: \"[::]:1\"}}", "callers need no key"),
        ],
    );
    assert!(loaded("listeners", "{a: {address: 127.0.0.1:0}, b: {address: 127.0.0.1:0}}").is_ok());
}

#[test]
fn admin() {
    each(
        "admin",
        &[
            ("{address: 0.0.0.0:1}", "needs neither token nor key"),
            ("{address: 127.0.0.1:1, token: \"${env:NONE}\"}", "`NONE` is not set"),
        ],
    );
    let loaded = loaded("admin", "{address: 0.0.0.0:1, token: hunter2}").unwrap();
    assert_eq!(loaded.warnings.len(), 2);
    assert!(!format!("{:?}", loaded.warnings).contains("hunter2"));
}

#[test]
fn store() {
    each(
        "store",
        &[
            ("{events: {to: none, durability: ack}}", "no events are kept"),
            ("{events: {to: s3://bucket}}", "no place for events"),
            ("{events: {subject: {header: a b}}}", "not the name of a header"),
            ("{shared: \"memcached://host\"}", "no store that replicas can share"),
            ("{shared: \"redis://\"}", "no store that replicas can share"),
            ("{shared: \"redis://:hunter2@host\"}", "a secret stands in the file itself"),
            ("{events: {retention: 30}}", "it has no unit"),
        ],
    );
    let spec = loaded("store", "{events: {to: none, retention: forever}}").unwrap().spec;
    assert_eq!((spec.events.folder, spec.events.retention), (None, None));
    let shared = |store: &str| loaded("store", store).unwrap().spec.shared.map(|shared| shared.url.expose().to_owned());
    assert_eq!(shared("{shared: \"redis://:${env:KEY}@host:6379/1\"}").as_deref(), Some("redis://:s3cret@host:6379/1"));
    assert_eq!((shared("{shared: memory}"), shared("{}")), (None, None));
    let spec = loaded("store", "{}").unwrap().spec;
    assert_eq!(spec.events.folder, Some(".tidegate/events".into()));
}

#[test]
fn files_lie_in_a_folder_or_a_bucket() {
    each(
        "store",
        &[
            ("{s3: {region: eu-west-1}}", "no registry that keeps files"),
            ("{registry: \"sqlite:r.db\", s3: {region: eu-west-1}}", "no files lie in a bucket"),
            ("{registry: \"sqlite:r.db\", artifacts: \"gs://models\"}", "no place for files"),
            ("{registry: \"sqlite:r.db\", artifacts: \"s3://Models/x\"}", "no bucket for files"),
            ("{registry: \"sqlite:r.db\", artifacts: \"s3://models/../x\"}", "no bucket for files"),
            (
                "{registry: \"sqlite:r.db\", artifacts: \"s3://models\", s3: {access_key_id: a}}",
                "`secret_access_key` is missing",
            ),
            (
                "{registry: \"sqlite:r.db\", artifacts: \"s3://models\", s3: {access_key_id: a, secret_access_key: hunter2}}",
                "a secret stands in the file itself",
            ),
        ],
    );
    let artifacts = |store: &str| loaded("store", store).unwrap().spec.registry.unwrap().artifacts;
    assert_eq!(artifacts("{registry: \"sqlite:r.db\"}"), ArtifactsSpec::Folder(".tidegate/artifacts".into()));
    let store = "{registry: \"sqlite:r.db\", artifacts: \"s3://models/a/b/\", s3: {endpoint: \"http://minio:9000\", access_key_id: a, secret_access_key: \"${env:KEY}\"}}";
    let ArtifactsSpec::S3(s3) = artifacts(store) else { panic!("it is a bucket") };
    assert_eq!((s3.bucket.as_str(), s3.prefix.as_str(), s3.region), ("models", "a/b", None));
    assert_eq!((s3.endpoint, s3.key.is_some()), (Some("http://minio:9000/".parse().unwrap()), true));
}

#[test]
fn governance() {
    let store = |governance: &str| {
        format!("{{registry: \"sqlite:r.db\", events: {{durability: ack, content: hash}}, governance: {governance}}}")
    };
    for (governance, fault) in [
        ("{aliases: {latest: {requires: [card]}}}", "no alias that could be governed"),
        ("{aliases: {a b: {requires: [card]}}}", "no alias that could be governed"),
        ("{aliases: {production: {}}}", "`requires` is missing"),
        ("{aliases: {production: {requires: [cart]}}}", "`cart`"),
        ("{aliases: {production: {requires: [{approvals: 0}]}}}", "at least 1"),
        ("{aliases: {production: {requires: [{evaluation: {max_age: 7d}}]}}}", "`monitor` is missing"),
        ("{aliases: {production: {requires: [{evaluation: {monitor: a b}}]}}}", "no name of a monitor"),
        ("{aliases: {production: {requires: [], risk: {grave: [card]}}}}", "no risk tier"),
        ("{aliases: {production: {requires: [], risk: {unacceptable: [card]}}}}", "whatever it has"),
    ] {
        each("store", &[(&store(governance), fault)]);
    }
    each(
        "store",
        &[
            ("{governance: {}}", "no registry whose aliases"),
            ("{registry: \"sqlite:r.db\", governance: {aliases: {p: {requires: []}}}}", "`durability` is `queue`"),
            ("{registry: \"sqlite:r.db\", governance: {decisions: kept}}", "`content` is `none`"),
        ],
    );
    for open in ["{decisions: optional}", "{}", "{aliases: {p: {requires: []}}, decisions: optional}"] {
        let spec = loaded("store", &format!("{{registry: \"sqlite:r.db\", governance: {open}}}")).unwrap().spec;
        assert!(!spec.registry.unwrap().governance.keeps_decisions, "{open}");
    }
    let all = "{aliases: {p: {requires: [card, {evaluation: {monitor: m, max_age: 7d}}, {approvals: 2}], risk: {high: [baseline]}}}}";
    let gate = loaded("store", &store(all)).unwrap().spec.registry.unwrap().governance.aliases.remove("p").unwrap();
    let week = Some(Duration::from_secs(7 * 86400));
    let evaluation = Requirement::Evaluation { monitor: "m".into(), max_age: week };
    assert_eq!(gate.requires, [Requirement::Card, evaluation, Requirement::Approvals(2)]);
    assert_eq!(gate.risk[&RiskTier::High], [Requirement::Baseline]);
}

fn provider(fields: &str) -> String {
    format!("{{p: {{openai: {{endpoints: [{{url: http://127.0.0.1:1/v1}}], {fields}}}}}, here: {{local: {{}}}}}}")
}

#[test]
fn providers() {
    let here = "here: {local: {}}";
    for (fields, fault) in [
        ("auth: {bearer: \"${env:MULTI}\"}", "fits into no header"),
        ("auth: {header: {}}", "exactly one header"),
        ("auth: {header: {a: \"${env:KEY}\", b: \"${env:KEY}\"}}", "exactly one header"),
        ("auth: {header: {api-key: literal}}", "a secret stands in the file itself"),
        ("auth: {bearer: \"${env:KEY}\", header: {a: \"${env:KEY}\"}}", "exactly one of"),
        ("headers: {host: a}", "sets `host` itself"),
        ("headers: {a: \"ü\\n\"}", "no value of a header"),
        ("ca: nope.pem", "there is no file"),
        ("proxy: {through: \"https://proxy\"}", "is not a proxy"),
        ("proxy: {through: \"http://user:literal@proxy\"}", "a secret stands in the file itself"),
        ("http2: maybe", "`true` or `false`"),
        ("balance: ewma", "not available in this version"),
        ("max_connections: 0", "at least 1"),
        ("max_connections: \"${env:KEY}\"", "what `${env:KEY}` stands for is not a whole number"),
    ] {
        each("providers", &[(&provider(fields), fault)]);
    }
    for (url, fault) in [
        ("127.0.0.1:8000", "is not an address"),
        ("ftp://a", "`ftp` is not spoken"),
        ("http://a/v1?key=1", "query"),
        ("http://u:p@a/v1", "credentials"),
        ("http://a:99999/v1", "is not an address"),
    ] {
        each("providers", &[(&format!("{{p: {{openai: {{endpoints: [{{url: \"{url}\"}}]}}}}, {here}}}"), fault)]);
    }
    each(
        "providers",
        &[
            (&format!("{{p: {{openai: {{endpoints: []}}}}, {here}}}"), "at least one endpoint"),
            (&format!("{{p: {{openai: {{endpoints: [{{url: http://a}}, {{url: http://a/}}]}}}}, {here}}}"), "already"),
            (&format!("{{p: {{anthropic: {{}}}}, {here}}}"), "`anthropic` is not available in this version"),
            (
                &format!("{{p: , {here}}}"),
                "expected one of openai, local, open_inference, tf_serving, mlflow, seldon, bentoml, torchserve, found nothing",
            ),
            (
                &format!("{{p: {{}}, {here}}}"),
                "exactly one of openai, local, open_inference, tf_serving, mlflow, seldon, bentoml, torchserve stands here, not 0",
            ),
        ],
    );
}

#[test]
fn a_provider_takes_its_proxy_and_secrets_from_the_environment() {
    let value = provider("auth: {bearer: \"${env:KEY}\"}, headers: {x-k: \"${env:KEY}\", x-o: open}");
    let spec = loaded("providers", &value).unwrap().spec;
    let ProviderKind::OpenAi(pool) = &spec.providers["p"].kind else { panic!("{spec:?}") };
    assert!(matches!(&pool.auth, Some(AuthSpec::Bearer(secret)) if secret.expose() == "s3cret"));
    assert_eq!(pool.headers.iter().map(|(_, value)| value.is_sensitive()).collect::<Vec<_>>(), [true, false]);
    let ProxySpec::Environment { https: Some(https), http: None, except } = &pool.proxy else {
        panic!("{:?}", pool.proxy)
    };
    assert_eq!((https.port_u16(), except.len()), (Some(3128), 2));
    let described = crate::describe(&spec).to_string();
    assert!(!described.contains("s3cret") && !described.contains("user:pass"), "{described}");
}

#[test]
fn endpoints_are_told_apart() {
    let value = "{p: {openai: {endpoints: [{url: http://a/1}, {url: http://a/2}, {url: \"https://[::1]/\"}]}}, here: {local: {}}}";
    let spec = loaded("providers", value).unwrap().spec;
    let ProviderKind::OpenAi(pool) = &spec.providers["p"].kind else { panic!("{spec:?}") };
    let names: Vec<&str> = pool.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["a:80", "a:80/2", "0:0:0:0:0:0:0:1:443"]);
}

#[test]
fn models() {
    let others = "b: {provider: p}, l: {provider: here, source: minilm}";
    let sha = "ab".repeat(32);
    for (a, fault) in [
        ("{provider: nope}", "there is no provider `nope`"),
        ("{provider: here}", "needs a source"),
        ("{provider: here, source: minilm, model: x}", "no other name"),
        ("{provider: here, source: minillm}", "not in the catalogue"),
        ("{provider: here, source: \"models:/a@champion\"}", "comes from the registry, and there is none"),
        ("{provider: here, source: \"models:/a\"}", "no model of the registry"),
        ("{provider: here, source: \"hf://a/b/c@d\"}", "needs their sha256"),
        ("{provider: here, source: {uris: [\"file:x\"], sha256: abc}}", "not a sha256"),
        ("{provider: p, price: {input: -1, output: 2}}", "negative"),
        ("{provider: p, price: {input: 1}}", "`output` is missing"),
        ("{provider: p, adapters: {x: \"models:/a/1\"}}", "its provider `p` is not local"),
        ("{provider: here, source: minilm, adapters: {x: nowhere}}", "no adapter_config.json"),
        ("{provider: here, source: minilm, adapters: {x: \"hf://a/b\"}}", "no place of an adapter"),
        ("{provider: here, source: minilm, adapters: {x: \"models:/a\"}}", "no model of the registry"),
        ("{provider: here, source: minilm, adapters: {x: \"models:/a/1\"}}", "adapter comes from the registry"),
        ("{provider: p, context_length: 4k}", "not a whole number"),
    ] {
        each("models", &[(&format!("{{a: {a}, {others}}}"), fault)]);
    }
    for uri in [
        "hf://a/b@main",
        "hf://a/b/../c@main",
        "pypi://a/x",
        "pypi://a==1/../x",
        "pypi://a==1 --index=x/y",
        "http://a/b",
        "https://",
        "file:",
        "s3://a",
    ] {
        each(
            "models",
            &[(
                &format!("{{a: {{provider: here, source: {{uris: [\"{uri}\"], sha256: {sha}}}}}, {others}}}"),
                "no place of weights",
            )],
        );
    }
}

#[test]
fn places_of_weights_are_taken_apart() {
    let sha = "ab".repeat(32);
    let uris = "[\"hf://org/repo/dir/file.gguf@v1\", \"pypi://llm-x==0.1.2/llm_x/m.gguf\", \"https://a.example/b?c\", \"file:w/x.gguf\", \"file:///w/y.gguf\"]";
    let value = format!(
        "{{l: {{provider: here, source: {{uris: {uris}, sha256: {sha}}}}}, a: {{provider: p}}, b: {{provider: p}}}}"
    );
    let spec = load_str(&text("models", &value), Path::new("/etc/tidegate/x.yaml"), &env).unwrap().spec;
    let Some(Source::Uris { uris, .. }) = &spec.models["l"].source else { panic!("{spec:?}") };
    assert_eq!(
        uris[0],
        SourceUri::HuggingFace { repository: "org/repo".into(), file: "dir/file.gguf".into(), revision: "v1".into() }
    );
    assert_eq!(
        uris[1],
        SourceUri::Pypi { package: "llm-x".into(), version: "0.1.2".into(), member: "llm_x/m.gguf".into() }
    );
    assert_eq!(uris[3], SourceUri::File("/etc/tidegate/w/x.gguf".into()));
    assert_eq!(uris[4], SourceUri::File("/w/y.gguf".into()));
}

fn route(fields: &str) -> String {
    format!("{{r: {{variants: {{a: {{model: a}}, b: {{model: b}}}}, {fields}}}, l: {{model: l}}}}")
}

#[test]
fn routes() {
    for (fields, fault) in [
        ("model: a", "has a `model` and `variants`"),
        ("policy: {weighted: {a: 100%}}", "`b` has no share"),
        ("policy: {weighted: {a: 50%, b: 40%}}", "add up to 90%"),
        ("policy: {weighted: {a: 90, b: 10%}}", "more than the whole"),
        ("policy: {weighted: {a: 50%, b: 25%, c: 25%}}", "no variant `c`"),
        ("policy: {softmax: {reward: x}}", "`softmax` is not available in this version"),
        ("policy: {linucb: {reward: error}}", "features"),
        ("policy: {linucb: {reward: error, features: []}}", "every call is the same to this policy"),
        ("policy: {linucb: {reward: error, features: [language], alpha: 0}}", "bounds of no width"),
        ("policy: {linucb: {reward: error, features: [hour, hour]}}", "`hour` is regarded twice"),
        (
            "policy: {linear_thompson: {reward: error, features: [{header: {name: x-t, values: [a, a]}}]}}",
            "stands here twice",
        ),
        (
            "policy: {linear_thompson: {reward: error, features: [{header: {name: x-t, values: []}}]}}",
            "says nothing of a call",
        ),
        (
            "policy: {linear_thompson: {reward: error, features: [{header: {name: \"x t\", values: [a]}}]}}",
            "name of a header",
        ),
        (
            "policy: {linear_thompson: {reward: error, features: [{key_tag: {name: tier, values: [a]}}]}}",
            "callers have no keys",
        ),
        ("policy: {thompson: {reward: latenzy}}", "there is no reward `latenzy`"),
        ("policy: {thompson: {reward: error, min_share: 60%}}", "cannot each have so much"),
        ("policy: {ucb1: {reward: latency}}", "ucb1 needs rewards in a range, and `latency` has none"),
        ("policy: {track_and_stop: {reward: error, delta: 0%}}", "known for certain"),
        ("policy: weighted", "has another form here"),
        ("sticky: {by: key}", "callers have no keys"),
        ("sticky: {by: {header: \"\"}}", "not the name of a header"),
        ("sticky: {by: users}", "`users` is not one of the choices"),
        ("fallback: [{when: [], to: {variant: b}}]", "names no way to fail"),
        ("fallback: [{when: [5xx], to: {variant: c}}]", "no variant `c`"),
        ("fallback: [{when: [timeot], to: {variant: b}}]", "not a way to fail"),
        ("fallback: [{when: [200], to: {variant: b}}]", "not a way to fail"),
        ("fallback: [{to: {variant: b}}]", "`when` is missing"),
        ("retry: {attempts: 0}", "at least 1"),
        ("retry: {budget: 200%}", "between 0 and 100"),
        ("timeouts: {connect: 20s, total: 10s}", "`connect` can never run out"),
        ("timeouts: {first_token: 700s}", "`first_token` can never run out"),
        ("timeouts: {total: 10sec, connect: 20m}", "`sec` is no unit"),
        ("cache: {}", "`cache` is not available in this version"),
    ] {
        each("routes", &[(&route(fields), fault)]);
    }
    each(
        "routes",
        &[
            ("{}", "there is no route"),
            ("", "there is no route"),
            ("{r: {}, a: {model: a}}", "leads nowhere"),
            ("{r: {variants: {}}}", "has no variant"),
            ("{r: {model: nope}}", "there is no model `nope`"),
            ("{a b: {model: a}}", "not the name of a route"),
            ("{r: {variants: {a: {model: a}}, fallback: [{when: [5xx], to: {variant: a}}]}}", "the only variant"),
            ("{r: {variants: {x: {model: 3, weight: 4}}}}", "`weight` is not available"),
        ][..7],
    );
}

#[test]
fn hedging_is_refused_where_it_can_never_apply() {
    let of = |hedge: &str| route(&format!("hedge: {hedge}"));
    for (hedge, fault) in [
        ("{}", "`after` is missing"),
        ("{max_extra: 5%}", "`after` is missing"),
        ("{after: p49}", "not a percentile"),
        ("{after: p100}", "not a percentile"),
        ("{after: p99.9}", "not a percentile"),
        ("{after: p+95}", "not a percentile"),
        ("{after: 300}", "not a percentile such as `p95` or a duration such as `300ms`: it has no unit"),
        ("{after: p95, max_extra: 0%}", "no call may be sent twice"),
        ("{after: p95, max_extra: 105%}", "not between 0 and 100 %"),
        ("{after: 10m}", "no call takes longer than 600s"),
        ("{after: p95, most: 5%}", "unknown field `most`"),
    ] {
        let found = faults("routes", &of(hedge));
        assert!(found.len() == 1 && found[0].contains(fault), "{hedge}: {found:#?}");
    }
    each(
        "routes",
        &[
            (
                "{l: {model: l, hedge: {after: p95}}, r: {variants: {a: {model: a}, b: {model: b}}}}",
                "run in this process",
            ),
            (
                "{l: {variants: {x: {model: l}, y: {model: l}}, hedge: {after: p95}}, r: {variants: {a: {model: a}, b: {model: b}}}}",
                "run in this process",
            ),
        ],
    );
    // One of them is elsewhere.
    let mixed = "{r: {variants: {a: {model: a}, b: {model: b}, l: {model: l}}, hedge: {after: p90}}}";
    let spec = loaded("routes", mixed).unwrap().spec;
    let usual = HedgeSpec { after: HedgeAfter::Percentile(90), max_extra: 0.05 };
    assert_eq!(spec.routes["r"].hedge, Some(usual));
    let spec = loaded("routes", &of("{after: 300ms, max_extra: 0.1}")).unwrap().spec;
    let fixed = HedgeSpec { after: HedgeAfter::Time(Duration::from_millis(300)), max_extra: 0.1 };
    assert_eq!(spec.routes["r"].hedge, Some(fixed));
    assert_eq!(crate::describe(&spec)["routes"]["r"]["hedge"], serde_json::json!({"after": "300ms", "max_extra": 0.1}));
}

#[test]
fn ways_to_fail_have_their_names() {
    let spec =
        loaded("routes", &route("fallback: [{when: [connect, content_filter], to: {variant: b}}]")).unwrap().spec;
    let when = [FaultKind::Unreachable, FaultKind::ContentFilter].map(Condition::Kind);
    assert_eq!(spec.routes["r"].fallback[0].when, when);
    let shown = &crate::describe(&spec)["routes"]["r"]["fallback"][0]["when"];
    assert_eq!(*shown, serde_json::json!(["unreachable", "content_filter"]));
}

#[test]
fn a_rollout_owns_the_shares_and_impossible_ones_are_refused() {
    let canary = |fields: &str| format!("rollout: {{canary: {{from: a, to: b{fields}}}}}");
    let spec = loaded("routes", &route(&canary(""))).unwrap().spec;
    let PolicySpec::Rollout(rollout) = &spec.routes["r"].policy else { panic!("no rollout") };
    assert_eq!((rollout.from, rollout.to, &rollout.steps[..]), (0, 1, &[0.05, 0.25, 0.5, 1.0][..]));
    assert_eq!((rollout.every.as_secs(), rollout.interval.as_secs(), rollout.min_samples), (600, 60, 100));
    assert_eq!(rollout.analysis[0].measure, Measure::ErrorRate { worse_by: 0.01 });
    let both = "policy: {weighted: {a: 1%, b: 99%}}, rollout: {canary: {from: a, to: b}}".to_owned();
    for (fields, fault) in [
        (both, "each wants to say who gets the calls"),
        ("rollout: {canary: {from: a, to: a}}".to_owned(), "leads where it comes from"),
        ("rollout: {blue_green: {from: a, to: c}}".to_owned(), "has no variant `c`"),
        (canary(", steps: [25%, 5%, 100%]"), "steps of a rollout rise"),
        (canary(", steps: [5%, 50%]"), "steps of a rollout rise"),
        (canary(", every: 10s, interval: 1m"), "over before it was judged"),
        (canary(", analysis: []"), "judged by nothing"),
        (canary(", analysis: [{latency: {quantile: 1, worse_by: 10%}}]"), "an extreme"),
        (canary(", analysis: [{reward: {name: nope, worse_by: 0.1}}]"), "there is no reward `nope`"),
        (canary(", analysis: [{error_rate: {worse_by_points: 1%, confidence: 100%}}]"), "nothing is certain"),
        (canary(", analysis: [{monitor: drift}]"), "there is no monitor `drift`"),
    ] {
        each("routes", &[(&route(&fields), fault)]);
    }
}

#[test]
fn parameters_are_those_of_a_chat_and_within_their_bounds() {
    let of = |parameters: &str| {
        format!("{{r: {{variants: {{a: {{model: a, parameters: {parameters}}}, b: {{model: b}}}}}}}}")
    };
    let spec =
        loaded("routes", &of("{temperature: 0.5, max_tokens: 30, seed: -1, stop: [a, b], reasoning_effort: low}"));
    let spec = spec.unwrap().spec;
    let shown: Vec<String> =
        spec.routes["r"].variants[0].parameters.iter().map(|one| format!("{}={}", one.name, one.json)).collect();
    assert_eq!(
        shown,
        ["temperature=0.5", "max_tokens=30", "seed=-1", "stop=[\"a\",\"b\"]", "reasoning_effort=\"low\""]
    );
    assert!(spec.routes["r"].variants[1].parameters.is_empty());
    for (parameters, fault) in [
        ("{temperature: 2.5}", "not between 0 and 2"),
        ("{presence_penalty: -3}", "not between -2 and 2"),
        ("{max_tokens: 1, max_completion_tokens: 2}", "are the same bound"),
        ("{stop: [a, b, c, d, e]}", "four texts at most"),
        ("{stop: []}", "names no text"),
        ("{seed: 1.5}", "not a whole number"),
        ("{model: a}", "unknown field `model`"),
        ("{messages: []}", "unknown field `messages`"),
        ("{stream: true}", "unknown field `stream`"),
        ("{tools: []}", "unknown field `tools`"),
        ("{temprature: 1}", "unknown field `temprature`"),
    ] {
        each("routes", &[(&of(parameters), fault)]);
    }
}

#[test]
fn shares_are_equal_without_a_policy_and_sum_to_one_with_it() {
    let shares = |fields: &str| {
        let PolicySpec::Weighted(shares) = loaded("routes", &route(fields)).unwrap().spec.routes["r"].policy.clone()
        else {
            panic!("other shares");
        };
        shares
    };
    assert_eq!(shares("model: "), [0.5, 0.5]);
    assert_eq!(shares("policy: {weighted: {b: 1%, a: 0.99}}"), [0.99, 0.01]);
}

#[test]
fn a_short_total_shortens_what_was_left_out() {
    let spec = loaded("routes", &route("timeouts: {total: 1s}")).unwrap().spec;
    let timeouts = spec.routes["r"].timeouts;
    assert!(
        [timeouts.connect, timeouts.first_token, timeouts.idle].iter().all(|part| *part == timeouts.total),
        "{timeouts:?}"
    );
}

#[test]
fn limits_and_keys() {
    each("keys", &[("{file: nope.yaml}", "there is no key file nope.yaml"), ("{}", "`file` is missing")]);
    each(
        "limits",
        &[
            ("[{per: key, requests: 1/s}]", "callers have no keys"),
            ("[{per: route, cost: {usd: 1, every: calendar_day}}]", "no model has a price"),
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let key =
        format!("- {{id: a, sha256: {}, principal: p, tenant: t, roles: [infer], routes: [r, rr]}}\n", "ab".repeat(32));
    fs::write(folder.path().join("keys.yaml"), key).unwrap();
    let with =
        |limits: &str| load_str(&format!("{}limits: {limits}\n", text("keys", "{file: keys.yaml}")), &path, &env);
    let fine = with("[{per: tenant, tokens: 5/day}]").unwrap();
    assert_eq!((fine.spec.keys.unwrap().keys.len(), fine.spec.limits.len(), fine.files.len()), (1, 1, 2));
    assert_eq!(fine.warnings.iter().filter(|finding| finding.message == "there is no route `rr`").count(), 1);
    for (limits, fault) in [
        ("[{per: key}]", "limits nothing"),
        ("[{per: key, cost: {usd: 1}}]", "`every` is missing"),
        ("[{per: key, cost: {usd: 0, every: hour}}]", "this is no budget"),
        ("[{per: key, cost: {usd: 1, every: hour, zone: CET}}]", "`CET` is not one of the choices"),
        ("[{per: principal, requests: 1/s}]", "`principal` is not available"),
        ("[{requests: 1/s}]", "`per` is missing"),
        ("{per: key}", "expected a list"),
    ] {
        let report = with(limits).expect_err(limits);
        // That nothing here has a price is said of each budget, too.
        let own = report.findings.iter().filter(|finding| !finding.message.contains("no model has a price"));
        let own: Vec<&str> = own.map(|finding| finding.message.as_str()).collect();
        assert!(own.len() == 1 && own[0].contains(fault), "{report}");
    }
    fs::write(folder.path().join("keys.yaml"), "").unwrap();
    assert!(with("[]").unwrap_err().to_string().contains("the key file is empty"));
    fs::write(folder.path().join("keys.yaml"), "[]\n").unwrap();
    assert!(with("[]").is_ok());
}

#[test]
fn telemetry() {
    each(
        "telemetry",
        &[
            ("{otlp: {}}", "`endpoint` is missing"),
            ("{otlp: {endpoint: \"http://a:4317\", sample: 2}}", "more than the whole"),
        ],
    );
    let spec = loaded("telemetry", "{otlp: {endpoint: \"http://a:4317\", sample: 5%}}").unwrap().spec;
    assert!(spec.telemetry.otlp.is_some_and(|otlp| otlp.sample == 0.05 && otlp.service == "tidegate"));
}

#[test]
fn a_fault_hides_none_elsewhere() {
    let text = "listeners: {a: {address: x, max_body: y, cors: z}}\nproviders: 3\nmodels: {m: {provider: p, price: {input: a, output: b}}}\nroutes: {r: {model: n}}\nbogus: 1\n";
    let report = load_str(text, Path::new("x.yaml"), &env).unwrap_err();
    let lines: Vec<usize> = report.findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [1, 1, 1, 2, 3, 3, 4, 5], "{report}");
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_read_as_one() {
    let key = format!("- {{id: a, sha256: {}, principal: p, tenant: t, roles: [infer]}}\n", "ab".repeat(32));
    let folder = folder(&[
        (
            "a.yaml",
            "listeners: {a: {address: 127.0.0.1:0}}\nmodels: {m: {provider: p}}\nkeys: {file: keys.yaml}\nlimits: [{per: key, requests: 1/s}]\n",
        ),
        (
            "b.yaml",
            "providers: {p: {openai: {endpoints: [{url: http://a}]}}}\nmodels: {n: {provider: p}}\nlimits: [{per: tenant, tokens: 1/s}]\n",
        ),
        ("c.yaml", "routes: {r: {variants: {m: {model: m}, n: {model: n}}}}\n"),
        ("keys.yaml", &key),
        ("notes.txt", "not: [yaml"),
        (".hidden.yaml", "not: [yaml"),
    ]);
    let loaded = load(folder.path(), &env).unwrap();
    assert_eq!((loaded.spec.models.len(), loaded.spec.limits.len(), loaded.files.len()), (2, 2, 4));
    let before = loaded.spec.hash;
    fs::write(folder.path().join("c.yaml"), "routes: {r: {variants: {m: {model: m}, n: {model: n}}}} # changed\n")
        .unwrap();
    assert_ne!(load(folder.path(), &env).unwrap().spec.hash, before);
}

#[test]
fn the_same_entry_in_two_files_names_both() {
    let folder = folder(&[
        (
            "a.yaml",
            "listeners: {a: {address: 127.0.0.1:0}}\nproviders: {here: {local: {}}}\nmodels: {m: {provider: here, source: minilm}}\nroutes: {r: {model: m}}\nadmin: {address: 127.0.0.1:0}\n",
        ),
        ("b.yaml", "admin: {address: 127.0.0.1:1}\nroutes:\n  r: {model: m}\n"),
        ("d.yaml", "- a list\n"),
    ]);
    let report = load(folder.path(), &env).unwrap_err();
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{}:{} {}", finding.file.file_name().unwrap().display(), finding.line, finding.message))
        .collect();
    let a = folder.path().join("a.yaml").display().to_string();
    assert_eq!(
        found,
        [
            format!("b.yaml:1 `admin` stands here and in {a}:5"),
            format!("b.yaml:3 `r` stands here and in {a}:4"),
            "d.yaml:1 expected a map of sections, found a list".to_owned()
        ]
    );
}

#[test]
fn what_cannot_be_read_says_so() {
    let empty = folder(&[]);
    assert!(load(empty.path(), &env).unwrap_err().to_string().contains("no file that ends in .yaml"));
    assert!(load(&empty.path().join("nope.yaml"), &env).unwrap_err().to_string().contains("the file cannot be read"));
    let path = empty.path().join("big.yaml");
    fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(load(&path, &env).unwrap_err().to_string().contains("larger than 1 MiB"));
    fs::write(&path, b"a: \xff\n").unwrap();
    assert!(load(&path, &env).unwrap_err().to_string().contains("not UTF-8 from byte 3 on"));
}

#[test]
fn repositories_of_prompts() {
    each(
        "prompts",
        &[
            ("{repository: nowhere}", "there is no folder"),
            ("{repository: \"ftp://h/x\"}", "not read by `ftp`"),
            ("{repository: \"http://h.example/x\"}", "not read by `http`"),
            ("{repository: \"http://127.0.0.1.evil.example/x\"}", "not read by `http`"),
            ("{repository: \"https://user:s3cret@h.example/x\"}", "who we are there"),
            ("{repository: x.git, token: \"${env:KEY}\"}", "by https has a use"),
            ("{repository: x.git, poll: 10s}", "only a remote repository"),
            ("{repository: \"https://h.example/x\", identity: key}", "by ssh has a use"),
            ("{repository: \"git@h.example:x\", token: \"${env:KEY}\"}", "by https has a use"),
            ("{repository: \"https://h.example/x\", user: me}", "without a token"),
            ("{repository: \"https://h.example/x\", poll: 10ms}", "too often"),
            ("{repository: \"https://h.example/x\", path: ../x}", "no folder of a repository"),
        ],
    );
    for good in [
        "{repository: made.git}",
        "{repository: \"https://h.example/x\", token: \"${env:KEY}\", user: me, poll: 5s}",
        "{repository: \"http://[::1]:80/x\"}",
        "{repository: \"git@h.example:org/x.git\", identity: key}",
    ] {
        assert!(loaded("prompts", good).is_ok(), "{good}");
    }
}
