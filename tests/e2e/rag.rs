//! Answers that are made of passages, from outside: the rag-eval plugin as it ships watches a route over a small corpus and asks
//! models of the gateway for its verdicts. Answers that are made up and passages in a wrong order raise an alarm on what is
//! wrong with each and on nothing else, and the registry has the evaluation. The judge here is a program that reads what it
//! is asked; with the real embedding model it is that.

use crate::harness::events::Counts;
use crate::harness::home::{models, repository};
use crate::harness::upstream::{Act, Seen};
use crate::harness::{Gateway, Home, Upstream, eventually, may_be_left_out, upstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Passages and questions about a harbour that does not exist, so that no model knows the answers.
static CORPUS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../corpus/harbour.json")).expect("the corpus is JSON"));

/// A window, each question once.
const WINDOW: usize = 10;

fn questions() -> &'static Vec<Value> {
    CORPUS["questions"].as_array().expect("questions")
}

fn text(of: &'static Value, name: &str) -> &'static str {
    of[name].as_str().unwrap_or_else(|| panic!("no {name} in {of}"))
}

fn passage(id: &str) -> &'static Value {
    let all = CORPUS["passages"].as_array().expect("passages");
    all.iter().find(|passage| passage["id"] == id).unwrap_or_else(|| panic!("no passage {id}"))
}

/// A call with the passages that a retriever found: the one that is asked for and two others, in this order or turned round.
fn call(at: usize, is_shuffled: bool) -> Value {
    let all = CORPUS["passages"].as_array().expect("passages");
    let asked = &questions()[at];
    let right = passage(asked["relevant"][0].as_str().expect("an id"));
    let others = [3, 6].map(|off| &all[(at + off) % all.len()]);
    let mut found = vec![right, others[0], others[1]];
    if is_shuffled {
        found.reverse();
    }
    let found: Vec<Value> = (0..).zip(found).map(|(rank, passage)| {
        json!({"id": passage["id"], "text": passage["text"], "score": 1.0 - 0.1 * f64::from(rank)})
    }).collect();
    json!({
        "model": "support",
        "messages": [{"role": "user", "content": asked["question"]}],
        "metadata": {"passages": found, "relevant": asked["relevant"], "reference": asked["well"]},
    })
}

/// What was asked in a call.
fn asked_in(seen: &Seen) -> &'static Value {
    let body = seen.json();
    questions().iter().find(|one| one["question"] == body["messages"][0]["content"]).expect("a question of the corpus")
}

fn well(seen: &Seen) -> Act {
    upstream::completion(text(asked_in(seen), "well"), 30, 10)
}

fn badly(seen: &Seen) -> Act {
    upstream::completion(text(asked_in(seen), "badly"), 30, 10)
}

/// The words of a text that say something.
fn words(text: &str) -> BTreeSet<String> {
    let all = text.split(|letter: char| !letter.is_alphanumeric());
    all.filter(|word| word.len() > 2).map(str::to_lowercase).collect()
}

/// What stands between tags of this name.
fn between<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0)).collect()
}

/// A judge that does what it is asked, by the words of texts and by what the corpus knows.
fn judge(seen: &Seen) -> Act {
    let body = seen.json();
    if seen.path.ends_with("/embeddings") {
        return embedded(&body);
    }
    assert_eq!(body["response_format"]["type"], "json_schema", "{body}");
    let asked = body["messages"][1]["content"].as_str().expect("a question to the judge").to_owned();
    let passages = between(&asked, "passage");
    let known = words(&passages.concat());
    let is_supported = |said: &str| {
        let said = words(said);
        said.intersection(&known).count() * 10 >= said.len() * 7
    };
    let answer = between(&asked, "answer").first().copied().unwrap_or_default();
    let verdict = if asked.contains("\"useful\"") {
        let question = between(&asked, "question")[0];
        let of = questions().iter().find(|one| one["question"] == question).expect("a question of the corpus");
        let right = text(passage(of["relevant"][0].as_str().expect("an id")), "text");
        json!({"useful": passages.iter().map(|passage| *passage == right).collect::<Vec<bool>>()})
    } else if asked.contains("\"questions\"") {
        let of = questions().iter().find(|one| one["well"] == answer);
        let question = of.map_or("Who painted this picture?", |one| text(one, "question"));
        json!({"questions": [{"question": question, "noncommittal": false}]})
    } else {
        let said = between(&asked, "reference").first().copied().unwrap_or(answer);
        json!({"statements": [{"statement": said, "supported": is_supported(said)}]})
    };
    upstream::completion(&verdict.to_string(), 200, 20)
}

/// Texts as the words in them, each in one of 256 places.
fn embedded(body: &Value) -> Act {
    let vector = |text: &Value| {
        let mut places = vec![0.0; 256];
        for word in words(text.as_str().unwrap_or_default()) {
            let place = word.bytes().fold(5381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte)) % 256;
            places[usize::try_from(place).expect("small")] += 1.0;
        }
        places
    };
    let all = body["input"].as_array().expect("texts").iter().enumerate();
    let data: Vec<Value> = all.map(|(index, text)| json!({"index": index, "embedding": vector(text)})).collect();
    let body = json!({"object": "list", "data": data, "usage": {"prompt_tokens": 50, "total_tokens": 50}});
    Act::Answer(200, vec![], body.to_string().into())
}

/// A gateway whose route `support` is watched.
struct Watched {
    _home: Home,
    gateway: Gateway,
    key: String,
    answers: Upstream,
    judges: Upstream,
}

const MODELS: &str = "{support: {provider: pa}, judge: {provider: pj}, embedder: {provider: pj}}";
const GRANTED: &str = "capabilities: {models: [judge, embedder]}";
const SETTINGS: &str = "\
judge: {model: judge, embedding_model: embedder, questions: 1}, \
measures: [ndcg@3, faithfulness, answer_relevancy, llm_context_precision, llm_context_recall, groundedness, hallucination], \
thresholds: {ndcg@3: {least: 0.8}, faithfulness: {least: 0.8}, answer_relevancy: {least: 0.7}, \
llm_context_precision: {least: 0.8}, llm_context_recall: {least: 0.8}, groundedness: {least: 0.4}, hallucination: {most: 0.2}}";

impl Watched {
    async fn with(models: &str, plugin: &str, settings: &str) -> Self {
        let (answers, judges) = (Upstream::start().await, Upstream::start().await);
        judges.always(Act::By(judge));
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
             admin: {{address: \"127.0.0.1:0\", token: \"${{env:TIDEGATE_ADMIN_TOKEN}}\"}}\n\
             store: {{events: {{to: \"file:events\"}}, registry: \"sqlite:registry.db\"}}\n\
             keys: {{file: keys.yaml}}\n\
             providers: {{pa: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, pj: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, here: {{local: {{}}}}}}\n\
             models: {models}\n\
             routes: {{support: {{model: support}}}}\n\
             plugins: {{rag: {{component: \"{}\", {plugin}}}}}\n\
             monitors: {{answers: {{plugin: rag, route: support, window: {{size: {WINDOW}, min: 5}}, alarm: {{breaches: 1, of: 1}}, \
             evaluates: \"models:/support@champion\", config: {{{settings}}}, \
             fields: {{q: /messages/0/content, p: /metadata/passages, a: said, r: /metadata/reference, i: /metadata/relevant}}, \
             roles: {{question: q, passages: p, answer: a, reference: r, relevant_ids: i}}}}}}\n",
            answers.url(),
            judges.url(),
            repository().join("plugins/dist/rag-eval.wasm").display(),
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read", "write"]);
        let gateway = home.serve().await;
        Self { _home: home, gateway, key, answers, judges }
    }

    /// A window of calls that are answered so.
    async fn window(&self, answers: fn(&Seen) -> Act, is_shuffled: bool) {
        self.answers.always(Act::By(answers));
        let client = self.gateway.client().with_key(&self.key);
        for at in 0..WINDOW {
            let answer = client.chat(&call(at, is_shuffled)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }

    /// The newest window, when there are so many.
    async fn judged(&self, windows: usize) -> Value {
        let admin = self.gateway.admin();
        let page = eventually("a window that is judged", async || {
            let page = admin.get("/admin/v1/monitors/answers").await.json();
            Some(page).filter(|page| page["counts"]["windows"].as_u64() >= Some(windows as u64))
        })
        .await;
        let all = page["watched"][0]["windows"].as_array().expect("windows");
        let newest = all.iter().max_by_key(|window| window["end_ms"].as_u64()).expect("a window").clone();
        assert_eq!(page["counts"]["rows"], windows * WINDOW, "calls of the plugin are not watched");
        json!({"state": page["state"], "window": newest})
    }
}

fn number(judged: &Value, name: &str) -> f64 {
    let all = judged["window"]["measurements"].as_array().expect("measurements");
    let found = all.iter().find(|one| one["name"] == name).and_then(|one| one["value"].as_f64());
    found.unwrap_or_else(|| panic!("no {name} in {judged:#}"))
}

fn breached(judged: &Value) -> Vec<&str> {
    let all = judged["window"]["measurements"].as_array().expect("measurements");
    all.iter().filter(|one| one["breached"] == true).filter_map(|one| one["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_answers_raises_an_alarm_and_nothing_else_does() {
    let watched = Watched::with(MODELS, GRANTED, SETTINGS).await;
    let client = watched.gateway.client().with_key(&watched.key);
    for (call, body) in [
        ("registered-models/create", json!({"name": "support"})),
        ("model-versions/create", json!({"name": "support", "source": "mlflow-artifacts:/support/1"})),
        ("registered-models/alias", json!({"name": "support", "alias": "champion", "version": "1"})),
    ] {
        let made = client.post(&format!("/api/2.0/mlflow/{call}"), &body).await;
        assert_eq!(made.status(), 200, "{call}: {}", made.text());
    }

    watched.window(well, false).await;
    let good = watched.judged(1).await;
    assert_eq!((&good["state"], breached(&good)), (&json!("well"), vec![]), "{good:#}");
    assert!(number(&good, "faithfulness") > 0.99 && number(&good, "answer_relevancy") > 0.99, "{good:#}");

    watched.window(badly, false).await;
    let made_up = watched.judged(2).await;
    let of_answers = ["answer_relevancy", "faithfulness", "groundedness", "hallucination"];
    assert_eq!((&made_up["state"], breached(&made_up)), (&json!("alarm"), of_answers.to_vec()), "{made_up:#}");

    watched.window(well, true).await;
    let shuffled = watched.judged(3).await;
    let of_passages = ["llm_context_precision", "ndcg@3"];
    assert_eq!((&shuffled["state"], breached(&shuffled)), (&json!("alarm"), of_passages.to_vec()), "{shuffled:#}");

    watched.window(well, false).await;
    assert_eq!(watched.judged(4).await["state"], "well", "what is over is over");
    // The version that the monitor names has it: that it was well, and that it was not.
    eventually("the evaluations of the version", async || {
        let answer = watched.gateway.admin().get("/admin/v1/models/support/versions/1/evaluations").await.json();
        let mut verdicts = answer.to_string();
        verdicts.retain(|letter| letter != ' ');
        (verdicts.contains("\"answers\"") && verdicts.contains("false") && verdicts.contains("true")).then_some(())
    })
    .await;
    // What was asked is counted, and is no call of the gateway's callers.
    let scraped = Counts::read(&watched.gateway.admin()).await;
    assert!(
        scraped.series("tidegate_plugin_model_calls_total{plugin=\"rag\",outcome=\"answered\"}") >= 4.0 * 10.0 * 5.0
    );
    assert!(scraped.series("tidegate_plugin_model_tokens_total{plugin=\"rag\"}") > 10_000.0);
    assert_eq!(watched.answers.count(), 4 * WINDOW);
    let shown = watched.gateway.admin().get("/admin/v1/plugins/rag").await.json();
    assert_eq!(shown["models"]["granted"], json!(["judge", "embedder"]), "{shown:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_denied_and_what_is_used_up_is_not_asked() {
    let watched = Watched::with(MODELS, "capabilities: {models: [judge]}, limits: {tokens: 100/hour}", SETTINGS).await;
    watched.window(well, false).await;
    let judged = watched.judged(1).await;
    let names: Vec<&str> = judged["window"]["measurements"]
        .as_array()
        .expect("measurements")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    // Of the embedder it is told in the log how to grant it; the others have one number, and then the quota is used up.
    assert!(!names.contains(&"groundedness") && names.contains(&"faithfulness"), "{names:?}");
    let log = watched.gateway.log().join("\n");
    assert!(log.contains("the model `embedder` is not granted to this plugin"), "{log}");
    assert_eq!(watched.judges.count(), 1, "the quota is used up by the first call");
    let all = judged["window"]["measurements"].as_array().expect("measurements");
    let of = |name: &str| all.iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    assert_eq!(of("faithfulness")["value"], 1.0, "{judged:#}");
    let why = of("llm_context_precision")["undefined"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("the quota of tokens is used up: the 100 tokens of 3600 s"), "{judged:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_that_hangs_ends_with_the_time_of_its_plugin() {
    let plugin = format!("{GRANTED}, limits: {{deadline: 500ms}}");
    let watched = Watched::with(MODELS, &plugin, SETTINGS).await;
    watched.judges.always(Act::Hang);
    watched.window(well, false).await;
    // What needs no model is known all the same, and the gateway goes on.
    let judged = watched.judged(1).await;
    assert!(number(&judged, "ndcg@3") > 0.99, "{judged:#}");
    let all = judged["window"]["measurements"].as_array().expect("measurements");
    let faithful = all.iter().find(|one| one["name"] == "faithfulness").expect("it was asked for");
    assert_eq!(faithful["undefined"], "of no answer: the model took too long", "{judged:#}");
    assert_eq!(watched.judges.count(), 1);
}

#[tokio::test]
async fn models_are_granted_to_those_who_can_ask_them_and_to_nobody_else() {
    let home = Home::new();
    home.key(&["infer"]);
    let checked = |component: &str, granted: &str, filters: &str| {
        home.write("config.yaml", &format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\nkeys: {{file: keys.yaml}}\n\
             providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1/v1\"}}]}}}}}}\nmodels: {{m: {{provider: p}}}}\n\
             routes: {{r: {{model: m, filters: [{filters}]}}}}\n\
             plugins: {{x: {{component: \"{}\", capabilities: {{models: [{granted}]}}}}}}\n",
            repository().join("plugins/dist").join(component).display()
        ));
        let ran = home.run(&["check", "config.yaml"]);
        (ran.code(), format!("{}{}", ran.out(), ran.err()))
    };
    let (code, said) = checked("pii.wasm", "m", "{plugin: x, at: [request]}");
    assert!(code != 0 && said.contains("wait for no model in this version"), "{said}");
    let (code, said) = checked("drift.wasm", "m", "");
    assert!(code != 0 && said.contains("has no use for them"), "{said}");
    let (code, said) = checked("rag-eval.wasm", "n", "");
    assert!(code != 0 && said.contains("there is no model `n`"), "{said}");
    let (code, said) = checked("rag-eval.wasm", "m", "");
    assert_eq!(code, 0, "{said}");
}

/// Whether the real models are on this machine that these kinds of files are of.
fn has_models(test: &str, kinds: &[&str]) -> bool {
    let folders = models().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let files = folders.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
    let ends: BTreeSet<String> =
        files.filter_map(|file| Some(file.path().extension()?.to_string_lossy().into_owned())).collect();
    let lacks = "real models: set TIDEGATE_TEST_MODELS to a folder that `tidegate pull smollm2` and `minilm` filled";
    kinds.iter().all(|kind| ends.contains(*kind)) || !may_be_left_out(test, lacks)
}

const GROUNDED: &str = "judge: {embedding_model: minilm}, measures: [groundedness, hallucination], ";
const MINILM: &str = "capabilities: {models: [minilm]}, limits: {deadline: 60s}";

/// With the real embedding model, which runs in the gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minilm_tells_answers_that_are_made_up() {
    if !has_models("minilm_tells_answers_that_are_made_up", &["safetensors"]) {
        return;
    }
    let models = "{support: {provider: pa}, minilm: {provider: here, source: minilm}}";
    let settings = format!("{GROUNDED}thresholds: {{groundedness: {{least: 0.5}}, hallucination: {{most: 0.2}}}}");
    let watched = Watched::with(models, MINILM, &settings).await;
    watched.window(well, false).await;
    let good = watched.judged(1).await;
    assert_eq!((&good["state"], breached(&good)), (&json!("well"), vec![]), "{good:#}");
    watched.window(badly, false).await;
    let made_up = watched.judged(2).await;
    assert_eq!(breached(&made_up), ["groundedness", "hallucination"], "{made_up:#}");
    assert!(number(&good, "groundedness") > number(&made_up, "groundedness") + 0.3, "{good:#}\n{made_up:#}");
}

/// With the real language model too: it answers of the passages that it is shown, and a retriever that says it found others
/// is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_model_answers_of_what_was_found_or_of_something_else() {
    if !has_models("the_local_model_answers_of_what_was_found_or_of_something_else", &["safetensors", "gguf"]) {
        return;
    }
    let models = "{support: {provider: here, source: smollm2}, minilm: {provider: here, source: minilm}}";
    let settings = format!("{GROUNDED}thresholds: {{groundedness: {{least: 0.5}}}}");
    let watched = Watched::with(models, MINILM, &settings).await;
    let client = watched.gateway.client().with_key(&watched.key);
    for (windows, off) in [(1, 0), (2, 5)] {
        for at in 0..WINDOW {
            let (mut body, others) = (call(at, false), call((at + off) % WINDOW, false));
            let shown = body["metadata"]["passages"][0]["text"].as_str().expect("a passage").to_owned();
            let asked = body["messages"][0]["content"].as_str().expect("a question").to_owned();
            body["messages"][0]["content"] = format!("{shown}\n\nAnswer in one sentence: {asked}").into();
            body["metadata"]["passages"] = json!([others["metadata"]["passages"][0]]);
            (body["max_tokens"], body["temperature"]) = (json!(24), json!(0));
            let answer = client.chat(&body).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        let judged = watched.judged(windows).await;
        let expected: &[&str] = if off == 0 { &[] } else { &["groundedness"] };
        assert_eq!(breached(&judged), expected, "{judged:#}");
        eprintln!("figure: groundedness {:.2}", number(&judged, "groundedness"));
    }
}
