//! The families of drift measures as checks of the drift plugin. Owns how a case's input becomes columns and which
//! settings ask for its numbers; the settings' format is that of the plugin's README.

use crate::draft::Draft;
use crate::generate::{number, numbers};
use crate::{Asked, Case, Check, Column, GoldenFault, Part, Values};
use serde_json::{Value, json};

/// The families that this knows, by their files.
pub const FAMILIES: [&str; 6] = ["ks", "psi", "chisquare", "jensenshannon", "wasserstein", "mmd"];

/// What a case asks: more than one check where it needs more than one choice of settings.
///
/// # Errors
/// The case is not as its family's are.
pub fn checks(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    match case.family.as_str() {
        "ks" => ks(case),
        "psi" => psi(case),
        "chisquare" => chi_square(case),
        "jensenshannon" => jensen_shannon(case),
        "wasserstein" => wasserstein(case),
        "mmd" => mmd(case),
        _ => Err(case.odd("its family is none of the drift measures")),
    }
}

fn ks(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let config = json!({"correction": "none", "tests": [
        {"name": "auto", "column": "x", "test": "ks", "method": "auto"},
        {"name": "asymptotic", "column": "x", "test": "ks", "method": "asymptotic"},
    ]});
    let asked = Draft::new(case, config, pair(case)?)
        .number("auto", Part::Value, "statistic", "statistic")?
        .number("auto", Part::P, "p_value_auto", "p_value_auto")?
        .number("auto", Part::P, "evidently_drift_score", "p_value_auto")?
        .number("asymptotic", Part::Value, "statistic", "statistic")?
        .number("asymptotic", Part::P, "p_value_asymp", "p_value_asymp")?
        .exactly("auto", Part::Breached, case.verdict("evidently_drifted")?);
    Ok(vec![asked.done(), chosen(case, pair(case)?)?])
}

fn psi(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let threshold = &case.body["params"]["threshold"];
    let config = json!({"tests": [{"column": "x", "test": "psi", "bins": "evidently", "threshold": threshold}]});
    let asked = Draft::new(case, config, pair(case)?).number("psi:x", Part::Value, "psi", "psi")?.exactly(
        "psi:x",
        Part::Breached,
        case.verdict("drifted")?,
    );
    Ok(vec![asked.done()])
}

fn jensen_shannon(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let config = json!({"tests": [
        {"name": "natural", "column": "x", "test": "jensen_shannon", "base": "e", "bins": "evidently"},
        {"name": "binary", "column": "x", "test": "jensen_shannon", "base": "2", "bins": "evidently"},
    ]});
    let asked = Draft::new(case, config, pair(case)?)
        .number("natural", Part::Value, "js_distance_natural", "js_distance_natural")?
        .number("binary", Part::Value, "js_distance_base2", "js_distance_base2")?
        .exactly("natural", Part::Breached, case.verdict("drifted")?);
    Ok(vec![asked.done()])
}

fn wasserstein(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let config = json!({"tests": [
        {"name": "raw", "column": "x", "test": "wasserstein", "norm": "none"},
        {"name": "normed", "column": "x", "test": "wasserstein", "norm": "reference_deviation"},
    ]});
    let asked = Draft::new(case, config, pair(case)?)
        .number("raw", Part::Value, "wasserstein_raw", "wasserstein_raw")?
        .number("normed", Part::Value, "wasserstein_normed", "wasserstein_normed")?
        .exactly("normed", Part::Breached, case.verdict("drifted")?);
    Ok(vec![asked.done()])
}

fn chi_square(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let mut tests = vec![
        json!({"name": "contingency", "column": "x", "test": "chi_square", "form": "contingency"}),
        json!({"name": "one_way", "column": "x", "test": "chi_square", "form": "one_way"}),
        json!({"column": "x", "test": "psi", "bins": "evidently"}),
        json!({"column": "x", "test": "jensen_shannon"}),
    ];
    let with_z = case.body.pointer("/expected/evidently_z_p").is_some();
    if with_z {
        tests.push(json!({"column": "x", "test": "z"}));
    }
    let whole = "alibi_style_contingency";
    let mut asked = Draft::new(case, json!({"tests": tests}), counted(case)?)
        .number("contingency", Part::Value, &format!("{whole}/statistic"), whole)?
        .number("contingency", Part::P, &format!("{whole}/p"), whole)?
        .number("contingency", Part::Label("degrees"), &format!("{whole}/dof"), whole)?
        .number("one_way", Part::P, "evidently_chi2_p", "evidently_chi2_p")?
        .number("psi:x", Part::Value, "evidently_psi", "evidently_psi")?
        .number("jensen_shannon:x", Part::Value, "evidently_js_distance", "evidently_js_distance")?;
    if with_z {
        asked = asked.number("z:x", Part::P, "evidently_z_p", "evidently_z_p")?;
    }
    Ok(vec![asked.done(), chosen(case, counted(case)?)?])
}

fn mmd(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let reference = vectors(case, "reference")?;
    let names: Vec<String> = reference.iter().map(|column| column.name.clone()).collect();
    let current = vectors(case, "current")?;
    let sides = || Asked::Drift { reference: reference.clone(), current: current.clone() };
    let sigmas = [("0.5", 0.5), ("1.0", 1.0), ("2.0", 2.0)];
    let mut tests: Vec<Value> = sigmas
        .iter()
        .map(|(name, sigma)| json!({"name": name, "columns": names, "test": "mmd", "sigma": sigma, "permutations": 0}))
        .collect();
    tests.push(json!({"name": "median", "prefix": "x", "test": "mmd", "sigma": "median", "permutations": 0}));
    let mut asked = Draft::new(case, json!({"tests": tests}), sides());
    for (name, _) in sigmas {
        asked = asked.number(name, Part::Value, &format!("mmd2_unbiased_sigma_{name}"), "mmd")?;
    }
    asked = asked.number("median", Part::Value, "median_heuristic/mmd2_unbiased", "mmd")?.number(
        "median",
        Part::Label("sigma"),
        "median_heuristic/sigma_from_reference",
        "mmd",
    )?;
    let each: Vec<Value> =
        names.iter().map(|name| json!({"column": name, "test": "ks", "method": "asymptotic"})).collect();
    let corrected = |correction: &str| json!({"alpha": 0.05, "correction": correction, "tests": each});
    let mut bonferroni = Draft::new(case, corrected("bonferroni"), sides());
    for (at, name) in names.iter().enumerate() {
        bonferroni =
            bonferroni.number(&format!("ks:{name}"), Part::P, &format!("ks_p_asymp_per_feature/{at}"), "mmd")?;
    }
    let bonferroni = bonferroni.exactly("*", Part::Breached, case.verdict("ks_bonferroni_drift")?);
    let found = case.expected("ks_fdr/0")? > 0.0;
    let rate = Draft::new(case, corrected("benjamini_hochberg"), sides())
        .number("ks:x0", Part::Threshold, "ks_fdr/1", "mmd")?
        .exactly("*", Part::Breached, found);
    Ok(vec![asked.done(), bonferroni.done(), rate.done()])
}

/// Whether the plugin, left to choose as Evidently does, chooses what Evidently chose.
fn chosen(case: &Case, sides: Asked) -> Result<Check, GoldenFault> {
    let name = match case.body["expected"]["evidently_default_test"].as_str() {
        Some("ks") => "ks:x",
        Some("wasserstein") => "wasserstein:x",
        Some("chisquare") => "chi_square:x",
        Some("z") => "z:x",
        Some("jensenshannon") => "jensen_shannon:x",
        other => return Err(case.odd(format!("expects an unknown default test: {other:?}"))),
    };
    Ok(Draft::new(case, json!({"choose": "evidently"}), sides).exactly(name, Part::Present, true).done())
}

/// Both sides of a case with one column of numbers.
fn pair(case: &Case) -> Result<Asked, GoldenFault> {
    let side = |which: &str| {
        let values = numbers(&case.body["input"][which]).ok_or_else(|| case.odd(format!("no numbers in {which}")))?;
        Ok::<_, GoldenFault>(vec![Column { name: "x".to_owned(), values: Values::Numbers(values) }])
    };
    Ok(Asked::Drift { reference: side("reference")?, current: side("current")? })
}

/// Both sides of a case that says how often each category is met.
fn counted(case: &Case) -> Result<Asked, GoldenFault> {
    let input = &case.body["input"];
    let list = |name: &str| input[name].as_array().ok_or_else(|| case.odd(format!("has no {name}")));
    let levels: Vec<String> =
        list("keys")?.iter().map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned)).collect();
    let side = |name: &str| {
        let mut codes = Vec::new();
        for (code, n) in (0u32..).zip(list(name)?) {
            let n = n.as_u64().and_then(|n| usize::try_from(n).ok());
            codes.extend(std::iter::repeat_n(code, n.ok_or_else(|| case.odd(format!("{name} are no counts")))?));
        }
        let values = Values::Categories { codes, levels: levels.clone() };
        Ok::<_, GoldenFault>(vec![Column { name: "x".to_owned(), values }])
    };
    Ok(Asked::Drift { reference: side("reference_counts")?, current: side("current_counts")? })
}

/// One side of a case whose rows are vectors: a column `x0`, `x1` … for each of their numbers.
fn vectors(case: &Case, which: &str) -> Result<Vec<Column>, GoldenFault> {
    let odd = || case.odd(format!("the rows of {which} are no vectors of one length"));
    let rows = case.body["input"][which].as_array().ok_or_else(odd)?;
    let width = rows.first().and_then(Value::as_array).map(Vec::len).ok_or_else(odd)?;
    let column = |at: usize| {
        let values: Option<Vec<f64>> = rows.iter().map(|row| row.get(at).and_then(number)).collect();
        Ok(Column { name: format!("x{at}"), values: Values::Numbers(values.ok_or_else(odd)?) })
    };
    (0..width).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(family: &str, body: Value) -> Case {
        Case { family: family.to_owned(), id: "00".to_owned(), body }
    }

    #[test]
    fn a_case_becomes_settings_columns_and_numbers() {
        let body = json!({"input": {"reference": [1.0, null], "current": [2.0]}, "params": {"threshold": 0.2},
            "expected": {"psi": 0.5, "drifted": true}, "tol": {"psi": "rel 1e-9"}});
        let checks = checks(&case("psi", body)).expect("a case of its family");
        let [check] = &checks[..] else { panic!("{checks:?}") };
        let config = json!({"tests": [{"column": "x", "test": "psi", "bins": "evidently", "threshold": 0.2}]});
        assert_eq!(check.config, config);
        let Asked::Drift { reference, .. } = &check.asked else { panic!("{check:?}") };
        let Values::Numbers(reference) = &reference[0].values else { panic!("{check:?}") };
        assert!(reference[0] == 1.0 && reference[1].is_nan());
        let met = |part: Part| check.expected.iter().find(|expected| expected.part == part).map(|found| found.value);
        assert_eq!((met(Part::Value), met(Part::Breached)), (Some(0.5), Some(1.0)));
    }

    #[test]
    fn counts_become_rows_and_an_odd_case_is_named() {
        let body = json!({"input": {"keys": [0, "b"], "reference_counts": [2, 1], "current_counts": [0, 1]}});
        let Ok(Asked::Drift { reference, current }) = counted(&case("chisquare", body)) else { panic!("no counts") };
        let levels = vec!["0".to_owned(), "b".to_owned()];
        assert_eq!(reference[0].values, Values::Categories { codes: vec![0, 0, 1], levels: levels.clone() });
        assert_eq!(current[0].values, Values::Categories { codes: vec![1], levels });
        let fault = checks(&case("ks", json!({"input": {}}))).expect_err("it has no input");
        assert_eq!(fault.to_string(), "ks, case 00: no numbers in reference");
        assert!(checks(&case("poetry", json!({}))).is_err());
    }
}
