//! What tests of monitors have in common: routes, calls, and a plugin that compares means.

use std::time::Duration;
use tidegate_core::spec::{PolicySpec, RetrySpec, RouteSpec, TimeoutSpec, VariantSpec};

/// A route with these variants, in equal shares.
pub(super) fn route(variants: &[&str]) -> RouteSpec {
    let second = Duration::from_secs(1);
    RouteSpec {
        name: "r".parse().unwrap(),
        variants: variants
            .iter()
            .map(|name| VariantSpec {
                graph: None,
                name: name.parse().unwrap(),
                model: "m".parse().unwrap(),
                adapter: None,
                prompt: None,
                parameters: Vec::new(),
            })
            .collect(),
        policy: PolicySpec::Weighted(vec![1.0; variants.len()]),
        sticky: None,
        experiment: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts: 1, backoff: Duration::ZERO, budget: 0.0 },
        hedge: None,
        timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: second },
        priority: tidegate_core::spec::Priority::Normal,
        shadows: Vec::new(),
        check: Vec::new(),
        features: None,
        exposes_adapters: false,
        filters: Vec::new(),
    }
}

#[cfg(feature = "host")]
pub(super) use with_plugins::{Means, answered, field, monitor};

#[cfg(feature = "host")]
mod with_plugins {
    use crate::monitors::evaluator::Evaluate;
    use bytes::Bytes;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;
    use tidegate_core::port::watcher::Answered;
    use tidegate_core::spec::{
        AlarmSpec, FieldFrom, FieldKind, FieldSpec, MonitorAction, MonitorSpec, ReferenceSpec, RolesSpec, WindowSpec,
    };
    use tidegate_core::{Caller, InferenceId, KeyRecord};
    use tidegate_host::{Data, Frame, Input, Measurement, Output, Report, Severity, World};

    /// A plugin that compares means: one is out of bounds that is a whole unit away. Without numbers it refuses.
    #[derive(Debug)]
    pub(in crate::monitors) struct Means(pub(in crate::monitors) World);

    fn mean(frame: &Frame, name: &str) -> Option<f64> {
        let column = frame.column(name)?;
        let Data::Numbers(all) = &column.data else { return None };
        let there = all.iter().enumerate().filter(|(row, _)| !column.missing.contains(&u32::try_from(*row).unwrap()));
        let (sum, n) = there.fold((0.0, 0.0), |(sum, n), (_, x)| (sum + x, n + 1.0));
        (n > 0.0).then(|| sum / n)
    }

    impl Evaluate for Means {
        fn world(&self) -> World {
            self.0
        }

        fn call(&self, _: &str, input: &Input) -> Result<Output, String> {
            let (now, before) = match input {
                Input::Drift { reference, current, .. } => (current, Some(reference)),
                Input::Fairness { data, .. } | Input::Validator { data, .. } => (data, None),
                Input::Rag { samples } => {
                    let of = |answer: &str| Report {
                        measurements: vec![measured(
                            "length",
                            f64::from(u32::try_from(answer.len()).unwrap()),
                            3.0,
                            answer.len() > 3,
                        )],
                        detail: None,
                    };
                    return Ok(Output::Reports(samples.iter().map(|sample| of(&sample.answer)).collect()));
                }
            };
            let numbers = now.columns.iter().filter_map(|column| {
                let now = mean(now, &column.name)?;
                let before = before.map_or(Some(0.0), |before| mean(before, &column.name))?;
                let off = (now - before).abs();
                Some(measured(&format!("mean:{}", column.name), off, 1.0, off >= 1.0))
            });
            let measurements: Vec<Measurement> = numbers.collect();
            if measurements.is_empty() {
                Err("there are no numbers".to_owned())
            } else {
                Ok(Output::Report(Report { measurements, detail: None }))
            }
        }
    }

    fn measured(name: &str, value: f64, threshold: f64, breached: bool) -> Measurement {
        Measurement {
            name: name.to_owned(),
            value: Some(value),
            undefined: None,
            threshold: Some(threshold),
            p_value: None,
            breached,
            severity: Severity::Alert,
            labels: Vec::new(),
        }
    }

    /// A monitor of one number, in windows of ten, against the first ten.
    pub(in crate::monitors) fn monitor() -> MonitorSpec {
        MonitorSpec {
            name: "drift".parse().unwrap(),
            plugin: "means".parse().unwrap(),
            route: "r".parse().unwrap(),
            variant: None,
            share: 1.0,
            fields: vec![field("x", FieldFrom::Request("/features/x".to_owned()), Some(FieldKind::Number))],
            roles: RolesSpec::default(),
            window: WindowSpec { size: Some(10), every: None, min: 5, wait: Duration::from_secs(60) },
            reference: ReferenceSpec::First(10),
            evaluates: None,
            config: None,
            shown: None,
            alarm: AlarmSpec { breaches: 1, of: 1 },
            alert: vec!["duty".parse().unwrap()],
            action: MonitorAction::None,
        }
    }

    pub(in crate::monitors) fn field(name: &str, from: FieldFrom, kind: Option<FieldKind>) -> FieldSpec {
        FieldSpec { name: name.to_owned(), from, kind }
    }

    /// A call of the route `r` that the model `m` answered.
    pub(in crate::monitors) fn answered(n: u64, request: &str, answer: &[&str]) -> Answered {
        let key = KeyRecord {
            id: "k".parse().unwrap(),
            digest: tidegate_core::digest::Digest::of(b"k"),
            principal: "ann".parse().unwrap(),
            tenant: "red".parse().unwrap(),
            roles: std::iter::empty().collect(),
            routes: None,
            expires: None,
            tags: BTreeMap::from([("team".to_owned(), "search".to_owned()), ("age".to_owned(), "41".to_owned())]),
        };
        Answered {
            id: InferenceId::from_parts(n, n, n),
            unix_ms: n,
            route: "r".parse().unwrap(),
            variant: Some("a".parse().unwrap()),
            model: Some("m".parse().unwrap()),
            model_version: None,
            caller: Caller(Arc::new(key)),
            request: Bytes::copy_from_slice(request.as_bytes()),
            answer: answer.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect(),
            stream: answer.len() > 1,
            violations: None,
        }
    }
}
