//! The configuration in force as JSON, for people: with its defaults, without its secrets. Owns what is left out.

mod alert;
mod by_call;
mod cascade;
mod graph;
mod monitor;
mod view;

use serde_json::{Map, Value, json};
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::port::outbound::Reach;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{
    AdminSpec, AnalysisSpec, ArtifactsSpec, AuthSpec, Balance, CompareSpec, ComponentAuth, Condition, ContentPolicy,
    ContractSpec, CorsSpec, DatabaseSpec, Device, Dialect, Durability, EventsSpec, FilterSpec, GateSpec, GatewaySpec,
    Goal, GovernanceSpec, HedgeAfter, HedgeSpec, LearnedSpec, LimitSpec, ListenerSpec, Measure, ModelSpec, OnFailure,
    OpenAiSpec, OutlierSpec, ParameterSpec, PluginLimits, PluginSpec, PolicySpec, PoolSpec, Precision, ProviderKind,
    ProxySpec, Rate, Requirement, RewardKind, RewardLevel, RewardSpec, RolloutKind, RolloutSpec, RouteSpec, RuleSpec,
    S3Spec, ShadowSpec, SignatureSpec, Source, SourceUri, Speculation, StickyBy, SubjectSpec, SuiteSpec, Timing,
};

/// What stands for a secret.
const HIDDEN: &str = "***";

/// The effective configuration without secrets.
#[must_use]
pub fn describe(spec: &GatewaySpec) -> Value {
    let GatewaySpec {
        hash,
        listeners,
        admin,
        events,
        registry,
        prompts,
        batches,
        providers,
        models,
        views,
        rewards,
        routes,
        keys,
        limits,
        shared,
        telemetry,
        plugins,
        monitors,
        alerts,
    } = spec;
    let object = |entries: Vec<(String, Value)>| Value::Object(entries.into_iter().collect::<Map<_, _>>());
    json!({
        "hash": **hash,
        "listeners": object(listeners.iter().map(|spec| (spec.name.clone(), listener(spec))).collect()),
        "admin": admin.as_ref().map(|AdminSpec { address, token }| json!({"address": address.to_string(), "token": token.as_ref().map(|_| HIDDEN)})),
        "store": {
            "shared": shared.as_ref().map_or("memory", |_| HIDDEN),
            "events": store_events(events),
            "registry": registry.as_ref().map(|registry| match &registry.database {
                DatabaseSpec::Sqlite(path) => format!("sqlite:{}", path.display()),
                DatabaseSpec::Postgres(_) => format!("postgres://{HIDDEN}"),
            }),
            "artifacts": registry.as_ref().map(|registry| artifacts(&registry.artifacts)),
            "s3": registry.as_ref().and_then(|registry| s3(&registry.artifacts)),
            "max_artifact": registry.as_ref().map(|registry| format!("{}B", registry.largest_artifact)),
            "governance": registry.as_ref().map(|registry| governance(&registry.governance)),
            "tracking": registry.as_ref().and_then(|registry| registry.tracking.as_ref()).map(ToString::to_string),
            "webhooks": registry.as_ref().map(|registry| match registry.webhooks {
                Reach::Public => "public",
                // That of single requests is no setting.
                Reach::Any | Reach::At(_) => "any",
            }),
        },
        "batches": batches.as_ref().map(|batches| json!({
            "to": batches.folder, "parallel": batches.parallel, "max_file": batches.max_file,
            "max_stored": batches.max_stored, "retention": seconds(batches.keep),
        })),
        "prompts": prompts.as_ref().map(|prompts| json!({
            "repository": prompts.repository, "remote": prompts.remote.as_ref().map(|remote| &remote.url), "path": prompts.path,
            "branch": prompts.branch,
            "webhook": prompts.remote.as_ref().and_then(|remote| remote.webhook.as_ref()).map(|_| json!({"secret": HIDDEN})),
        })),
        "providers": object(providers.iter().map(|(name, spec)| (name.to_string(), provider(&spec.kind))).collect()),
        "models": object(models.iter().map(|(name, spec)| (name.to_string(), model(spec))).collect()),
        "features": object(views.iter().map(|(name, spec)| (name.to_string(), view::view(spec))).collect()),
        "rewards": object(rewards.iter().map(|(name, spec)| (name.to_string(), reward(spec))).collect()),
        "routes": object(routes.iter().map(|(name, spec)| (name.to_string(), route(spec))).collect()),
        "plugins": object(plugins.iter().map(|(name, spec)| (name.to_string(), plugin(spec))).collect()),
        "monitors": object(monitors.iter().map(|(name, spec)| (name.to_string(), monitor::monitor(spec))).collect()),
        "keys": keys.as_ref().map(|keys| json!({"file": keys.file, "count": keys.keys.len()})),
        "limits": limits.iter().map(limit).collect::<Vec<_>>(),
        "telemetry": {"otlp": telemetry.otlp.as_ref().map(|otlp| json!({"endpoint": otlp.endpoint.to_string(), "sample": otlp.sample, "service": otlp.service}))},
        "alerts": object(alerts.iter().map(|(name, spec)| (name.to_string(), alert::alert(spec))).collect()),
    })
}

fn artifacts(spec: &ArtifactsSpec) -> String {
    match spec {
        ArtifactsSpec::Folder(folder) => format!("file:{}", folder.display()),
        ArtifactsSpec::S3(S3Spec { bucket, prefix, .. }) if prefix.is_empty() => format!("s3://{bucket}"),
        ArtifactsSpec::S3(S3Spec { bucket, prefix, .. }) => format!("s3://{bucket}/{prefix}"),
    }
}

fn s3(spec: &ArtifactsSpec) -> Option<Value> {
    let ArtifactsSpec::S3(S3Spec { endpoint, region, key, cache, .. }) = spec else { return None };
    Some(json!({
        "endpoint": endpoint.as_ref().map(ToString::to_string),
        "region": region,
        "access_key_id": key.as_ref().map(|_| HIDDEN),
        "secret_access_key": key.as_ref().map(|_| HIDDEN),
        "cache": cache,
    }))
}

fn governance(spec: &GovernanceSpec) -> Value {
    let GovernanceSpec { aliases, keeps_decisions, retention } = spec;
    let all = |requires: &[Requirement]| requires.iter().map(requirement).collect::<Vec<_>>();
    let gate = |gate: &GateSpec| {
        let risk: Map<String, Value> =
            gate.risk.iter().map(|(tier, more)| (tier.as_str().to_owned(), json!(all(more)))).collect();
        json!({"requires": all(&gate.requires), "risk": risk})
    };
    json!({
        "aliases": aliases.iter().map(|(name, spec)| (name.clone(), gate(spec))).collect::<Map<_, _>>(),
        "decisions": if *keeps_decisions { "kept" } else { "optional" },
        "retention": retention.map_or_else(|| "forever".to_owned(), seconds),
    })
}

fn requirement(requirement: &Requirement) -> Value {
    match requirement {
        Requirement::Card => json!("card"),
        Requirement::Baseline => json!("baseline"),
        Requirement::Evaluation { monitor, max_age } => {
            json!({"evaluation": {"monitor": monitor, "max_age": max_age.map(seconds)}})
        }
        Requirement::Approvals(count) => json!({"approvals": count}),
    }
}

fn seconds(span: Duration) -> String {
    if span.subsec_millis() == 0 { format!("{}s", span.as_secs()) } else { format!("{}ms", span.as_millis()) }
}

fn listener(spec: &ListenerSpec) -> Value {
    let ListenerSpec { name: _, address, tls, cors, max_body, head_timeout, body_timeout, max_connections } = spec;
    json!({
        "address": address.to_string(),
        "tls": tls.as_ref().map(|tls| json!({"cert": tls.cert, "key": tls.key, "client_ca": tls.client_ca})),
        "cors": match cors {
            CorsSpec::Off => json!("off"),
            CorsSpec::Any => json!("any"),
            CorsSpec::Origins(origins) => json!({"origins": origins}),
        },
        "max_body": format!("{max_body}B"),
        "head_timeout": seconds(*head_timeout),
        "body_timeout": seconds(*body_timeout),
        "max_connections": max_connections,
    })
}

fn store_events(spec: &EventsSpec) -> Value {
    json!({
        "to": spec.folder.as_ref().map_or_else(|| "none".to_owned(), |folder| format!("file:{}", folder.display())),
        "durability": match spec.durability {
            Durability::Queue => "queue",
            Durability::Ack => "ack",
        },
        "content": match spec.content {
            ContentPolicy::None => "none",
            ContentPolicy::Hash => "hash",
            ContentPolicy::Redacted => "redacted",
            ContentPolicy::Full => "full",
        },
        "retention": spec.retention.map_or_else(|| "forever".to_owned(), seconds),
        "subject": spec.subject.as_ref().map(|SubjectSpec::Header(name)| json!({"header": name})),
    })
}

fn provider(kind: &ProviderKind) -> Value {
    match kind {
        ProviderKind::OpenAi(spec) => json!({"openai": open_ai(spec)}),
        ProviderKind::Classic(spec) => {
            let mut shown = open_ai(&spec.upstream);
            if spec.is_grpc {
                shown["endpoints"].as_array_mut().into_iter().flatten().for_each(as_grpc);
            }
            json!({dialect(spec.dialect): shown})
        }
        ProviderKind::Local(spec) => json!({"local": {
            "device": match spec.device {
                Device::Auto => "auto",
                Device::Cpu => "cpu",
            },
            "kv_cache": format!("{}B", spec.kv_cache),
            "threads": spec.threads,
            "max_batch": spec.max_batch,
            "queue": spec.queue,
            "adapter_memory": format!("{}B", spec.adapter_memory),
            "speculate": match spec.speculate {
                Speculation::Off => "off",
                Speculation::PromptLookup => "prompt_lookup",
            },
            "nice": spec.nice,
            "memory": spec.memory.map(|bytes| format!("{bytes}B")),
        }}),
    }
}

/// An endpoint's address as it is written where it is asked over gRPC.
fn as_grpc(endpoint: &mut Value) {
    if let Some(rest) = endpoint["url"].as_str().and_then(|url| url.strip_prefix("http")) {
        endpoint["url"] = json!(format!("grpc{}", rest.trim_end_matches('/')));
    }
}

const fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenInference => "open_inference",
        Dialect::TfServing => "tf_serving",
        Dialect::Mlflow => "mlflow",
        Dialect::Seldon => "seldon",
        Dialect::BentoMl => "bentoml",
        Dialect::TorchServe => "torchserve",
    }
}

fn open_ai(spec: &OpenAiSpec) -> Value {
    // A parameter may carry a key; only the one that is known to be none is shown.
    let query = spec
        .query
        .iter()
        .map(|(name, value)| (name.clone(), if name == "api-version" { json!(value) } else { json!(HIDDEN) }));
    let headers = spec.headers.iter().map(|(name, value)| {
        let shown = value.to_str().ok().filter(|_| !value.is_sensitive()).unwrap_or(HIDDEN);
        (name.to_string(), json!(shown))
    });
    json!({
        "endpoints": spec.endpoints.iter().map(|endpoint| json!({"name": endpoint.name, "url": endpoint.url.to_string()})).collect::<Vec<_>>(),
        "balance": match spec.balance {
            Balance::P2c => "p2c",
            Balance::RoundRobin => "round_robin",
        },
        "auth": match &spec.auth {
            None => Value::Null,
            Some(AuthSpec::Bearer(_)) => json!({"bearer": HIDDEN}),
            Some(AuthSpec::Header(name, _)) => json!({"header": {name.as_str(): HIDDEN}}),
        },
        "headers": headers.collect::<Map<_, _>>(),
        "query": query.collect::<Map<_, _>>(),
        "ca": spec.ca,
        "proxy": proxy(&spec.proxy),
        "http2": spec.http2,
        "max_connections": spec.max_connections,
        "max_concurrency": spec.max_concurrency,
        "outlier_detection": outlier(&spec.outlier_detection),
    })
}

fn outlier(spec: &OutlierSpec) -> Value {
    let OutlierSpec {
        consecutive_failures,
        failure_share,
        min_calls,
        window,
        ejection_time,
        max_ejection_time,
        max_ejected,
        slow_start,
    } = spec;
    json!({
        "consecutive_failures": consecutive_failures,
        "failure_share": failure_share,
        "min_calls": min_calls,
        "window": seconds(*window),
        "ejection_time": seconds(*ejection_time),
        "max_ejection_time": seconds(*max_ejection_time),
        "max_ejected": max_ejected,
        "slow_start": seconds(*slow_start),
    })
}

fn proxy(spec: &ProxySpec) -> Value {
    // Credentials may stand before the host.
    let shown = |uri: &http::Uri| format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    match spec {
        ProxySpec::Direct => json!("direct"),
        ProxySpec::Through(uri) => json!({"through": shown(uri)}),
        ProxySpec::Environment { https, http, except } => {
            json!({"environment": {"https": https.as_ref().map(shown), "http": http.as_ref().map(shown), "except": except}})
        }
    }
}

fn model(spec: &ModelSpec) -> Value {
    json!({
        "provider": spec.provider,
        "model": spec.upstream,
        "source": spec.source.as_ref().map(source),
        "input": spec.input,
        "pool": spec.pool.as_ref().map(pool),
        "explain": spec.explain.as_ref().map(|one| json!({"orders": one.orders, "background": one.background})),
        "contract": spec.contract.as_ref().map(contract),
        "adapters": spec.adapters.iter().map(|(name, source)| (name.to_string(), json!(source.to_string()))).collect::<Map<_, _>>(),
        "price": spec.price,
        "context_length": spec.context_length,
        "precision": spec.precision.map(|precision| match precision {
            Precision::Q80 => "q8_0",
            Precision::F32 => "f32",
        }),
        "sleep_after": spec.sleep_after.map(seconds),
    })
}

fn pool(spec: &PoolSpec) -> Value {
    json!({
        "batch": {"max": spec.max_rows, "wait": seconds(spec.max_wait), "queue": spec.queue},
        "instances": spec.instances,
        "warm_up": spec.warm_up,
    })
}

fn contract(spec: &ContractSpec) -> Value {
    json!({
        "signature": spec.signature,
        "of": spec.of.as_ref().map(|of| match of {
            SignatureSpec::Registry(reference) => json!(reference.to_string()),
            SignatureSpec::File(SuiteSpec { file, sha256 }) => json!({"file": file, "sha256": sha256}),
        }),
        "suite": spec.suite.as_ref().map(|suite| json!({"file": suite.file, "sha256": suite.sha256})),
        "on_violation": if spec.notes_only { "note" } else { "refuse" },
    })
}

fn source(source: &Source) -> Value {
    match source {
        Source::Catalogue(name) => json!(name),
        Source::Registry(reference) => json!(reference.to_string()),
        Source::Folder(folder) => json!({"folder": folder}),
        Source::Uris { uris, sha256 } => json!({"uris": uris.iter().map(uri).collect::<Vec<_>>(), "sha256": sha256}),
    }
}

fn uri(uri: &SourceUri) -> String {
    match uri {
        SourceUri::HuggingFace { repository, file, revision } => format!("hf://{repository}/{file}@{revision}"),
        SourceUri::Pypi { package, version, member } => format!("pypi://{package}=={version}/{member}"),
        SourceUri::Https(uri) => uri.split(['?', '#']).next().unwrap_or_default().to_owned(),
        SourceUri::File(path) => format!("file:{}", path.display()),
    }
}

fn route(spec: &RouteSpec) -> Value {
    let name_of = |index: usize| spec.variants.get(index).map(|variant| variant.name.to_string());
    let variants = spec.variants.iter().map(|variant| {
        (
            variant.name.to_string(),
            json!({
                "model": variant.model, "adapter": variant.adapter, "prompt": variant.prompt, "parameters": parameters(&variant.parameters),
                "graph": variant.graph.as_deref().map(graph::graph),
            }),
        )
    });
    json!({
        "variants": variants.collect::<Map<_, _>>(),
        "policy": policy(spec),
        "rollout": rollout(spec),
        "filters": spec.filters.iter().map(filter).collect::<Vec<_>>(),
        "shadow": spec.shadows.iter().map(shadow).collect::<Vec<_>>(),
        "sticky": spec.sticky.as_ref().map(|by| json!({"by": match by {
            StickyBy::Header(name) => json!({"header": name}),
            StickyBy::User => json!("user"),
            StickyBy::Key => json!("key"),
            StickyBy::Tenant => json!("tenant"),
        }, "experiment": spec.experiment})),
        "features": spec.features.as_ref().map(view::lookup),
        "expose": if spec.exposes_adapters { json!(["adapters"]) } else { json!([]) },
        "checks": spec.check.iter().map(|check| check.as_str()).collect::<Vec<_>>(),
        "fallback": spec.fallback.iter().map(|fallback| json!({
            "when": fallback.when.iter().map(|when| condition(*when)).collect::<Vec<_>>(),
            "to": {"variant": name_of(fallback.to)},
        })).collect::<Vec<_>>(),
        "priority": spec.priority.as_str(),
        "retry": {"attempts": spec.retry.attempts, "backoff": seconds(spec.retry.backoff), "budget": spec.retry.budget},
        "hedge": spec.hedge.as_ref().map(hedge),
        "timeouts": {
            "connect": seconds(spec.timeouts.connect),
            "first_token": seconds(spec.timeouts.first_token),
            "idle": seconds(spec.timeouts.idle),
            "total": seconds(spec.timeouts.total),
        },
    })
}

fn hedge(HedgeSpec { after, max_extra }: &HedgeSpec) -> Value {
    let after = match after {
        HedgeAfter::Percentile(percent) => format!("p{percent}"),
        HedgeAfter::Time(time) => seconds(*time),
    };
    json!({"after": after, "max_extra": max_extra})
}

fn parameters(all: &[ParameterSpec]) -> Value {
    all.iter().map(|one| (one.name, serde_json::from_str::<Value>(&one.json).unwrap_or_default())).collect()
}

fn policy(spec: &RouteSpec) -> Value {
    let learned = match &spec.policy {
        PolicySpec::Weighted(shares) => {
            let named = spec.variants.iter().map(|variant| variant.name.to_string());
            return json!({"weighted": named.zip(shares.iter().map(|share| json!(share))).collect::<Map<_, _>>()});
        }
        PolicySpec::Rollout(_) => return Value::Null,
        PolicySpec::Steered(by) => return by_call::steered(by, spec),
        PolicySpec::Rules(by) => return by_call::rules(by, spec),
        PolicySpec::Advised(by) => return by_call::advised(by, spec),
        PolicySpec::Cascade(by) => return cascade::cascade(by, spec),
        PolicySpec::Learned(learned) => learned,
    };
    let LearnedSpec { rule, features, reward, explore, min_share, half_life, cost_share } = learned;
    let reward = reward.name();
    let mut shown = match rule {
        RuleSpec::EpsilonGreedy { epsilon, decay } => json!({"epsilon_greedy": {
            "reward": reward, "epsilon": epsilon, "decay": decay, "min_share": min_share, "half_life": half_life,
        }}),
        RuleSpec::Ucb1 => json!({"ucb1": {
            "reward": reward, "explore": explore, "min_share": min_share, "half_life": half_life,
        }}),
        RuleSpec::Thompson => json!({"thompson": {"reward": reward, "min_share": min_share, "half_life": half_life}}),
        RuleSpec::TrackAndStop { delta } => json!({"track_and_stop": {
            "reward": reward, "delta": delta, "explore": explore, "min_share": min_share,
        }}),
        RuleSpec::LinUcb { alpha } => json!({"linucb": {
            "reward": reward, "features": features.iter().map(feature).collect::<Vec<_>>(), "alpha": alpha,
            "explore": explore, "min_share": min_share, "half_life": half_life,
        }}),
        RuleSpec::LinearThompson => json!({"linear_thompson": {
            "reward": reward, "features": features.iter().map(feature).collect::<Vec<_>>(),
            "explore": explore, "min_share": min_share, "half_life": half_life,
        }}),
    };
    // Only where something is bounded: older files have no such member.
    if let (Some(cost), Some(settings)) = (cost_share, shown.as_object_mut().and_then(|by| by.values_mut().next())) {
        let named = spec.variants.iter().map(|variant| variant.name.as_str()).zip(&cost.most);
        settings["max_cost_share"] =
            named.filter_map(|(name, most)| Some((name.to_owned(), json!((*most)?)))).collect();
    }
    shown
}

fn feature(spec: &FeatureSpec) -> Value {
    match spec {
        FeatureSpec::PromptLength { most } => json!({"prompt_length": {"most": most}}),
        FeatureSpec::Language => json!("language"),
        FeatureSpec::Hour => json!("hour"),
        FeatureSpec::KeyTag { tag, values } => json!({"key_tag": {"name": tag, "values": values}}),
        FeatureSpec::Header { name, values } => json!({"header": {"name": name, "values": values}}),
    }
}

fn rollout(spec: &RouteSpec) -> Value {
    let PolicySpec::Rollout(rollout) = &spec.policy else { return Value::Null };
    let RolloutSpec { kind, from, to, steps, every, interval, min_samples, analysis } = rollout;
    let name = |arm: &usize| spec.variants.get(*arm).map(|variant| variant.name.as_str());
    let mut shown = json!({
        "from": name(from), "to": name(to), "every": seconds(*every), "interval": seconds(*interval),
        "min_samples": min_samples, "analysis": analysis.iter().map(analysed).collect::<Vec<_>>(),
    });
    match kind {
        RolloutKind::Canary => {
            shown["steps"] = json!(steps);
            json!({"canary": shown})
        }
        RolloutKind::BlueGreen => json!({"blue_green": shown}),
    }
}

fn shadow(spec: &ShadowSpec) -> Value {
    let ShadowSpec { variant, share, compare, usd_a_day, concurrency, queue } = spec;
    let CompareSpec { embedding, judge, numeric_tolerance } = compare;
    let by = |model: &Option<_>| model.as_ref().map(|model| json!({"model": model}));
    json!({
        "name": variant.name,
        "variant": {
            "model": variant.model, "prompt": variant.prompt.as_ref().map(ToString::to_string),
            "graph": variant.graph.as_deref().map(graph::graph),
        },
        "share": share,
        "compare": {"embedding": by(embedding), "judge": by(judge), "numeric_tolerance": numeric_tolerance},
        "budget": usd_a_day.map(|usd| json!({"usd": usd, "every": "calendar_day"})),
        "concurrency": concurrency,
        "queue": queue,
    })
}

fn analysed(spec: &AnalysisSpec) -> Value {
    let confidence = spec.confidence;
    match &spec.measure {
        Measure::Quantile { of, quantile, worse_by } => {
            let of = if *of == Timing::Latency { "latency" } else { "first_token" };
            json!({of: {"quantile": quantile, "worse_by": worse_by, "confidence": confidence}})
        }
        Measure::ErrorRate { worse_by } => {
            json!({"error_rate": {"worse_by_points": worse_by, "confidence": confidence}})
        }
        Measure::Reward { reward, worse_by } => {
            json!({"reward": {"name": reward.name, "worse_by": worse_by, "confidence": confidence}})
        }
        Measure::Monitor(name) => json!({"monitor": name}),
    }
}

fn reward(spec: &RewardSpec) -> Value {
    let RewardSpec { name: _, kind, goal, level, window } = spec;
    let (kind, range) = match kind {
        RewardKind::Boolean => ("boolean", None),
        RewardKind::Float(range) => ("float", range.map(|(low, high)| json!([low, high]))),
    };
    json!({
        "kind": kind,
        "range": range,
        "goal": match goal {
            Goal::Maximize => "maximize",
            Goal::Minimize => "minimize",
        },
        "level": match level {
            RewardLevel::Inference => "inference",
            RewardLevel::Episode => "episode",
        },
        "window": seconds(*window),
    })
}

fn condition(condition: Condition) -> String {
    match condition {
        Condition::Status(status) => status.to_string(),
        Condition::Class(class) => format!("{class}xx"),
        Condition::Kind(kind) => crate::section::route::kind_name(kind).to_owned(),
    }
}

fn rate(rate: &Rate) -> String {
    format!("{}/{}", rate.count, seconds(rate.every))
}

fn limit(spec: &LimitSpec) -> Value {
    json!({
        "per": spec.per.word(),
        "requests": spec.requests.as_ref().map(rate),
        "tokens": spec.tokens.as_ref().map(rate),
        "cost": spec.cost.map(|budget| json!({"usd": budget.most.usd(), "every": budget.every.word(), "zone": "UTC"})),
        "failure": on_failure(spec.failure),
    })
}

const fn on_failure(failure: OnFailure) -> &'static str {
    match failure {
        OnFailure::Open => "open",
        OnFailure::Closed => "closed",
    }
}

fn filter(spec: &FilterSpec) -> Value {
    let FilterSpec { plugin, at_request, at_answer, failure } = spec;
    let at = [(at_request, "request"), (at_answer, "answer")];
    let at: Vec<&str> = at.into_iter().filter_map(|(is_one, name)| is_one.then_some(name)).collect();
    json!({"plugin": plugin, "at": at, "failure": on_failure(*failure)})
}

fn plugin(spec: &PluginSpec) -> Value {
    let PluginSpec { name: _, component, sha256, auth, signed_by, config: _, shown, models, web, limits, wasi } = spec;
    let PluginLimits { memory, deadline, tokens, size, modules, table } = limits;
    json!({
        "component": component.to_string(),
        "sha256": sha256,
        "auth": auth.as_ref().map(|auth| match auth {
            ComponentAuth::Basic(_) => json!({"basic": HIDDEN}),
            ComponentAuth::Bearer(_) => json!({"bearer": HIDDEN}),
        }),
        "signed_by": signed_by.map(|key| Digest::from_bytes(key).to_string()),
        "config": serde_json::from_str::<Value>(shown).unwrap_or_default(),
        "capabilities": {"models": models, "http": web.0.iter().map(ToString::to_string).collect::<Vec<_>>()},
        "limits": {
            "memory": memory.map(|bytes| format!("{bytes}B")),
            "deadline": deadline.map(seconds),
            "tokens": tokens.as_ref().map(rate),
            "size": size.map(|bytes| format!("{bytes}B")),
            "modules": modules,
            "table": table,
        },
        "wasi": wasi.as_str(),
    })
}
