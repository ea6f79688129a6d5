//! Routes whose policy asks a plugin: what it says is the vector that an arm is drawn from, each record has it and what was
//! said, and where the plugin fails the shares of the configuration count. The plugins are core modules of the test's own.

use crate::harness::events::event;
use crate::harness::home::{PROGRAM, Ran, repository};
use crate::harness::{Client, Gateway, Home, ROUTES, Upstream, chat, home, provider};
use serde_json::{Value, json};

/// Says by the first feature: half and half where it is 0, all on the first arm where it is 1. Says why.
const BY_FEATURE: &str = "
    (f64.store (i32.const 256) (f64.div
      (f64.add (f64.load (i32.load offset=80 (local.get 0))) (f64.const 1)) (f64.const 2)))
    (f64.store (i32.const 264) (f64.sub (f64.const 1) (f64.load (i32.const 256))))
    (i32.const 128)";

/// A router whose `choose` does this; its parameter points to what it is given: the features are at 80, the arms at 88.
/// The static data: at 64 what `describe` points to, at 96 an `ok` of `configure`, at 128 an `ok` of `choose` with two shares
/// at 256 and a reason.
fn router(choose: &str) -> Vec<u8> {
    let pair = |at: u32, length: u32| {
        let bytes = [at.to_le_bytes(), length.to_le_bytes()].concat();
        bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
    };
    let (described, shares, reason) = ([pair(0, 4), pair(8, 5), pair(16, 2)].concat(), pair(256, 2), pair(24, 7));
    let text = format!(
        r#"(module
          (memory (export "memory") 2)
          (global $next (mut i32) (i32.const 1024))
          (data (i32.const 0) "made") (data (i32.const 8) "1.2.3") (data (i32.const 16) "{{}}") (data (i32.const 24) "by task")
          (data (i32.const 64) "{described}")
          (data (i32.const 132) "{shares}") (data (i32.const 140) "\01\00\00\00{reason}")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
          (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
          (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 96))
          (func (export "tidegate:plugin/router@0.1.0#choose") (param i32) (result i32)
            (global.set $next (i32.const 1024))
            {choose}))"#
    );
    let mut module = wat::parse_str(text).expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(repository().join("wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some("router-plugin")).expect("the world");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).expect("metadata");
    module
}

/// A gateway with a route of two variants whose policy asks the plugin `spread`.
struct Stand {
    home: Home,
    upstream: Upstream,
    key: String,
}

impl Stand {
    async fn new() -> Self {
        let (home, upstream) = (Home::new(), Upstream::start().await);
        let key = home.key(&["infer", "read"]);
        Self { home, upstream, key }
    }

    /// Packs the plugin, as an author would.
    fn lay(&self, choose: &str) {
        std::fs::write(self.home.path().join("core.wasm"), router(choose)).expect("it can be written");
        let ran = self.home.run(&["plugin", "pack", "core.wasm", "-o", "spread.wasm"]);
        assert_eq!(ran.code(), 0, "{}", ran.err());
    }

    fn configure(&self, component: &str, policy: &str) {
        let text = format!(
            "{}{}models: {{up: {{provider: pool, model: real/Model-1}}}}\nroutes: {{mock: {{variants: {{a: {{model: up}}, b: {{model: up}}}}, policy: {{router: {{{policy}}}}}}}}}\nplugins: {{spread: {{component: \"{component}\"}}}}\n",
            home::BASE,
            provider("pool", &[&self.upstream]),
        );
        self.home.write("config.yaml", &text);
    }

    async fn serve(&self) -> (Gateway, Client) {
        let gateway = self.home.serve().await;
        let client = gateway.client().with_key(&self.key);
        (gateway, client)
    }

    fn explain(&self, id: &str) -> (String, Value) {
        let says = self.home.run(&["explain", id, "--config", "config.yaml"]);
        assert_eq!(says.code(), 0, "{}", says.err());
        let shown = self.home.run(&["explain", id, "--config", "config.yaml", "--json"]);
        (says.out(), serde_json::from_str(&shown.out()).unwrap_or_else(|e| panic!("{e}: {}", shown.err())))
    }
}

const POLICY: &str =
    "plugin: spread, features: [{header: {name: x-task, values: [code]}}], shares: {a: 20%, b: 80%}, explore: 0%";

/// The record of a call with this task.
async fn called(gateway: &Gateway, client: &Client, task: &str) -> Value {
    let body = chat("mock").to_string();
    let answer = client.send("POST", "/v1/chat/completions", &[("x-task", task)], body.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    event(&gateway.admin(), &answer.request_id()).await
}

#[tokio::test]
async fn an_arm_is_drawn_from_what_the_plugin_says() {
    let stand = Stand::new().await;
    stand.lay(BY_FEATURE);
    stand.configure("spread.wasm", POLICY);
    let (gateway, client) = stand.serve().await;
    for _ in 0..8 {
        let event = called(&gateway, &client, "code").await;
        let decision = &event["decision"];
        assert_eq!((&decision["shares"], &event["variant"]), (&json!([1.0, 0.0]), &json!("a")), "{event}");
        assert_eq!(decision["regarded"]["features"], json!([1.0]), "{event}");
        let advised = &decision["advised"];
        assert_eq!((&advised["plugin"], &advised["reason"]), (&json!("spread"), &json!("by task")), "{event}");
        assert!(advised["us"].is_u64() && advised.get("failed").is_none(), "{event}");
    }
    let event = called(&gateway, &client, "talk").await;
    let decision = &event["decision"];
    assert_eq!(decision["shares"], json!([0.5, 0.5]), "{event}");
    let draw = decision["draw"].as_f64().expect("a draw");
    assert_eq!(decision["arm"], json!(usize::from(draw >= 0.5)), "{event}");
    let (says, shown) = stand.explain(event["id"].as_str().expect("an id"));
    assert!(says.contains("because the plugin `spread` said so (by task)"), "{says}");
    assert_eq!(shown["agrees"], json!(true), "{shown:#}");
    let used = gateway.admin().get("/admin/v1/plugins/spread").await.json();
    assert_eq!((&used["world"], &used["used_by"]["routers"]), (&json!("router-plugin"), &json!(["mock"])), "{used}");
    assert_eq!(used["calls"], json!(9), "{used}");
    let ran = stand.home.run(&["replay", "--config", "config.yaml", "--verify"]);
    assert!(ran.code() == 0 && ran.out().contains("are the same when they are drawn again"), "{}", ran.out());
    // What it would have said elsewhere is in no log.
    let replay = ["replay", "--config", "config.yaml", "--route", "mock", "--reward", "error"];
    let ran = stand.home.run(&replay);
    assert!(ran.code() != 0 && ran.err().contains("asks the plugin `spread`"), "{}{}", ran.out(), ran.err());
}

#[tokio::test]
async fn where_the_plugin_fails_the_configuration_decides_and_the_record_says_so() {
    let stand = Stand::new().await;
    for (choose, kind) in [
        ("(unreachable)", "trap"),
        ("(loop $on (br $on)) (i32.const 128)", "deadline"),
        // Nothing was written to its shares: 0 and 0.
        ("(i32.const 128)", "bad_output"),
        (
            "(f64.store (i32.const 256) (f64.const nan)) (f64.store (i32.const 264) (f64.const 1)) (i32.const 128)",
            "bad_output",
        ),
        (
            "(f64.store (i32.const 256) (f64.const 1)) (i32.store (i32.const 136) (i32.const 1)) (i32.const 128)",
            "bad_output",
        ),
    ] {
        stand.lay(choose);
        stand.configure("spread.wasm", POLICY);
        let (gateway, client) = stand.serve().await;
        let event = called(&gateway, &client, "code").await;
        let decision = &event["decision"];
        assert_eq!(decision["shares"], json!([0.2, 0.8]), "{choose}: {event}");
        assert_eq!(decision["advised"]["failed"], json!(kind), "{choose}: {event}");
        let (says, _) = stand.explain(event["id"].as_str().expect("an id"));
        assert!(says.contains(&format!("`spread` failed ({kind})")), "{says}");
        gateway.kill();
    }
}

#[tokio::test]
async fn what_is_no_router_is_refused_by_name() {
    let stand = Stand::new().await;
    let check = || {
        let ran = stand.home.run(&["check", "config.yaml"]);
        assert_eq!(ran.code(), 2, "{}", ran.out());
        format!("{}{}", ran.out(), ran.err())
    };
    let pii = repository().join("plugins/dist/pii.wasm");
    stand.configure(&pii.display().to_string(), POLICY);
    let says = check();
    assert!(says.contains("the policy of route `mock` asks it") && says.contains("not that of routers"), "{says}");
    stand.configure(&pii.display().to_string(), "plugin: sprad");
    let says = check();
    assert!(says.contains("there is no plugin `sprad`") && says.contains("did you mean `spread`?"), "{says}");
    stand.configure(&pii.display().to_string(), "plugin: spread, shares: {a: 50%, b: 40%}");
    let says = check();
    assert!(says.contains("add up to 90%"), "{says}");
    // And a router looks at no texts.
    stand.lay(BY_FEATURE);
    let models = ROUTES.lines().next().unwrap_or_default();
    stand.home.write("config.yaml", &format!(
        "{}{}{models}\nroutes: {{mock: {{model: up, filters: [{{plugin: spread, at: [request]}}]}}}}\nplugins: {{spread: {{component: spread.wasm}}}}\n",
        home::BASE,
        provider("pool", &[&stand.upstream]),
    ));
    assert!(check().contains("not one of filters"));
}

#[test]
fn a_router_is_run_by_hand() {
    let home = Home::new();
    std::fs::write(home.path().join("core.wasm"), router(BY_FEATURE)).expect("it can be written");
    let run = |arguments: &[&str]| {
        let mut command = home.command(PROGRAM);
        command.arg("plugin").args(arguments);
        Ran::of(command.output().expect("the program runs"))
    };
    assert_eq!(run(&["pack", "core.wasm", "-o", "spread.wasm"]).code(), 0);
    home.write(
        "arms.json",
        &json!({"features": [0.5], "arms": [{"name": "a"}, {"name": "b", "ready": false}]}).to_string(),
    );
    let ran = run(&["run", "spread.wasm", "--input", "arms.json", "--json"]);
    let said: Value = serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}", ran.err()));
    assert_eq!(said["opinion"], json!({"shares": [0.75, 0.25], "reason": "by task"}));
    home.write("arms.json", "{\"messages\": []}");
    assert_eq!(run(&["run", "spread.wasm", "--input", "arms.json"]).code(), 2);
}
