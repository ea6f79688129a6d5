//! The worlds of the contract: which one a component fills, by what it exports, and whether its imports are granted there. Owns
//! names and versions of `wit/`; whether functions have the right types is seen when they are linked.

use crate::fault::{Fault, Kind};
use serde::{Serialize, Serializer};
use std::fmt;
use tidegate_core::port::filter::LooksAt;

/// The package of `wit/`.
const PACKAGE: &str = "tidegate:plugin";
/// Its version as major and minor: while the major is 0, another minor is another contract.
const VERSION: (u64, u64) = (0, 1);
/// What every world grants: words, and what cannot be misused.
const BASE: [&str; 6] = ["types", "view", "log", "metrics", "clock", "random"];
/// What every plugin exports beside the interface of its world.
const LIFECYCLE: &str = "lifecycle";

/// A world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// Looks at requests before they go out.
    RequestFilter,
    /// Looks at whole answers.
    ResponseFilter,
    /// Looks at the text of streams.
    StreamFilter,
    /// Several of these three at once.
    Filter,
    /// Chooses where a call goes.
    Router,
    /// Compares a window with a reference.
    Drift,
    /// Compares groups of a window.
    Fairness,
    /// Judges answers that were made of passages.
    Rag,
    /// Allows, redacts or blocks texts.
    Guardrail,
    /// Holds a table against a schema.
    Validator,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RequestFilter,
        Self::ResponseFilter,
        Self::StreamFilter,
        Self::Filter,
        Self::Router,
        Self::Drift,
        Self::Fairness,
        Self::Rag,
        Self::Guardrail,
        Self::Validator,
    ];

    /// The interface that a component of this world exports; of [`Self::Filter`], which exports several, the name alone.
    const fn interface(self) -> &'static str {
        match self {
            Self::RequestFilter => "request-filter",
            Self::ResponseFilter => "response-filter",
            Self::StreamFilter => "stream-filter",
            Self::Filter => "filter",
            Self::Router => "router",
            Self::Drift => "drift",
            Self::Fairness => "fairness",
            Self::Rag => "rag",
            Self::Guardrail => "guardrail",
            Self::Validator => "validator",
        }
    }

    /// What this world grants beside the base.
    const fn granted(self) -> &'static [&'static str] {
        match self {
            Self::RequestFilter | Self::ResponseFilter | Self::Filter => &["kv", "registry", "models", "http-out"],
            Self::StreamFilter => &["kv"],
            Self::Router => &["kv", "registry"],
            Self::Drift | Self::Fairness | Self::Validator => &["registry"],
            Self::Rag => &["registry", "models", "http-out"],
            Self::Guardrail => &["kv", "models", "http-out"],
        }
    }

    /// Whether it is asked about calls while they are served, in warm instances; the others look at windows.
    #[must_use]
    pub const fn is_warm(self) -> bool {
        matches!(
            self,
            Self::RequestFilter
                | Self::ResponseFilter
                | Self::StreamFilter
                | Self::Filter
                | Self::Guardrail
                | Self::Router
        )
    }

    /// Whether models may be granted to plugins of this world: to those that are asked for a window on a thread that may
    /// block. Filters ask for them in vain, since callers wait for these.
    #[must_use]
    pub const fn may_ask_models(self) -> bool {
        matches!(self, Self::Rag)
    }

    /// What a component that exports the interface of this world looks at. A guardrail sees whole texts only.
    const fn looks_at(self) -> LooksAt {
        let (request, answer, stream) = match self {
            Self::RequestFilter => (true, false, false),
            Self::ResponseFilter => (false, true, false),
            Self::StreamFilter => (false, false, true),
            Self::Guardrail => (true, true, false),
            _ => (false, false, false),
        };
        LooksAt { request, answer, stream }
    }

    /// The world that a component with these exports and imports fills, and what it looks at if that is one of filters.
    pub(crate) fn recognise(exports: &[String], imports: &[String]) -> Result<(Self, LooksAt), Fault> {
        let wrong = |says: String| Fault::new(Kind::WrongWorld, says);
        let ours: Vec<Name<'_>> = exports.iter().filter_map(|name| Name::read(name)).collect();
        let exported = |name: &Name<'_>| {
            let has_interface = |world: &Self| *world != Self::Filter && world.interface() == name.interface;
            Self::ALL.into_iter().find(has_interface)
        };
        let filled: Vec<(Self, &Name<'_>)> = ours.iter().filter_map(|name| Some((exported(name)?, name))).collect();
        if let Some((_, name)) = filled.iter().find(|(_, name)| !name.is_spoken()) {
            return Err(wrong(name.of_another_version()));
        }
        let world = match filled.as_slice() {
            [] => return Err(wrong(format!("it fills no world of `{PACKAGE}`: it exports {}", listed(exports)))),
            [(world, _)] => *world,
            several if may_stand_together(several) => Self::Filter,
            _ => return Err(wrong(format!("it fills more than one world: it exports {}", listed(exports)))),
        };
        if !ours.iter().any(|name| name.interface == LIFECYCLE && name.is_spoken()) {
            let (major, minor) = VERSION;
            return Err(wrong(format!(
                "it does not export `{PACKAGE}/{LIFECYCLE}@{major}.{minor}`, as every plugin does"
            )));
        }
        world.grants(imports)?;
        let mut looks_at = LooksAt::default();
        for (world, _) in filled {
            let LooksAt { request, answer, stream } = world.looks_at();
            looks_at.request |= request;
            looks_at.answer |= answer;
            looks_at.stream |= stream;
        }
        Ok((world, looks_at))
    }

    /// Whether all of these imports are granted.
    fn grants(self, imports: &[String]) -> Result<(), Fault> {
        let refused = |says: String| Err(Fault::new(Kind::Import, says));
        for import in imports {
            if import.starts_with("wasi:") {
                return refused(format!(
                    "it imports `{import}`: WASI is not granted, build it for wasm32-unknown-unknown without WASI, or \
                     grant it `wasi: minimal`"
                ));
            }
            let Some(name) = Name::read(import) else {
                return refused(format!("it imports `{import}`, which is nothing that this host offers"));
            };
            if !name.is_spoken() {
                return refused(name.of_another_version());
            }
            if !BASE.contains(&name.interface) && !self.granted().contains(&name.interface) {
                let offered = [&BASE[..], self.granted()].concat().join(", ");
                return refused(format!(
                    "it imports `{import}`, which the world `{self}` does not grant; it grants {offered}"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-plugin", self.interface())
    }
}

impl Serialize for World {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Whether one component may export all of these: the three interfaces of filters, each once.
fn may_stand_together(filled: &[(World, &Name<'_>)]) -> bool {
    let is_one = |world| matches!(world, World::RequestFilter | World::ResponseFilter | World::StreamFilter);
    let is_alone = |world| filled.iter().filter(|(other, _)| *other == world).count() == 1;
    filled.iter().all(|(world, _)| is_one(*world) && is_alone(*world))
}

/// The name of an interface of our package, such as `tidegate:plugin/drift@0.1.0`.
struct Name<'a> {
    whole: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    fn read(whole: &'a str) -> Option<Self> {
        let rest = whole.strip_prefix(PACKAGE)?.strip_prefix('/')?;
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self { whole, interface, version })
    }

    /// Whether this host speaks that version.
    fn is_spoken(&self) -> bool {
        let mut parts = self.version.split('.').map(str::parse::<u64>);
        matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) == VERSION)
    }

    fn of_another_version(&self) -> String {
        let (major, minor) = VERSION;
        format!(
            "`{}` is of another version of the contract than this host's {major}.{minor}: build it against that",
            self.whole
        )
    }
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const DRIFT: [&str; 2] = ["tidegate:plugin/lifecycle@0.1.0", "tidegate:plugin/drift@0.1.0"];

    #[test]
    fn a_world_is_known_by_what_is_exported() {
        let imports = names(&["tidegate:plugin/types@0.1.0", "tidegate:plugin/registry@0.1.3"]);
        assert_eq!(World::recognise(&names(&DRIFT), &imports), Ok((World::Drift, LooksAt::default())));
    }

    #[test]
    fn filters_may_be_several_at_once() {
        let found = |interfaces: &[&str], import: &str| {
            let mut exports: Vec<_> = interfaces.iter().map(|name| format!("tidegate:plugin/{name}@0.1.0")).collect();
            exports.push(DRIFT[0].to_owned());
            let import = format!("tidegate:plugin/{import}@0.1.0");
            World::recognise(&exports, &[import])
                .map(|(world, looks)| (world, [looks.request, looks.answer, looks.stream]))
        };
        let (request, answer, stream) = ("request-filter", "response-filter", "stream-filter");
        assert_eq!(found(&[request], "http-out"), Ok((World::RequestFilter, [true, false, false])));
        assert_eq!(found(&[stream], "kv"), Ok((World::StreamFilter, [false, false, true])));
        assert_eq!(found(&[answer, request], "registry"), Ok((World::Filter, [true, true, false])));
        assert_eq!(found(&[stream, request, answer], "models"), Ok((World::Filter, [true; 3])));
        assert_eq!(found(&["guardrail"], "models"), Ok((World::Guardrail, [true, true, false])));
        assert_eq!(found(&["filter"], "log").unwrap_err().kind, Kind::WrongWorld);
        for (several, import) in [([request, "guardrail"], "kv"), ([request, request], "kv"), ([stream, "drift"], "kv")]
        {
            assert!(found(&several, import).unwrap_err().says.contains("more than one"));
        }
        assert_eq!(found(&[stream], "registry").unwrap_err().kind, Kind::Import);
        assert_eq!(found(&["guardrail"], "registry").unwrap_err().kind, Kind::Import);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let said = |exports: &[&str], imports: &[&str]| {
            let fault = World::recognise(&names(exports), &names(imports)).unwrap_err();
            (fault.kind, fault.says)
        };
        for (exports, imports, kind, part) in [
            (&["run"][..], &[][..], Kind::WrongWorld, "exports `run`"),
            (&[], &[], Kind::WrongWorld, "exports nothing"),
            (&DRIFT[1..], &[], Kind::WrongWorld, "lifecycle@0.1"),
            (&["tidegate:plugin/drift@0.2.0", DRIFT[0]], &[], Kind::WrongWorld, "this host's 0.1"),
            (
                &["tidegate:plugin/router@0.1.0", DRIFT[0]],
                &["tidegate:plugin/models@0.1.0"],
                Kind::Import,
                "does not grant",
            ),
            (&[DRIFT[0], DRIFT[1], "tidegate:plugin/rag@0.1.0"], &[], Kind::WrongWorld, "more than one"),
            (&DRIFT, &["wasi:cli/environment@0.2.0"], Kind::Import, "`wasi:cli/environment@0.2.0`: WASI"),
            (&DRIFT, &["tidegate:plugin/kv@0.1.0"], Kind::Import, "does not grant"),
            (&DRIFT, &["tidegate:plugin/log@1.0.0"], Kind::Import, "another version"),
            (&DRIFT, &["env"], Kind::Import, "nothing that this host offers"),
        ] {
            let (found, says) = said(exports, imports);
            assert!(found == kind && says.contains(part), "{exports:?} {imports:?}: {found} {says}");
        }
    }
}
