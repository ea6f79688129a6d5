//! Routes as experiments, from outside: the command and the admin interface say the same of the records, and whether one may
//! stop.

use crate::harness::{Home, Upstream, chat, eventually, home, upstream};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_compared_by_users_and_one_may_stop() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    old.always(upstream::completion("old", 3, 2));
    new.always(upstream::completion("new", 3, 2));
    let text = format!(
        "{}providers: {{po: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pn: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{mo: {{provider: po, model: o}}, mn: {{provider: pn, model: n}}}}\nrewards: {{good: {{kind: boolean}}}}\nroutes: {{mock: {{variants: {{old: {{model: mo}}, new: {{model: mn}}}}, sticky: {{by: user}}, policy: {{weighted: {{old: 50%, new: 50%}}}}}}, single: {{model: mo}}}}\n",
        home::BASE,
        old.url(),
        new.url()
    );
    let home = Home::new();
    home.write("config.yaml", &text);
    let key = home.key(&["infer", "feedback", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    // Each user calls twice; those of `new` are happier.
    for call in 0..800usize {
        let user = call % 400;
        let mut body = chat("mock");
        body["user"] = json!(format!("user-{user}"));
        let answer = client.chat(&body).await;
        let is_new = answer.text().contains("new");
        let good = if is_new { user % 10 != 0 } else { user % 2 == 0 };
        let said = json!({"inference_id": answer.request_id(), "reward": "good", "value": good});
        let taken = client.post("/v1/feedback", &said).await;
        assert_eq!((taken.status(), &taken.json()["learnt"]), (200, &json!([])), "{}", taken.text());
    }
    let admin = gateway.admin();
    let shown: Value = eventually("all records", async || {
        let shown = admin.get("/admin/v1/experiments/mock?reward=good").await;
        assert_eq!(shown.status(), 200, "{}", shown.text());
        Some(shown.json()).filter(|shown| shown["calls"] == 800)
    })
    .await;
    let arms = shown["arms"].as_array().expect("arms");
    let sum = |name: &str| arms.iter().filter_map(|arm| arm[name].as_f64()).sum::<f64>();
    // A user is a unit, and drawn once.
    assert_eq!((sum("units"), sum("values"), sum("drawn"), sum("expected")), (400.0, 800.0, 400.0, 400.0), "{shown}");
    let against = &shown["compared"][0];
    assert_eq!((&against["may_stop"], &against["treatment"]), (&json!(true), &json!("new")), "{against}");
    let says = against["says"].as_str().expect("a sentence");
    assert!(says.starts_with("You may stop: `new` is better than `old` by "), "{says}");
    assert!(shown["sample_ratio_p"].as_f64().is_some_and(|p| p > 0.001), "{shown}");

    let run = |arguments: &[&str]| home.run(&[&["experiment"], arguments, &["--config", "config.yaml"]].concat());
    let ran = run(&["mock", "--reward", "good", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out()).expect("JSON"), shown, "{}", ran.err());
    let ran = run(&["mock", "--reward", "good", "--svg", "means.svg"]);
    let page = ran.out();
    assert!(page.contains(says) && page.contains("guardrails: error ") && page.contains("|-"), "{page}{}", ran.err());
    assert!(home.read("means.svg").contains("<polygon"));
    let worse = run(&["mock", "--reward", "good", "--control", "new"]).out();
    assert!(worse.contains("`old` is worse than `new`"), "{worse}");
    for (arguments, why) in [
        (vec!["mock"], "does not say what is earned"),
        (vec!["mock", "--reward", "nope"], "no reward `nope`"),
        (vec!["mock", "--reward", "good", "--control", "x"], "no variant `x`"),
        (vec!["single", "--reward", "error"], "nothing to compare"),
        (vec!["nobody", "--reward", "error"], "no route `nobody`"),
    ] {
        let ran = run(&arguments);
        assert!(ran.code() == 2 && ran.err().contains(why), "{arguments:?}: {}", ran.err());
    }
    for (path, status) in [
        ("mock", 400),
        ("mock?reward=nope", 400),
        ("mock?reward=good&what=1", 400),
        ("mock?reward=good&since_ms=x", 400),
        ("nobody?reward=good", 404),
    ] {
        assert_eq!(admin.get(&format!("/admin/v1/experiments/{path}")).await.status(), status, "{path}");
    }
}
