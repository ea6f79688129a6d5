//! Routes as experiments, from outside: the command and the admin interface say the same of the records, and whether one may
//! stop.

use crate::harness::{Client, Home, Upstream, chat, eventually, home, upstream};
use serde_json::{Value, json};

/// Two upstreams that say their names, and a configuration with a route between them.
async fn pair(shares: &str) -> (Upstream, Upstream, Home) {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    old.always(upstream::completion("old", 3, 2));
    new.always(upstream::completion("new", 3, 2));
    let text = format!(
        "{}providers: {{po: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pn: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{mo: {{provider: po, model: o}}, mn: {{provider: pn, model: n}}}}\nrewards: {{good: {{kind: boolean}}}}\nroutes: {{mock: {{variants: {{old: {{model: mo}}, new: {{model: mn}}}}, sticky: {{by: user}}, policy: {{weighted: {shares}}}}}, single: {{model: mo}}}}\n",
        home::BASE,
        old.url(),
        new.url()
    );
    let home = Home::new();
    home.write("config.yaml", &text);
    (old, new, home)
}

/// A call of a user who then says whether it was good; its id.
async fn judged(client: &Client, user: usize, good: impl Fn(bool) -> bool) -> String {
    let mut body = chat("mock");
    body["user"] = json!(format!("user-{user}"));
    let answer = client.chat(&body).await;
    let value = good(answer.text().contains("new"));
    let said = json!({"inference_id": answer.request_id(), "reward": "good", "value": value});
    let taken = client.post("/v1/feedback", &said).await;
    assert_eq!((taken.status(), &taken.json()["learnt"]), (200, &json!([])), "{}", taken.text());
    answer.request_id()
}

/// The milliseconds since 1970 in a call's id.
fn moment(id: &str) -> u64 {
    u64::from_str_radix(&id.replace('-', "")[..12], 16).expect("an id begins with its time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_users_did_before_is_taken_out() {
    let even = "{old: 50%, new: 50%}";
    let (_old, _new, home) = pair("{old: 100%, new: 0%}").await;
    let key = home.key(&["infer", "feedback", "read"]);
    let gateway = home.serve().await;
    let (client, admin) = (gateway.client().with_key(&key), gateway.admin());
    // Half of the users are content with anything; later those of `new` are somewhat more so.
    for user in 0..400 {
        judged(&client, user, |_| user % 2 == 0).await;
    }
    home.replace("config.yaml", &home.read("config.yaml").replace("{old: 100%, new: 0%}", even));
    assert_eq!(admin.post("/admin/v1/reload", &json!({})).await.status(), 200);
    let mut began = None;
    for user in 0..400 {
        let id = judged(&client, user, |is_new| user % 2 == 0 || (is_new && user % 5 == 0)).await;
        began.get_or_insert(moment(&id));
    }
    let began = began.expect("the first call of both");
    let path = |since: u64, before: u64| {
        format!("/admin/v1/experiments/mock?reward=good&since_ms={since}&covariate_since_ms={before}")
    };
    let shown: Value = eventually("all records", async || {
        let shown = admin.get(&path(began, 1)).await;
        assert_eq!(shown.status(), 200, "{}", shown.text());
        Some(shown.json()).filter(|shown| shown["calls"].as_u64() >= Some(399) && shown["cuped"]["units"] == 400.0)
    })
    .await;
    let cuped = &shown["cuped"];
    assert_eq!((&cuped["units_with_past"], &cuped["calls_left_out"]), (&json!(400.0), &json!(0)), "{cuped}");
    assert!(cuped["variance_reduction"].as_f64() > Some(0.5), "{cuped}");
    let width = |of: &Value| Some(of["interval"]["high"].as_f64()? - of["interval"]["low"].as_f64()?);
    let against = &shown["compared"][0];
    let (plain, taken) = (width(&against["comparison"]).expect("known"), width(&against["cuped"]).expect("known"));
    println!("figure: without what 400 users did before an interval of {plain:.3} is one of {taken:.3}");
    assert!(taken < 0.75 * plain, "{against}");
    // What they did in the midst of it tells nothing: their arms were drawn already.
    let shown = admin.get(&path(9_000_000_000_000, began)).await.json();
    assert_eq!(shown["cuped"]["units_with_past"], 0.0, "{shown}");
    assert!(shown["cuped"]["calls_left_out"].as_u64() >= Some(399), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_compared_by_users_and_one_may_stop() {
    let (_old, _new, home) = pair("{old: 50%, new: 50%}").await;
    let key = home.key(&["infer", "feedback", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    // Each user calls twice; those of `new` are happier.
    for call in 0..800usize {
        let user = call % 400;
        judged(&client, user, |is_new| if is_new { user % 10 != 0 } else { user % 2 == 0 }).await;
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
    asked_otherwise(&home, &admin).await;
    let worse = run(&["mock", "--reward", "good", "--control", "new"]).out();
    assert!(worse.contains("`old` is worse than `new`"), "{worse}");
    for (arguments, why) in [
        (vec!["mock"], "does not say what is earned"),
        (vec!["mock", "--reward", "nope"], "no reward `nope`"),
        (vec!["mock", "--reward", "good", "--control", "x"], "no variant `x`"),
        (vec!["single", "--reward", "error"], "nothing to compare"),
        (vec!["nobody", "--reward", "error"], "no route `nobody`"),
        (vec!["mock", "--reward", "good", "--guardrail", "nope=1%"], "no reward `nope`"),
        (vec!["mock", "--reward", "good", "--guardrail", "cost"], "such as latency=20%"),
        (vec!["mock", "--reward", "good", "--covariate-since", "30d"], "--since"),
        (vec!["mock", "--reward", "good", "--since", "7d", "--covariate-since", "1d"], "a longer span"),
    ] {
        let ran = run(&arguments);
        assert!(ran.code() == 2 && ran.err().contains(why), "{arguments:?}: {}", ran.err());
    }
    for (path, status) in [
        ("mock", 400),
        ("mock?reward=nope", 400),
        ("mock?reward=good&what=1", 400),
        ("mock?reward=good&since_ms=x", 400),
        ("mock?reward=good&effect=0", 400),
        ("mock?reward=good&guardrail=nope%3D1%25", 400),
        ("mock?reward=good&guardrail=cost", 400),
        ("mock?reward=good&covariate_since_ms=1", 400),
        ("nobody?reward=good", 404),
    ] {
        assert_eq!(admin.get(&format!("/admin/v1/experiments/{path}")).await.status(), status, "{path}");
    }
}

/// How many units a difference takes, and other guardrails, by the command and the admin interface.
async fn asked_otherwise(home: &Home, admin: &Client) {
    let asked = "effect=5%25&guardrail=error%3D2%25&guardrail=cost%3Doff&guardrail=tokens%3D50%25";
    let shown = admin.get(&format!("/admin/v1/experiments/mock?reward=good&{asked}")).await.json();
    let rails: Vec<(&str, &Value)> = shown["compared"][0]["guardrails"]
        .as_array()
        .expect("guardrails")
        .iter()
        .map(|rail| (rail["measure"].as_str().unwrap_or_default(), &rail["worse_by"]))
        .collect();
    let expected = [json!({"absolute": 0.02}), json!({"relative": 0.1}), json!({"relative": 0.5})];
    assert_eq!(rails, [("error", &expected[0]), ("latency", &expected[1]), ("tokens", &expected[2])], "{shown}");
    let needed = &shown["compared"][0]["needed"];
    assert!(needed["is_named"] == true && needed["more"][0].as_f64() > Some(0.0), "{needed}");
    assert!(shown["compared"][0]["msprt_p"].as_f64() < Some(0.05), "{shown}");
    let arm = &shown["arms"][0];
    assert!(arm["variance"].as_f64() > arm["mean_variance"].as_f64() && arm["p95"].is_number(), "{arm}");
    let words = ["--effect", "5%", "--guardrail", "error=2%", "--guardrail", "cost=off", "--guardrail", "tokens=50%"];
    let ran = home.run(&[&["experiment", "mock", "--reward", "good", "--config", "config.yaml"], &words[..]].concat());
    let (page, says) = (ran.out(), needed["says"].as_str().expect("a sentence"));
    assert!(page.contains(says) && page.contains("(2 points)") && page.contains("(50 %)"), "{page}{}", ran.err());
    assert!(!page.contains("cost ") && page.contains("(mixture SPRT)") && page.contains("variance"), "{page}");
}
