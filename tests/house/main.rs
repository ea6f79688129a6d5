//! The house's arrows, kept by tests over `cargo metadata` and `cargo tree`: which crate may see which, which crate alone may name a
//! heavy dependency, what is banned from the whole tree, and how files are named and opened. ARCHITECTURE.md says why.

#[cfg(test)]
mod graph;
#[cfg(test)]
mod sources;

#[cfg(test)]
mod arrows {
    use crate::graph::{self, Graph};

    /// Each crate of ours and those of ours that it may name. A crate that is not here is refused: put it in with its
    /// arrows, and into ARCHITECTURE.md.
    const SEES: [(&str, &[&str]); 17] = [
        ("tidegate-core", &[]),
        ("tidegate-config", &["tidegate-core"]),
        ("tidegate-experiment", &[]),
        ("tidegate-route", &["tidegate-core", "tidegate-experiment"]),
        ("tidegate-watch", &["tidegate-core"]),
        ("tidegate-state", &["tidegate-core"]),
        ("tidegate-storage", &["tidegate-core"]),
        ("tidegate-dialect", &["tidegate-core"]),
        ("tidegate-upstream", &["tidegate-core", "tidegate-dialect"]),
        ("tidegate-engine", &["tidegate-core"]),
        ("tidegate-classic", &["tidegate-core"]),
        ("tidegate-host", &["tidegate-core"]),
        ("tidegate-registry", &["tidegate-core"]),
        ("tidegate-prompts", &["tidegate-core"]),
        (
            "tidegate-server",
            &["tidegate-core", "tidegate-config", "tidegate-dialect", "tidegate-route", "tidegate-experiment"],
        ),
        ("tidegate-loadtest", &[]),
        (
            "tidegate",
            &[
                "tidegate-core",
                "tidegate-config",
                "tidegate-dialect",
                "tidegate-experiment",
                "tidegate-route",
                "tidegate-watch",
                "tidegate-state",
                "tidegate-storage",
                "tidegate-upstream",
                "tidegate-engine",
                "tidegate-classic",
                "tidegate-host",
                "tidegate-prompts",
                "tidegate-registry",
                "tidegate-server",
            ],
        ),
    ];

    /// Dependencies that one crate alone may name, by the beginning of their names.
    const OWNED: [(&str, &str); 14] = [
        ("redis", "tidegate-state"),
        ("governor", "tidegate-state"),
        ("dashmap", "tidegate-state"),
        ("arrow", "tidegate-storage"),
        ("parquet", "tidegate-storage"),
        ("object_store", "tidegate-storage"),
        ("candle-", "tidegate-engine"),
        ("tokenizers", "tidegate-engine"),
        ("llguidance", "tidegate-engine"),
        ("tract-", "tidegate-classic"),
        ("sqlx", "tidegate-registry"),
        ("wasmtime", "tidegate-host"),
        ("wit-", "tidegate-host"),
        ("gix", "tidegate-prompts"),
    ];

    /// What may be nowhere in the tree: second TLS providers, and a C regex engine on callers' text.
    const BANNED: [&str; 5] = ["ring", "openssl-sys", "openssl", "native-tls", "onig_sys"];

    /// What makes a crate slow to build or to test.
    const HEAVY: [&str; 18] = [
        "hyper",
        "tokio",
        "rustls",
        "aws-lc-sys",
        "arrow",
        "arrow-array",
        "parquet",
        "object_store",
        "candle-core",
        "tokenizers",
        "gemm",
        "wasmtime",
        "sqlx",
        "gix",
        "tonic",
        "redis",
        "zstd-sys",
        "reqwest",
    ];

    /// The crates that must build and test in seconds.
    const LIGHT: [&str; 5] =
        ["tidegate-core", "tidegate-config", "tidegate-experiment", "tidegate-route", "tidegate-watch"];

    #[test]
    fn each_crate_sees_only_what_the_design_lets_it_see() {
        let graph = Graph::read();
        for member in graph.members() {
            let Some((_, allowed)) = SEES.iter().find(|(name, _)| *name == member) else {
                panic!("{member} has no row in tests/house: add its arrows there and to ARCHITECTURE.md");
            };
            let seen = graph.named_by(&member);
            let wrong: Vec<_> = seen
                .iter()
                .filter(|name| graph.members().contains(name.as_str()) && !allowed.contains(&name.as_str()))
                .collect();
            assert!(wrong.is_empty(), "{member} may not name {wrong:?}");
        }
    }

    #[test]
    fn each_heavy_dependency_has_one_owner() {
        let graph = Graph::read();
        for (dependency, owner) in OWNED {
            for member in graph.members() {
                let named: Vec<_> =
                    graph.named_by(&member).into_iter().filter(|name| name.starts_with(dependency)).collect();
                assert!(member == owner || named.is_empty(), "{member} names {named:?}, which is for {owner} alone");
            }
        }
    }

    #[test]
    fn nothing_banned_is_in_the_tree() {
        let built = graph::built();
        assert!(built.contains("rustls"), "the tree was not read");
        for banned in BANNED {
            assert!(
                !built.contains(banned),
                "{banned} is in the tree: `cargo tree --workspace -i {banned}` says through whom"
            );
        }
    }

    #[test]
    fn the_light_crates_are_light() {
        for light in LIGHT {
            let below = graph::below(light);
            let heavy: Vec<_> = HEAVY.iter().filter(|name| below.contains(**name)).collect();
            assert!(heavy.is_empty(), "{light} has {heavy:?} below it");
            assert!(below.len() > 1, "{light} has nothing below it: the graph was not read");
        }
    }
}

#[cfg(test)]
mod files {
    use crate::sources::{self, Source};

    #[test]
    fn every_file_opens_by_saying_what_it_owns() {
        let silent: Vec<_> =
            sources::all().iter().filter(|source| !source.text.starts_with("//!")).map(Source::shown).collect();
        assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
    }

    #[test]
    fn no_file_is_a_drawer() {
        const DRAWERS: [&str; 8] = ["utils", "util", "common", "types", "manager", "helpers", "helper", "misc"];
        let drawers: Vec<_> = sources::all()
            .iter()
            .filter(|source| {
                source.path.iter().any(|part| DRAWERS.contains(&part.to_string_lossy().trim_end_matches(".rs")))
            })
            .map(Source::shown)
            .collect();
        assert!(drawers.is_empty(), "name these by their purpose: {drawers:#?}");
    }

    #[test]
    fn lints_are_expected_with_a_reason_and_never_allowed() {
        // Put together here, so that this file does not find itself.
        let allow = [concat!("#[", "allow("), concat!("#![", "allow(")];
        let bad: Vec<_> = sources::all()
            .iter()
            .filter(|source| allow.iter().any(|text| source.text.contains(text)))
            .map(Source::shown)
            .collect();
        assert!(bad.is_empty(), "use `#[expect(lint, reason = \"…\")]` in these: {bad:#?}");
    }

    #[test]
    fn no_file_has_grown_into_two() {
        let long: Vec<_> =
            sources::all().iter().filter(|source| source.text.lines().count() > 800).map(Source::shown).collect();
        assert!(long.is_empty(), "these have more than 800 lines: {long:#?}");
    }
}
