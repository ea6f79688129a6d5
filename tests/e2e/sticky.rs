//! Sticky units as their callers see them: replicas that know nothing of each other, and a start anew, give each the same arm,
//! and other shares move the fewest.

use crate::harness::{Client, Gateway, Home, Upstream, chat, home, upstream};
use std::time::Instant;

const USERS: usize = 2_000;

/// A gateway that shares nothing with the others.
struct Replica {
    home: Home,
    gateway: Gateway,
    key: String,
}

impl Replica {
    fn client(&self) -> Client {
        self.gateway.client().with_key(&self.key)
    }
}

/// One whose arms are `a` and `b` with these shares.
async fn replica(a: &Upstream, b: &Upstream, shares: &str) -> Replica {
    let text = format!(
        "{}providers: {{pa: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pb: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{ma: {{provider: pa, model: at-a}}, mb: {{provider: pb, model: at-b}}}}\nroutes: {{mock: {{variants: {{a: {{model: ma}}, b: {{model: mb}}}}, sticky: {{by: {{header: x-user-id}}}}, policy: {{weighted: {shares}}}}}}}\n",
        home::BASE,
        a.url(),
        b.url()
    );
    let home = Home::new();
    home.write("config.yaml", &text);
    let key = home.key(&["infer"]);
    let gateway = home.serve().await;
    Replica { home, gateway, key }
}

/// The arm of each user, by the name that stands in his answer.
async fn arms(client: &Client, users: usize) -> Vec<String> {
    let body = chat("mock").to_string();
    let mut arms = Vec::with_capacity(users);
    for user in 0..users {
        let user = format!("user-{user}");
        let answer = client.send("POST", "/v1/chat/completions", &[("x-user-id", &user)], body.as_bytes()).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        arms.push(answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned());
    }
    arms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_and_starts_agree_and_other_shares_move_the_fewest() {
    let began = Instant::now();
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    a.always(upstream::completion("a", 3, 2));
    b.always(upstream::completion("b", 3, 2));
    let even = "{a: 50%, b: 50%}";
    let (mut one, other, moved) =
        tokio::join!(replica(&a, &b, even), replica(&a, &b, even), replica(&a, &b, "{a: 60%, b: 40%}"));
    let clients = [&one, &other, &moved].map(Replica::client);
    let [first, second, third] = &clients;
    let (of_one, of_other, of_moved) = tokio::join!(arms(first, USERS), arms(second, USERS), arms(third, USERS));
    assert!(of_one == of_other, "replicas of one configuration give some users different arms");

    // Their names are fixed, so this is the same each time. Of any 2,000 users 200 move on average, with a standard deviation
    // of 13.
    let leave = (0..USERS).filter(|user| of_one[*user] != of_moved[*user]).count();
    let on_a = of_one.iter().filter(|arm| *arm == "a").count();
    println!("figure: of {USERS} users {on_a} have `a` of 50/50, and {leave} move from 50/50 to 60/40");
    assert!(leave as f64 <= 0.105 * USERS as f64, "{leave} of {USERS} moved");
    assert!(
        (0..USERS).all(|user| of_one[user] == of_moved[user] || of_moved[user] == "a"),
        "some left the arm that grew"
    );

    // What starts anew knows nothing of before.
    one.gateway.kill();
    one.gateway = one.home.serve().await;
    assert!(arms(&one.client(), 200).await == of_one[..200], "a restart gives some users different arms");
    println!("figure: {} calls in {:.1} s", 3 * USERS + 200, began.elapsed().as_secs_f64());
}
