//! Estimators of what another policy would have earned.

use crate::vectors::{Compared, cases, number, numbers};
use serde_json::Value;
use tidegate_experiment::off_policy::{Limits, Log, Logged};

#[test]
fn every_case_is_met() {
    let Some(cases) = cases("off_policy") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let id = case["id"].as_str().expect("an id");
        let calls = calls(&case["input"]);
        let log = Log::new(&calls).expect("a log");
        let clip = number(&case["params"]["clip"]);
        // The names have it: they switch at 5 and shrink by 1.
        let got = log.estimates(Limits { clip, switch: 5.0, shrink: 1.0 });
        let expected = case["expected"].as_object().expect("what is expected");
        for (name, expected) in expected {
            let got = match name.as_str() {
                "ips" => got.ips,
                "ips_clip_5" => got.clipped,
                "snips" => got.snips,
                "dm" => got.dm,
                "dr" => got.dr,
                "dr_clip_5" => got.dr_clipped,
                "sndr" => got.sndr,
                "switch_dr_5" => got.switch,
                "dros_1" => got.dros,
                "effective_sample_size" => got.effective_sample_size,
                "max_weight" => got.max_weight,
                "ips_standard_error" => got.ips_standard_error,
                other => panic!("{id} expects {other}, which is not compared"),
            };
            compared.absolute(&format!("{id} {name}"), got, expected, number(&case["tol"]));
        }
        assert_eq!(expected.len(), 12);
        assert!(log.overlap().is_ok(), "{id}");
    }
    println!("off_policy: {} cases, {} numbers, the worst off by {:e}", cases.len(), compared.n, compared.worst);
    assert_eq!(cases.len(), 12);
}

fn calls(input: &Value) -> Vec<Logged> {
    let rows = |name: &str| input[name].as_array().expect("rows").iter().map(numbers);
    let actions = input["action"].as_array().expect("actions").iter().map(|action| action.as_u64().expect("an action"));
    actions
        .zip(numbers(&input["reward"]))
        .zip(numbers(&input["pscore"]))
        .zip(rows("evaluation_policy").zip(rows("q_hat")))
        .map(|(((action, reward), propensity), (target, q))| Logged {
            action: usize::try_from(action).expect("a small number"),
            reward,
            propensity,
            shares: None,
            target,
            q: Some(q),
        })
        .collect()
}
