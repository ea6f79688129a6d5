//! A path of a classic protocol to what it means. Pure.

use tidegate_core::percent::decoded;
use tidegate_dialect::Wire;

/// Where a call to a classic model goes, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What it speaks.
    pub(crate) wire: Wire,
    /// The route that the path names; where it names none, a header does, or there is only one.
    pub(crate) route: Option<String>,
    /// Which of its arms, where the path says so.
    pub(crate) pick: Option<Pick>,
}

/// Which arm of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    /// One with this version.
    Version(String),
    /// The variant of this name.
    Label(String),
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// What the server is.
    Server,
    /// Whether it lives.
    Live,
    /// Whether it takes calls.
    Ready,
    /// MLflow's probe.
    Ping,
    /// MLflow's version.
    Version,
    /// A model.
    Model(String, Option<Pick>),
    /// Whether a model is ready.
    ModelReady(String, Option<Pick>),
}

impl Target {
    /// What a `POST` to this path means.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let open = |wire, route| Some(Self { wire, route, pick: None });
        match path {
            "/invocations" => return open(Wire::Mlflow, None),
            "/api/v1.0/predictions" => return open(Wire::Seldon, None),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/v2/models/") {
            let (route, pick) = picked(rest.strip_suffix("/infer")?)?;
            return Some(Self { wire: Wire::OpenInference, route: Some(route), pick });
        }
        let (rest, verb) = path.strip_prefix("/v1/models/")?.rsplit_once(':')?;
        let wire = match verb {
            "predict" => Wire::TfServing,
            "explain" => Wire::Explain,
            _ => return None,
        };
        let (route, pick) = picked(rest)?;
        Some(Self { wire, route: Some(route), pick })
    }
}

impl About {
    /// What a `GET` of this path means.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v2" => Self::Server,
            "/v2/health/live" => Self::Live,
            "/v2/health/ready" => Self::Ready,
            "/ping" => Self::Ping,
            "/version" => Self::Version,
            _ => {
                let rest = path.strip_prefix("/v2/models/")?;
                match rest.strip_suffix("/ready") {
                    Some(rest) => {
                        let (route, pick) = picked(rest)?;
                        Self::ModelReady(route, pick)
                    }
                    None => {
                        let (route, pick) = picked(rest)?;
                        Self::Model(route, pick)
                    }
                }
            }
        })
    }
}

/// `NAME`, `NAME/versions/V` or `NAME/labels/L`; a name may have slashes of its own.
pub(crate) fn picked(rest: &str) -> Option<(String, Option<Pick>)> {
    let (name, pick) = match rest.rsplit_once('/') {
        Some((before, last)) => match (before.strip_suffix("/versions"), before.strip_suffix("/labels")) {
            (Some(name), _) => (name, Some(Pick::Version(decoded(last)))),
            (_, Some(name)) => (name, Some(Pick::Label(decoded(last)))),
            _ => (rest, None),
        },
        None => (rest, None),
    };
    (!name.is_empty() && pick != Some(Pick::Version(String::new()))).then(|| (decoded(name), pick))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_their_protocols_say() {
        let of = |path: &str| Target::of(path).map(|target| (target.wire, target.route, target.pick));
        let named = |name: &str| Some(name.to_owned());
        let version = |text: &str| Some(Pick::Version(text.to_owned()));
        for (path, wanted) in [
            ("/v2/models/m/infer", Some((Wire::OpenInference, named("m"), None))),
            ("/v2/models/org/m/versions/2/infer", Some((Wire::OpenInference, named("org/m"), version("2")))),
            ("/v1/models/a%20b:predict", Some((Wire::TfServing, named("a b"), None))),
            ("/v1/models/m/versions/2:predict", Some((Wire::TfServing, named("m"), version("2")))),
            ("/v1/models/m/labels/new:predict", Some((Wire::TfServing, named("m"), Some(Pick::Label("new".into()))))),
            ("/v1/models/m:explain", Some((Wire::Explain, named("m"), None))),
            ("/v1/models/m/versions/2:explain", Some((Wire::Explain, named("m"), version("2")))),
            ("/invocations", Some((Wire::Mlflow, None, None))),
            ("/api/v1.0/predictions", Some((Wire::Seldon, None, None))),
            ("/v2/models/m", None),
            ("/v2/models//infer", None),
            ("/v1/models/m", None),
            ("/v1/models/m:classify", None),
        ] {
            assert_eq!(of(path), wanted, "{path}");
        }
        assert_eq!(About::of("/v2/models/m/ready"), Some(About::ModelReady("m".into(), None)));
        assert_eq!(About::of("/v2/models/m/versions/1"), Some(About::Model("m".into(), version("1"))));
        assert_eq!((About::of("/v2"), About::of("/v3")), (Some(About::Server), None));
    }
}
