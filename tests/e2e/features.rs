//! Features that are looked up before a classic model is asked: in a Redis that Feast filled (byte for byte, `tests/golden/feast`), at
//! servers of Feast and Tecton, and in a Parquet file; what lacks, what is too old, and what is pushed.

use crate::classic::{ROW, Served, output};
use crate::harness::client::Answer;
use crate::harness::events::{Counts, event};
use crate::harness::home::repository;
use crate::harness::redis::Redis;
use crate::harness::server::{Asked, Server};
use crate::harness::{Client, Home, eventually, home};
use serde_json::{Value, json};

/// What XGBoost says of [`ROW`]: its amount comes with the call, its hour and rate are those of customer 1001.
const FRAUD: f64 = 0.001_247_193_2;
/// When Feast wrote what it knows of him.
const SINCE: u64 = 1_769_860_800_000;

const COLUMNS: &str = "columns: {hour: {datatype: FP64, default: 1.805}, rate: {datatype: FP32, default: -0.7855}, \
                       visits: {datatype: INT64, default: 0, feature: count}, city: {datatype: BYTES, default: nowhere}}";
const KEYS: &str = "keys: {customer_id: int64}";
const ROUTE: &str = "features: {views: [customer], inputs: [amount, hour, rate], join: x}";

/// The file that keeps what Feast wrote.
fn golden() -> Value {
    let text = std::fs::read_to_string(repository().join("tests/golden/feast/golden.json")).expect("it can be read");
    serde_json::from_str(&text).expect("it is JSON")
}

fn bytes(hex: &Value) -> Vec<u8> {
    let text = hex.as_str().expect("a text");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// A Redis as Feast left it.
async fn redis() -> Redis {
    let redis = Redis::start().await;
    for row in golden()["store"].as_array().expect("rows") {
        let key = bytes(&row["key"]);
        for field in row["fields"].as_array().expect("fields") {
            redis.ask(&[b"HSET", &key, &bytes(&field[0]), &bytes(&field[1])]).await;
        }
    }
    redis
}

fn redis_view(redis: &Redis, more: &str) -> String {
    let store = format!("store: {{redis: {{url: \"{}\", project: shop, view: customer_stats}}}}", redis.url());
    // A machine that is busy shall serve no defaults.
    let patient = if more.contains("deadline") { "" } else { ", deadline: 20s" };
    format!("features: {{customer: {{{KEYS}, {COLUMNS}, {store}{patient}{more}}}}}\n")
}

/// A gateway whose route `scored` looks its features up.
async fn served(features: &str, route: &str) -> Served {
    let home = Home::new();
    configure(&home, features, route);
    let key = home.key(&["infer", "read", "feedback"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    Served { home, gateway, client }
}

/// The same, and one who may push.
async fn pushed_to(features: &str) -> (Served, Client) {
    let home = Home::new();
    configure(&home, features, ROUTE);
    let (key, writer) = (home.key(&["infer"]), home.key(&["write"]));
    let gateway = home.serve().await;
    let (client, writer) = (gateway.client().with_key(&key), gateway.client().with_key(&writer));
    (Served { home, gateway, client }, writer)
}

fn configure(home: &Home, features: &str, route: &str) {
    let model = crate::classic::model_of("fraud", "configs/models/fraud.json", "input: x");
    let text = format!(
        "{}providers: {{here: {{local: {{}}}}}}\nmodels: {{{model}}}\n\
         routes: {{fraud: {{model: fraud}}, scored: {{model: fraud, {route}}}}}\n{features}",
        home::BASE
    );
    home.write("config.yaml", &text);
}

/// A call of these customers, each with the amount of [`ROW`].
fn of(customers: &[i64]) -> Value {
    let rows = customers.len();
    json!({"inputs": [
        {"name": "amount", "shape": [rows, 1], "datatype": "FP32", "data": vec![ROW[0]; rows]},
        {"name": "customer_id", "shape": [rows, 1], "datatype": "INT64", "data": customers},
    ]})
}

fn scores(answer: &Answer) -> Vec<f64> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let answer = answer.json();
    let data = output(&answer, "predict")["data"].as_array().expect("a list");
    data.iter().map(|score| score.as_f64().expect("a number")).collect()
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

async fn looked_up(served: &Served, answer: &Answer) -> Value {
    event(&served.gateway.admin(), &answer.request_id()).await["features"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_feast_wrote_into_redis_joins_a_call() {
    let redis = redis().await;
    let served = served(&redis_view(&redis, ""), ROUTE).await;
    let answer = served.infer("scored", &of(&[1001, 1002, 4711])).await;
    let found = scores(&answer);
    // The third is nobody, and the defaults are what the first one has.
    assert!(is_near(found[0], FRAUD) && is_near(found[2], FRAUD) && !is_near(found[1], FRAUD), "{found:?}");
    let same = served.infer("fraud", &crate::classic::x([1, 3], &[ROW[0], 9.5, 0.25])).await;
    assert!(is_near(found[1], scores(&same)[0]), "{found:?}");
    let view = looked_up(&served, &answer).await;
    assert_eq!((&view["view"], &view["rows"]), (&json!("customer"), &json!(3)), "{view}");
    let first = &view["served"][0]["features"];
    assert_eq!((&first["visits"]["value"], &first["city"]["value"]), (&json!(42), &json!("Köln")), "{view}");
    assert_eq!(first["rate"]["at"], json!(SINCE));
    assert!(first["rate"]["age_ms"].as_i64().expect("an age") > 0 && first["rate"].get("lacks").is_none(), "{view}");
    let nobody = &view["served"][2]["features"]["visits"];
    assert_eq!((&nobody["value"], &nobody["lacks"]), (&json!(0), &json!("missing")), "{view}");
    // Feast knows no city of the second.
    assert_eq!(view["served"][1]["features"]["city"]["lacks"], json!("missing"), "{view}");
    let page = Counts::read(&served.gateway.admin()).await;
    assert_eq!(page.series("tidegate_feature_lookups_total{view=\"customer\",result=\"ok\"}"), 1.0);
    assert_eq!(page.series("tidegate_feature_entities_total{view=\"customer\",from=\"store\"}"), 3.0);
    assert_eq!(page.series("tidegate_feature_values_total{view=\"customer\",served=\"missing\"}"), 5.0);
    assert!(view["served"][0].get("key").is_none(), "contents are not kept, and whose it is is one: {view}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_comes_as_a_parameter_or_by_another_protocol_and_its_lack_is_told() {
    let redis = redis().await;
    let served = served(&redis_view(&redis, ""), ROUTE).await;
    let mut body = of(&[1001]);
    body["inputs"].as_array_mut().expect("inputs").pop();
    let without = served.infer("scored", &body).await;
    assert_eq!(without.status(), 400, "{}", without.text());
    assert!(without.json()["error"].as_str().expect("a text").contains("the join key `customer_id` is missing"));
    body["parameters"] = json!({"customer_id": 1001});
    assert!(is_near(scores(&served.infer("scored", &body).await)[0], FRAUD));
    let frame =
        json!({"dataframe_split": {"columns": ["customer_id", "amount"], "data": [[1001, ROW[0]]]}}).to_string();
    let invoked = served.client.send("POST", "/invocations", &[("x-model", "scored")], frame.as_bytes()).await;
    assert!(is_near(invoked.json()["predictions"][0].as_f64().expect("a number"), FRAUD), "{}", invoked.text());
    let mut own = of(&[1001]);
    own["inputs"]
        .as_array_mut()
        .expect("inputs")
        .push(json!({"name": "rate", "shape": [1], "datatype": "FP32", "data": [9]}));
    let own = served.infer("scored", &own).await;
    assert!(own.status() == 400 && own.text().contains("looked up by the gateway"), "{}", own.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_refused_flagged_or_the_default() {
    let redis = redis().await;
    for (on_stale, status, value) in
        [("refuse", 503, Value::Null), ("flag", 200, json!(42)), ("default", 200, json!(0))]
    {
        let served = served(&redis_view(&redis, &format!(", max_age: 1h, on_stale: {on_stale}")), ROUTE).await;
        let answer = served.infer("scored", &of(&[1001])).await;
        assert_eq!(answer.status(), status, "{on_stale}: {}", answer.text());
        let view = looked_up(&served, &answer).await;
        let visits = &view["served"][0]["features"]["visits"];
        assert_eq!(visits["stale"], json!(true), "{on_stale}: {view}");
        assert_eq!(visits.get("value").cloned().unwrap_or_default(), value, "{on_stale}: {view}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_costs_the_deadline_and_no_call() {
    let redis = redis().await;
    let served = served(&redis_view(&redis, ", deadline: 100ms"), ROUTE).await;
    let visits = async || {
        let answer = served.infer("scored", &of(&[1001])).await;
        assert!(is_near(scores(&answer)[0], FRAUD));
        looked_up(&served, &answer).await
    };
    let is_found = |view: &Value| view["served"][0]["features"]["visits"]["value"] == json!(42);
    eventually("the features to be found", async || Some(visits().await).filter(is_found)).await;
    redis.freeze();
    let view = visits().await;
    assert_eq!(view["failed"], json!("late"), "{view}");
    assert_eq!(view["served"][0]["features"]["visits"]["lacks"], json!("failed"), "{view}");
    redis.thaw();
    eventually("the features to be found again", async || Some(visits().await).filter(is_found)).await;
}

fn push(customers: &[i64], more: &Value) -> Value {
    let mut df = json!({"customer_id": customers});
    for (name, value) in more.as_object().expect("columns") {
        df[name] = value.clone();
    }
    json!({"push_source_name": "customers", "df": df, "to": "online"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushed_values_are_served_at_once_and_stand_there_as_feast_writes_them() {
    let redis = redis().await;
    let more = ", push: {source: customers}, cache: {ttl: 1h}";
    let (served, writer) = pushed_to(&redis_view(&redis, more)).await;
    let visits = async || {
        let answer = served.infer("scored", &of(&[1001])).await;
        looked_up(&served, &answer).await["served"][0]["features"]["visits"]["value"].clone()
    };
    let push = async |client: &Client, body: &Value| client.post("/push", body).await;
    assert_eq!(visits().await, json!(42));
    let fresh = push_of(&[43], "2026-01-31T12:00:01Z");
    assert_eq!(push(&served.client, &fresh).await.status(), 403, "it takes the role `write`");
    let answer = push(&writer, &fresh).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.json()["views"]["customer"], json!({"rows": 1, "newer": 1}));
    assert_eq!(visits().await, json!(43), "what is remembered was forgotten");
    // What is as old or older changes nothing.
    for at in ["2026-01-31T12:00:01Z", "2026-01-31 11:00:00"] {
        assert_eq!(push(&writer, &push_of(&[44], at)).await.json()["views"]["customer"]["newer"], json!(0), "{at}");
    }
    assert_eq!(visits().await, json!(43));
    let store = &golden()["store"][0];
    let key = bytes(&store["key"]);
    let count = redis.ask(&[b"HGET", &key, &bytes(&json!("22dbf2ba"))]).await;
    assert_eq!(count, b"$2\r\n\x20\x2b\r\n", "int64_val 43 of Feast's Value");
    let rate = redis.ask(&[b"HGET", &key, &bytes(&json!("a1aa465b"))]).await;
    assert!(rate.ends_with(&[&bytes(&json!("35871649bf"))[..], b"\r\n"].concat()), "what is not told of stays");
    // Many of one customer in one push, the newest first and last: the newest stays.
    for (day, order) in [(1, Vec::from_iter(0..20)), (2, (0..20).rev().collect())] {
        let at: Vec<String> = order.iter().map(|second| format!("2026-02-0{day}T12:00:{second:02}Z")).collect();
        let visits_of: Vec<i64> = order.iter().map(|second| day * 100 + second).collect();
        let many = push(&writer, &self::push(&[1001; 20], &json!({"count": visits_of, "event_timestamp": at}))).await;
        assert_eq!(many.json()["views"]["customer"], json!({"rows": 20, "newer": 20}));
        assert_eq!(visits().await, json!(day * 100 + 19));
    }
}

/// A push of visits to customer 1001.
fn push_of(visits: &[i64], at: &str) -> Value {
    push(&[1001], &json!({"count": visits, "event_timestamp": [at]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_that_are_wrong_are_refused_whole_and_by_name() {
    let redis = redis().await;
    let (_served, writer) = pushed_to(&redis_view(&redis, ", push: {source: customers}")).await;
    let at = json!(["2026-02-01T00:00:00Z"]);
    let cases = [
        (json!({}), "push_source_name is missing"),
        (json!({"push_source_name": "customers"}), "df must be an object of lists"),
        (json!({"push_source_name": "nobody", "df": {"customer_id": [1]}}), "no features hear of this push source"),
        (push(&[1001], &json!({"count": [1]})), "df.event_timestamp is missing"),
        (
            push(&[1001], &json!({"count": ["x".repeat(65_537)], "event_timestamp": at})),
            "df.count[0] is longer than 65536 bytes",
        ),
        (push(&[1001], &json!({"count": ["many"], "event_timestamp": at})), "df.count[0] is no value of INT64"),
        (push(&[1001], &json!({"count": [1, 2], "event_timestamp": at})), "df.count has 2 values"),
        (push(&[1001], &json!({"county": [1], "event_timestamp": at})), "have a column `county`"),
        (push(&[1001], &json!({"count": [1], "event_timestamp": ["soon"]})), "is no moment"),
        (push(&[1001], &json!({"count": [1], "event_timestamp": ["2999-01-01T00:00:00Z"]})), "is in the future"),
        (push(&[], &json!({"count": [], "event_timestamp": []})), "df has no rows"),
        (
            json!({"push_source_name": "customers", "df": {"customer_id": ["x"], "event_timestamp": at}}),
            "no value of this join key",
        ),
        (json!({"push_source_name": "customers", "df": {"customer_id": [1]}, "to": "offline"}), "no offline store"),
    ];
    for (body, says) in cases {
        let answer = writer.post("/push", &body).await;
        assert!(answer.status() == 400 && answer.text().contains(says), "{body}: {}", answer.text());
    }
    let answer = writer.send("POST", "/push", &[], b"no").await;
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert_eq!(writer.send("GET", "/push", &[], b"").await.status(), 405);
}

/// Answers as `feast serve` does to a question that is right in each member.
fn feast(asked: &Asked) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let is_json = asked.header("content-type") == Some("application/json");
    let names = ["customer_stats:hour", "customer_stats:rate", "customer_stats:count", "customer_stats:city"];
    let is_right = asked.path == "/base/get-online-features"
        && asked.method == "POST"
        && is_json
        && asked.header("authorization") == Some("Bearer upstream-key-of-the-tests")
        && body["features"] == json!(names)
        && body["full_feature_names"] == json!(true)
        && body.as_object().is_some_and(|members| members.len() == 3);
    let Some(ids) = body["entities"]["customer_id"].as_array().filter(|_| is_right) else {
        return (422, Vec::new(), br#"{"detail":[]}"#.to_vec());
    };
    let column = |known: &Value| {
        let is = |id: &Value| *id == json!(1001);
        let pick = |yes: &Value, no: Value| -> Vec<Value> {
            ids.iter().map(|id| if is(id) { yes.clone() } else { no.clone() }).collect()
        };
        json!({
            "values": pick(known, Value::Null),
            "statuses": pick(&json!("PRESENT"), json!("NOT_FOUND")),
            "event_timestamps": pick(&json!("2026-01-31T12:00:00Z"), json!("1970-01-01T00:00:00Z")),
        })
    };
    // Its own order is not that of the question.
    let results = [
        json!({"values": ids, "statuses": [], "event_timestamps": []}),
        column(&json!(42)),
        column(&json!(-0.7855)),
        column(&json!(1.805)),
        column(&json!("Köln")),
    ];
    let names = [
        "customer_id",
        "customer_stats__count",
        "customer_stats__rate",
        "customer_stats__hour",
        "customer_stats__city",
    ];
    let body = json!({"metadata": {"feature_names": names}, "results": results}).to_string();
    (200, vec![("content-type".to_owned(), "application/json".to_owned())], body.into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feature_server_of_feast_is_asked_once_a_call() {
    let server = Server::start(feast);
    let store = format!(
        "store: {{feast: {{view: customer_stats, server: {{endpoints: [{{url: \"{}\"}}], auth: {{bearer: \"${{env:UPSTREAM_KEY}}\"}}}}}}}}",
        server.url("/base")
    );
    let served =
        served(&format!("features: {{customer: {{{KEYS}, {COLUMNS}, {store}, deadline: 20s}}}}\n"), ROUTE).await;
    let answer = served.infer("scored", &of(&[1001, 7, 1001])).await;
    assert!(scores(&answer).iter().all(|score| is_near(*score, FRAUD)));
    let view = looked_up(&served, &answer).await;
    let rows = &view["served"];
    assert_eq!(rows[0]["features"]["rate"]["at"], json!(SINCE), "{view}");
    assert_eq!(rows[2]["features"]["city"]["value"], json!("Köln"), "{view}");
    assert_eq!(rows[1]["features"]["rate"]["lacks"], json!("missing"), "{view}");
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let body: Value = serde_json::from_slice(&asked[0].body).expect("JSON");
    assert_eq!(body["entities"], json!({"customer_id": [1001, 7]}), "each entity once");
}

/// Answers as Tecton's documentation has it.
fn tecton(asked: &Asked) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let params = &body["params"];
    let is_right = asked.header("authorization") == Some("Tecton-key upstream-key-of-the-tests")
        && params["workspaceName"] == json!("prod")
        && params["featureServiceName"] == json!("fraud");
    let of = |keys: &Value| {
        let is = keys["joinKeyMap"] == json!({"customer_id": "1001"});
        if is {
            json!({"features": ["42", 1.805, -0.7855, "Köln"]})
        } else {
            json!({"features": [null, null, null, null]})
        }
    };
    let result = match (asked.path.as_str(), is_right) {
        ("/api/v1/feature-service/get-features", true) => of(params),
        ("/api/v1/feature-service/get-features-batch", true) => {
            params["requestData"].as_array().map(|rows| rows.iter().map(of).collect()).unwrap_or_default()
        }
        _ => return (401, Vec::new(), br#"{"error":"invalid 'Tecton-key' authorization header","code":16}"#.to_vec()),
    };
    let names = ["customer.count", "customer.hour", "customer.rate", "customer.city"];
    let metas: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "effectiveTime": "2026-01-31T12:00:00Z"})).collect();
    (200, Vec::new(), json!({"result": result, "metadata": {"features": metas}}).to_string().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tecton_is_asked_for_one_entity_and_for_several() {
    let server = Server::start(tecton);
    let store = format!(
        "store: {{tecton: {{workspace: prod, service: fraud, server: {{endpoints: [{{url: \"{}\"}}], auth: {{header: {{authorization: \"Tecton-key ${{env:UPSTREAM_KEY}}\"}}}}}}}}}}",
        server.url("")
    );
    let served =
        served(&format!("features: {{customer: {{{KEYS}, {COLUMNS}, {store}, deadline: 20s}}}}\n"), ROUTE).await;
    for (customers, path) in [(vec![1001], "get-features"), (vec![7, 1001, 8], "get-features-batch")] {
        let answer = served.infer("scored", &of(&customers)).await;
        assert!(scores(&answer).iter().all(|score| is_near(*score, FRAUD)));
        let view = looked_up(&served, &answer).await;
        let rows = view["served"].as_array().expect("rows");
        let visits: Vec<&Value> = rows.iter().map(|row| &row["features"]["visits"]["value"]).collect();
        let wanted: Vec<Value> = customers.iter().map(|id| json!(if *id == 1001 { 42 } else { 0 })).collect();
        assert_eq!(visits, wanted.iter().collect::<Vec<_>>(), "{view}");
        assert!(server.asked().last().expect("a question").path.ends_with(path), "{path}");
    }
}

/// A Parquet file of two rows of customer 1001, of which the first is newer.
fn parquet(home: &std::path::Path) {
    let rows = "{\"customer_id\": 1001, \"hour\": 1.805, \"rate\": -0.7855, \"count\": 42, \"city\": \"Köln\", \"at\": \"2026-01-31T12:00:00\"}\n\
                {\"customer_id\": 1001, \"hour\": 9.5, \"rate\": 0.25, \"count\": 41, \"city\": null, \"at\": \"2026-01-30T12:00:00\"}\n";
    std::fs::write(home.join("rows.jsonl"), rows).expect("it can be written");
    let to = home.join("customers.parquet");
    let form = tidegate_storage::dataset::TableForm::Parquet;
    tidegate_storage::dataset::write_table(&home.join("rows.jsonl"), 0, form, &to).expect("it can be written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parquet_file_is_served_from_memory_and_takes_pushes() {
    let home = Home::new();
    parquet(home.path());
    let store = "store: {parquet: {file: customers.parquet, timestamp: at}}";
    configure(
        &home,
        &format!("features: {{customer: {{{KEYS}, {COLUMNS}, {store}, push: {{source: customers}}}}}}\n"),
        ROUTE,
    );
    let key = home.key(&["infer", "write"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let served = Served { home, gateway, client };
    let visits = async || {
        let answer = served.infer("scored", &of(&[1001])).await;
        assert!(is_near(scores(&answer)[0], FRAUD));
        looked_up(&served, &answer).await["served"][0]["features"]["visits"].clone()
    };
    let first = visits().await;
    assert_eq!((&first["value"], &first["at"]), (&json!(42), &json!(SINCE)));
    let pushed = served.client.post("/push", &push_of(&[43], "2026-01-31T12:00:01Z")).await;
    assert_eq!(pushed.json()["views"]["customer"]["newer"], json!(1), "{}", pushed.text());
    assert_eq!(visits().await["value"], json!(43));
}

#[test]
fn check_names_what_cannot_be() {
    let home = Home::new();
    let store = "store: {parquet: {file: none.parquet}}";
    let column = "columns: {rate: {datatype: FP32, default: high}}";
    let features = format!("features: {{customer: {{{KEYS}, {column}, {store}, on_stale: flag}}}}\n");
    configure(&home, &features, "features: {views: [customers]}");
    home.key(&["infer"]);
    let ran = home.run(&["check", "config.yaml"]);
    let said = ran.out() + &ran.err();
    assert_eq!(ran.code(), 2, "{said}");
    for says in [
        "there are no features `customers`",
        "did you mean `customer`",
        "`on_stale` can never apply",
        "the default is no value of FP32",
        "none.parquet cannot be read",
    ] {
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_are_exported_beside_what_their_calls_were_served() {
    let redis = redis().await;
    let served = served(&redis_view(&redis, ""), ROUTE).await;
    let mut ids = Vec::new();
    for customer in [1001, 1002, 4711] {
        let answer = served.infer("scored", &of(&[customer])).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        ids.push(answer.request_id());
        looked_up(&served, &answer).await;
    }
    for (id, class) in [(&ids[0], "fraud"), (&ids[1], "fine")] {
        let label = json!({"inference_id": id, "name": "outcome", "label": class});
        let answer = served.client.post("/v1/feedback", &label).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let export = |out: &str| {
        let ran = served.home.run(&[
            "events",
            "export",
            "--with-features",
            "--as-of",
            "label",
            "--config",
            "config.yaml",
            "--out",
            out,
        ]);
        assert_eq!(ran.code(), 0, "{}", ran.err());
        assert_eq!(ran.out().trim(), format!("2 rows are in {out}"));
    };
    export("training.jsonl");
    let lines = served.home.read("training.jsonl");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&rows[0]["id"], &rows[0]["label_outcome"]), (&json!(ids[0]), &json!("fraud")));
    assert_eq!((&rows[0]["customer__visits"], &rows[0]["customer__visits__at"]), (&json!(42), &json!(SINCE)));
    assert_eq!((&rows[1]["label_outcome"], &rows[1]["customer__city__lacks"]), (&json!("fine"), &json!("missing")));
    export("training.parquet");
    let table = tidegate_storage::dataset::open(&served.home.path().join("training.parquet"), &[]).expect("a table");
    assert!(
        ["label_outcome", "customer__rate", "customer__rate__at"]
            .iter()
            .all(|name| table.columns().iter().any(|column| column == name))
    );
    let left: Vec<_> = std::fs::read_dir(served.home.path()).expect("a folder").flatten().collect();
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".part")), "{left:?}");
    let ran = served.home.run(&["events", "export", "--with-features", "--config", "config.yaml", "--out", "t.xlsx"]);
    assert!(ran.code() == 2 && ran.err().contains("end it in .parquet"), "{}: {}", ran.code(), ran.err());
}

/// The median of some times.
fn median(mut times: Vec<std::time::Duration>) -> std::time::Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, which wants a quiet machine"]
async fn a_look_up_in_a_local_redis_adds_less_than_half_a_millisecond() {
    let redis = redis().await;
    let served = served(&redis_view(&redis, ""), ROUTE).await;
    let with = of(&[1001]);
    let without = crate::classic::x([1, 3], &ROW);
    let timed = async |route: &str, body: &Value| {
        let began = std::time::Instant::now();
        assert_eq!(served.infer(route, body).await.status(), 200);
        began.elapsed()
    };
    let (mut looked_up, mut plain) = (Vec::new(), Vec::new());
    // By turns, so that what the machine does beside falls on both.
    for round in 0..3_500 {
        let (one, other) = (timed("scored", &with).await, timed("fraud", &without).await);
        if round >= 500 {
            looked_up.push(one);
            plain.push(other);
        }
    }
    let (looked_up, plain) = (median(looked_up), median(plain));
    println!("p50 with a look-up {looked_up:?}, without {plain:?}, adds {:?}", looked_up.saturating_sub(plain));
    assert!(looked_up < plain + std::time::Duration::from_micros(500), "{looked_up:?} and {plain:?}");
}
