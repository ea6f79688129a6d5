//! `tidegate plugin test`: each fixture through the component, held against what has to come back. Owns where component and
//! fixtures are looked for, and what is printed.

use super::allowed::Allowed;
use super::compare::differences;
use super::doing::micros;
use super::fixture::{self, Fixture, Wanted};
use super::subject::{Nothing, Subject};
use crate::cli::{Wrong, print};
use crate::terminal::{Style, harmless};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many differences of a fixture are shown.
const SHOWN: usize = 12;

/// How a fixture ended.
struct Judged {
    faults: Vec<String>,
    took: Option<Duration>,
    fuel: Option<u64>,
}

pub(super) fn test(at: &Path, allowed: Allowed, fixtures: Option<PathBuf>) -> anyhow::Result<()> {
    let component = component_of(at)?;
    let folder = fixtures.unwrap_or_else(|| component.parent().unwrap_or(Path::new("")).join("fixtures"));
    let fixtures = fixture::found_in(&folder)?;
    let subject = Subject::load(&component, allowed)?;
    let about = subject.about();
    let mut text =
        format!("{}: {} {}, {}\n", component.display(), harmless(&about.name), harmless(&about.version), about.world);
    let width = fixtures.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let (style, mut failed) = (Style::stdout(), 0);
    for (name, fixture) in &fixtures {
        let Judged { faults, took, fuel } = judge(&subject, fixture);
        let word = if faults.is_empty() { style.good("ok    ") } else { style.bad("FAILED") };
        failed += usize::from(!faults.is_empty());
        let took = took.map_or_else(|| "-".to_owned(), micros);
        let fuel = fuel.map_or_else(String::new, |fuel| format!("  {fuel:>10} fuel"));
        writeln!(text, "{word}  {:<width$}  {took:>10}{fuel}", harmless(name)).unwrap_or_default();
        if let (false, Some(about)) = (faults.is_empty(), &fixture.about) {
            writeln!(text, "          {}", style.dim(&harmless(about))).unwrap_or_default();
        }
        for fault in faults.iter().take(SHOWN) {
            writeln!(text, "          {}", harmless(fault)).unwrap_or_default();
        }
        if faults.len() > SHOWN {
            writeln!(text, "          and {} more", faults.len() - SHOWN).unwrap_or_default();
        }
    }
    writeln!(text, "{} passed, {failed} failed", fixtures.len() - failed).unwrap_or_default();
    print(&text)?;
    // What failed was told already.
    anyhow::ensure!(failed == 0, "");
    Ok(())
}

fn judge(subject: &Subject, fixture: &Fixture) -> Judged {
    let done = subject.prepare(&fixture.config, fixture.input.clone()).and_then(|prepared| {
        let answered = prepared.ask()?;
        Ok((answered, subject.fuel(&prepared)))
    });
    let (took, fuel) = done.as_ref().map_or((None, None), |(answered, fuel)| (Some(answered.took), *fuel));
    let faults = match (&fixture.wanted, &done) {
        (Wanted::Output(wanted), Ok((answered, _))) => differences(wanted, &answered.output),
        (Wanted::Output(_), Err(nothing)) => vec![format!("no output: {}", nothing.says())],
        (Wanted::Refused(part), Ok((answered, _))) => {
            vec![format!("`{part}` was to refuse it, and it answered {}", answered.output)]
        }
        // An input that cannot be read is a fault of the fixture, whatever it wants.
        (Wanted::Refused(_), Err(nothing @ (Nothing::NoInput(_) | Nothing::Blind(_)))) => vec![nothing.says()],
        (Wanted::Refused(part), Err(nothing)) if nothing.says().contains(part) => Vec::new(),
        (Wanted::Refused(part), Err(nothing)) => {
            vec![format!("wanted a refusal with `{part}`, got: {}", nothing.says())]
        }
    };
    Judged { faults, took, fuel }
}

/// The component itself, or the only one of a folder.
fn component_of(at: &Path) -> anyhow::Result<PathBuf> {
    if !at.is_dir() {
        return Ok(at.to_owned());
    }
    let mut found = fixture::files_in(at, "wasm")?;
    let shown = at.display();
    match (found.pop(), found.is_empty()) {
        (Some(component), true) => Ok(component),
        (None, _) => Err(Wrong(format!("{shown} has no component: `tidegate plugin build {shown}` makes one")).into()),
        (Some(_), false) => {
            Err(Wrong(format!("{shown} has more than one component: name the one that you mean")).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_component() {
        let folder = tempfile::tempdir().unwrap();
        let says = || component_of(folder.path()).unwrap_err().to_string();
        assert!(says().contains("plugin build"), "{}", says());
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        std::fs::write(folder.path().join("a.wasm.sig"), "").unwrap();
        assert_eq!(component_of(folder.path()).unwrap(), folder.path().join("a.wasm"));
        std::fs::write(folder.path().join("b.wasm"), "").unwrap();
        assert!(says().contains("more than one"));
        assert_eq!(component_of(&folder.path().join("b.wasm")).unwrap(), folder.path().join("b.wasm"));
    }
}
