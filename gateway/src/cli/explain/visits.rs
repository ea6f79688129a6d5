//! What a call came by in a graph, in words: a line for each node, model and plugin, further in where it was within
//! another.

use super::{harmless, word};
use tidegate_core::Visit;

/// The lines, in the order in which it came by.
pub(super) fn told(visits: &[Visit]) -> Vec<String> {
    visits.iter().map(|visit| line(visit, visits)).collect()
}

fn line(visit: &Visit, all: &[Visit]) -> String {
    let inner = |visit: &Visit| visit.within.and_then(|within| all.get(usize::try_from(within).ok()?));
    // A record that leads in a circle is none of ours, and ends all the same.
    let depth = std::iter::successors(inner(visit), |outer| inner(outer)).take(all.len()).count();
    let version = visit.model_version.map(|version| format!(" version {version}")).unwrap_or_default();
    let branch = match (visit.branch, visit.draw) {
        (Some(branch), Some(draw)) => format!(" drew {draw:.6} and took its part {}", branch + 1),
        (Some(branch), None) => format!(" took its branch {}", branch + 1),
        (None, _) => String::new(),
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let ms = |us: u64| us as f64 / 1000.0;
    let came = match (&visit.fault, visit.us) {
        (Some(fault), us) => format!("failed ({}) after {:.1} ms", word(fault), ms(us.unwrap_or(0))),
        (None, Some(us)) => format!("answered after {:.1} ms", ms(us)),
        (None, None) => "was given up".to_owned(),
    };
    let joint = if branch.is_empty() { "" } else { " and" };
    let name = harmless(visit.name());
    format!("    {}{} `{name}`{version}{branch}{joint} {came}\n", "  ".repeat(depth), visit.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::FaultKind;

    #[test]
    fn each_visit_is_a_line_within_its_own() {
        let visits = [
            Visit {
                node: Some("trial".parse().unwrap()),
                branch: Some(1),
                draw: Some(0.95),
                us: Some(1500),
                ..Visit::begun(None, 0)
            },
            Visit { node: Some("way".parse().unwrap()), branch: Some(0), us: Some(1400), ..Visit::begun(Some(0), 10) },
            Visit {
                model: Some("a".parse().unwrap()),
                model_version: Some(3),
                us: Some(200),
                fault: Some(FaultKind::Unreachable),
                ..Visit::begun(Some(1), 20)
            },
            Visit { plugin: Some("p".parse().unwrap()), ..Visit::begun(Some(1), 30) },
        ];
        assert_eq!(
            told(&visits).concat(),
            "    node `trial` drew 0.950000 and took its part 2 and answered after 1.5 ms\n      \
             node `way` took its branch 1 and answered after 1.4 ms\n        \
             model `a` version 3 failed (unreachable) after 0.2 ms\n        \
             plugin `p` was given up\n"
        );
    }
}
