//! What `pytrec_eval` and ranx say of the same rankings.

use rag_eval::ranked::mean;
use rag_eval::{Found, Gain, Judgements, Ranking};
use std::collections::BTreeMap;
use tidegate_golden::vectors::{Case, Compared, Value, cases, fields, number};

/// The rankings by query.
fn rankings(case: &Case) -> BTreeMap<&str, Ranking> {
    let ranking = |(query, run)| {
        let found: Vec<Found<'_>> = fields(run).map(|(id, score)| Found { id, score: number(score) }).collect();
        let grade = |value: &Value| value.as_i64().and_then(|grade| i32::try_from(grade).ok()).expect("a grade");
        let judgements: Judgements<'_> =
            fields(&case.input["qrels"][query]).map(|(id, value)| (id, grade(value))).collect();
        (query, Ranking::new(&found, &judgements).expect("a ranking"))
    };
    fields(&case.input["run"]).map(ranking).collect()
}

/// A measure by the name that one of both packages has for it; 0 where it is undefined, as both say.
fn measure(ranking: &Ranking, name: &str) -> f64 {
    let (name, k) = match name.rsplit_once(['_', '@']) {
        Some((name, k)) if k.parse::<usize>().is_ok() => (name, k.parse().ok()),
        _ => (name, None),
    };
    let at = || k.expect("a cut");
    let measured = match name {
        "ndcg" | "ndcg_cut" => ranking.ndcg(k, Gain::Linear),
        "ndcg_burges" => ranking.ndcg(k, Gain::Exponential),
        "P" | "precision" => ranking.precision(at()),
        "recall" => ranking.recall(at()),
        "f1" => ranking.f1(at()),
        "recip_rank" | "mrr" => ranking.reciprocal_rank(k),
        "map" | "map_cut" => ranking.average_precision(k),
        "success" | "hit_rate" => ranking.success(at()),
        "Rprec" => ranking.r_precision(),
        "rbp.95" => ranking.rank_biased_precision(0.95),
        other => panic!("no measure {other}"),
    };
    measured.unwrap_or(0.0)
}

#[test]
fn ranking() {
    let Some(cases) = cases("ranking") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let rankings = rankings(case);
        for (query, expected) in fields(&case.expected["trec_per_query"]) {
            for (name, expected) in fields(expected) {
                let what = format!("ranking {}: {query} {name}", case.name);
                compared.same(&what, Some(measure(&rankings[query], name)), expected, case.tolerance);
            }
        }
        // ranx has its own order of equal scores.
        let ties = fields(&case.input["run"]).any(|(_, run)| {
            let mut scores: Vec<f64> = fields(run).map(|(_, score)| number(score)).collect();
            scores.sort_unstable_by(f64::total_cmp);
            scores.windows(2).any(|pair| pair[0] == pair[1])
        });
        for package in ["trec_mean", "ranx_mean"].into_iter().filter(|package| *package != "ranx_mean" || !ties) {
            for (name, expected) in fields(&case.expected[package]) {
                let got = mean(rankings.values().map(|ranking| Some(measure(ranking, name))));
                let what = format!("ranking {}: {package} {name}", case.name);
                compared.same(&what, got.map(|(mean, _)| mean), expected, case.tolerance);
            }
        }
    }
    compared.say("ranking", cases.len());
}
