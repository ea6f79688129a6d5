//! The golden vectors through built components: each case of each family is asked of the component that answers for it, and
//! every expected number must be met within its tolerance. GOLDEN_DIR names the vectors, COMPONENT_DIR the components
//! (`plugins/dist`). Owns the run and what it prints; how a case is asked is one file a family.

#[cfg(test)]
mod case;
#[cfg(test)]
mod chisquare;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod jensenshannon;
#[cfg(test)]
mod ks;
#[cfg(test)]
mod mmd;
#[cfg(test)]
mod psi;
#[cfg(test)]
mod wasserstein;

#[cfg(test)]
mod run {
    use super::case::{Asked, Case, Vectors};
    use super::{chisquare, jensenshannon, ks, mmd, psi, wasserstein};
    use std::path::{Path, PathBuf};
    use tidegate_host::{Host, Limits, Outside, Plugin};

    /// A family of vectors: its file, the component that answers for it, and how a case is asked.
    struct Family {
        name: &'static str,
        component: &'static str,
        ask: fn(&Case) -> Vec<Asked>,
    }

    const FAMILIES: [Family; 6] = [
        Family { name: "ks", component: "drift.wasm", ask: ks::ask },
        Family { name: "psi", component: "drift.wasm", ask: psi::ask },
        Family { name: "chisquare", component: "drift.wasm", ask: chisquare::ask },
        Family { name: "jensenshannon", component: "drift.wasm", ask: jensenshannon::ask },
        Family { name: "wasserstein", component: "drift.wasm", ask: wasserstein::ask },
        Family { name: "mmd", component: "drift.wasm", ask: mmd::ask },
    ];

    /// How many failures of a family are shown.
    const SHOWN: usize = 10;

    fn folder(variable: &str, default: &str) -> PathBuf {
        let given = std::env::var_os(variable).filter(|value| !value.is_empty());
        given.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(default), PathBuf::from)
    }

    /// What is left out: said, and a failure where nothing may be.
    fn left_out(what: &str) {
        println!("note: {what} is not there, so the golden vectors of it are left out");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what} is not there");
    }

    #[test]
    fn every_case_is_met_through_the_component() {
        let (vectors, components) = (folder("GOLDEN_DIR", "../shared/golden"), folder("COMPONENT_DIR", "plugins/dist"));
        let host = Host::new(Limits::default(), Outside::default()).expect("plugins can be run here");
        let mut failures = Vec::new();
        for family in FAMILIES {
            let (file, component) = (vectors.join(format!("{}.json", family.name)), components.join(family.component));
            match (std::fs::read(&file), std::fs::read(&component)) {
                (Ok(file), Ok(bytes)) => {
                    let plugin = host.load(&bytes).unwrap_or_else(|fault| panic!("{}: {fault}", component.display()));
                    failures.extend(met(&family, &Vectors::read(&file), &plugin));
                }
                (Err(_), _) => left_out(&file.display().to_string()),
                (_, Err(_)) => left_out(&component.display().to_string()),
            }
        }
        assert!(failures.is_empty(), "{} numbers are not met:\n{}", failures.len(), failures.join("\n"));
    }

    /// Asks all cases of a family; what is not met.
    fn met(family: &Family, vectors: &Vectors, plugin: &Plugin) -> Vec<String> {
        let mut failures = Vec::new();
        for case in &vectors.cases {
            let asked = (family.ask)(case);
            assert!(!asked.is_empty(), "{} {}: nothing is asked", family.name, case.id);
            for asked in asked {
                let said = asked.of(plugin);
                failures.extend(
                    said.into_iter().map(|says| format!("{} {} ({}): {says}", family.name, case.id, case.desc)),
                );
            }
        }
        println!(
            "figure: golden {}: {} cases, {} calls into the component, {} not met, sha256 {}",
            family.name,
            vectors.cases.len(),
            plugin.calls(),
            failures.len(),
            plugin.about().sha256
        );
        failures.truncate(SHOWN);
        failures
    }
}
