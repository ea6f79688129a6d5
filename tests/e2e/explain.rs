//! Why a call went where it went, from outside: the words, and that what they rest on is reckoned again.

use crate::harness::events::newest;
use crate::harness::{Home, Upstream, chat, eventually, home, upstream};
use serde_json::{Value, json};

/// The records of so many calls, the oldest first.
async fn records(admin: &crate::harness::Client, calls: usize) -> Vec<Value> {
    let all = async || Some(newest(admin, 1000).await).filter(|found| found.len() == calls);
    let mut found = eventually("all records", all).await;
    // Ids begin with their time.
    found.sort_by_key(|event| event["id"].as_str().map(str::to_owned));
    found
}

fn explained(home: &Home, id: &Value) -> (String, Value) {
    let id = id.as_str().expect("an id");
    let says = home.run(&["explain", id, "--config", "config.yaml"]);
    assert_eq!(says.code(), 0, "{}", says.err());
    let shown = home.run(&["explain", id, "--config", "config.yaml", "--json"]);
    (says.out(), serde_json::from_str(&shown.out()).unwrap_or_else(|e| panic!("{e}: {}", shown.err())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_fixed_shares_is_explained_by_its_configuration() {
    let upstream = Upstream::start().await;
    upstream.always(upstream::completion("hello", 3, 2));
    let home = Home::new();
    // The order is not that of the alphabet, and `never` is drawn by nobody.
    let text = |policy: &str| {
        format!(
            "{}providers: {{p: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{m: {{provider: p, model: x}}}}\nroutes: {{mock: {{variants: {{small: {{model: m}}, never: {{model: m}}, big: {{model: m}}}}, sticky: {{by: user}}, policy: {policy}}}}}\n",
            home::BASE,
            upstream.url()
        )
    };
    home.write("config.yaml", &text("{weighted: {small: 30%, never: 0%, big: 70%}}"));
    let key = home.key(&["infer", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let mut body = chat("mock");
    body["user"] = json!("somebody");
    assert_eq!(client.chat(&body).await.status(), 200);
    let event = records(&gateway.admin(), 1).await.remove(0);
    let (says, shown) = explained(&home, &event["id"]);
    let variant = event["variant"].as_str().expect("a variant");
    let share = if variant == "big" { "70.00 %" } else { "30.00 %" };
    for part in [
        format!("`{variant}` had {share}, because the configuration gives it so much"),
        "weighted gave small 30.00 %, never 0.00 %, big 70.00 %".to_owned(),
        "reckoned again, these shares are the same to the bit".to_owned(),
        "the caller's unit, which keeps its arm while shares stay, drew 0.".to_owned(),
        format!("drawn again it is {variant}: the same"),
        " answered after ".to_owned(),
    ] {
        assert!(says.contains(&part), "{part}: {says}");
    }
    assert_eq!(shown["arms"], json!(["small", "never", "big"]));
    let told = ["agrees", "shares_agree", "drawn", "answered_by"].map(|name| shown[name].clone());
    assert_eq!(told, [json!(true), json!(true), json!(variant), json!(variant)]);
    // What the file says today does not change why the call went there.
    home.replace("config.yaml", &text("{weighted: {small: 10%, never: 80%, big: 10%}}"));
    let (later, _) = explained(&home, &event["id"]);
    assert_eq!(later, says);
    let unknown = home.run(&["explain", "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "--config", "config.yaml"]);
    assert!(unknown.code() == 1 && unknown.err().contains("there is no record of"), "{}", unknown.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_a_learner_is_explained_by_what_it_had_learnt() {
    let upstream = Upstream::start().await;
    upstream.always(upstream::completion("hello", 3, 2));
    let home = Home::new();
    let text = format!(
        "{}providers: {{p: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{m: {{provider: p, model: x}}}}\nroutes: {{mock: {{variants: {{z: {{model: m}}, a: {{model: m}}}}, policy: {{ucb1: {{reward: error, explore: 6%}}}}}}}}\n",
        home::BASE,
        upstream.url()
    );
    home.write("config.yaml", &text);
    let key = home.key(&["infer", "read"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    for _ in 0..60 {
        assert_eq!(client.chat(&chat("mock")).await.status(), 200);
    }
    let events = records(&gateway.admin(), 60).await;
    let (says, shown) = explained(&home, &events[0]["id"]);
    assert!(says.contains("because nothing had been learnt yet; 6.00 % are spread evenly"), "{says}");
    assert_eq!((&shown["shares_agree"], &shown["arms"]), (&json!(true), &json!(["z", "a"])), "{shown}");
    // All calls after the first state with rewards can be reckoned again, and each has its reason.
    let first = events[0]["decision"]["state"].clone();
    let newest = eventually("a state that has learnt", async || {
        assert_eq!(client.chat(&chat("mock")).await.status(), 200);
        let newest = crate::harness::events::newest(&gateway.admin(), 1).await.pop()?;
        (newest["decision"]["state"] != first).then_some(newest)
    })
    .await;
    let events = [events, vec![newest]].concat();
    let mut learnt = events.iter().filter(|event| event["decision"]["state"] != events[0]["decision"]["state"]);
    let learnt = learnt.next_back().expect("a state that has learnt");
    let (says, shown) = explained(&home, &learnt["id"]);
    for part in
        ["ucb1 gave z ", "as it had learnt of `error` by ", "the same to the bit", "chance drew 0.", ", from 0."]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert!(!says.contains("nothing had been learnt yet"), "{says}");
    assert_eq!((&shown["agrees"], &shown["shares_agree"]), (&json!(true), &json!(true)), "{shown}");
}
