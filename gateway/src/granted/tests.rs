//! What plugins ask of models that are granted to them: in which form it is sent, what is paid for, and what is refused.

use super::*;
use std::sync::Mutex;
use tidegate_core::clock::SystemClock;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::spec::Rate;
use tidegate_host::Message;

/// Answers as it is told, and remembers what it was sent.
#[derive(Debug, Default)]
struct Fake {
    seen: Mutex<Vec<(Api, Value)>>,
    /// `None`: never.
    answers: Option<Result<&'static str, FaultKind>>,
}

impl Backend for Fake {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        self.seen.lock().unwrap().push((call.api, serde_json::from_slice(&call.body).unwrap()));
        Box::pin(async move {
            match self.answers {
                None => std::future::pending().await,
                Some(Ok(body)) => Ok(Answer {
                    body: Bytes::from_static(body.as_bytes()),
                    usage: None,
                    endpoint: None,
                    predicted: None,
                }),
                Some(Err(kind)) => Err(Fault::new(kind, "as it\nwas told")),
            }
        })
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async { Err(Fault::new(FaultKind::Internal, "nobody streams")) })
    }

    fn ready(&self) -> bool {
        true
    }
}

/// A plugin's models: `judge`, which is `big` at its provider and answers so.
struct Bench {
    fake: Arc<Fake>,
    granted: Arc<Granted>,
    purse: Arc<Purse>,
}

fn bench(answers: Option<Result<&'static str, FaultKind>>, takes_schema: bool, rate: Option<Rate>) -> Bench {
    let fake = Arc::new(Fake { answers, ..Fake::default() });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let purse = Arc::new(Purse::new(rate, clock.now()));
    let backend: Arc<dyn Backend> = Arc::<Fake>::clone(&fake);
    let model = Second { model: "judge".parse().unwrap(), upstream: "big".to_owned(), backend };
    let granted = Granted::new([Grant { model, takes_schema }], Arc::clone(&purse), Handle::current(), clock);
    Bench { fake, granted: Arc::new(granted), purse }
}

impl Bench {
    /// Asks as a plugin does, from a thread that may block.
    async fn generate(&self, asked: Generate, within: Duration) -> Result<Generation, Unreached> {
        let granted = Arc::clone(&self.granted);
        tokio::task::spawn_blocking(move || granted.generate(&asked, within)).await.unwrap()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Embeddings, Unreached> {
        let (granted, texts) = (Arc::clone(&self.granted), texts.iter().map(|text| (*text).to_owned()).collect());
        let asked = move |texts: Vec<String>| granted.embed("judge", &texts, Duration::from_secs(20));
        tokio::task::spawn_blocking(move || asked(texts)).await.unwrap()
    }
}

fn asked(model: &str) -> Generate {
    Generate {
        model: model.to_owned(),
        messages: vec![Message { role: "user".to_owned(), content: "Is it?".to_owned() }],
        max_tokens: 7,
        temperature: 0.5,
        seed: Some(3),
        json_schema: Some(r#"{"type": "object"}"#.to_owned()),
    }
}

const SAYS: &str = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":12}}"#;
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_asked_is_a_call_in_openais_form() {
    let one = bench(Some(Ok(SAYS)), true, None);
    let said = one.generate(asked("judge"), LONG).await.unwrap();
    let expected = Generation {
        text: "yes".to_owned(),
        prompt_tokens: 30,
        completion_tokens: 12,
        finish_reason: "stop".to_owned(),
    };
    assert_eq!(said, expected);
    let (api, body) = one.fake.seen.lock().unwrap()[0].clone();
    let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}});
    let sent = json!({
        "model": "big", "messages": [{"role": "user", "content": "Is it?"}], "max_tokens": 7, "temperature": 0.5, "seed": 3,
        "response_format": format,
    });
    assert_eq!((api, body), (Api::ChatCompletions, sent));
    assert_eq!(one.purse.used(), Used { calls: 1, failed: 0, tokens: 42 });
    // What cannot be held to a schema is not asked to.
    let local = bench(Some(Ok(SAYS)), false, None);
    local.generate(asked("judge"), LONG).await.unwrap();
    assert!(local.fake.seen.lock().unwrap()[0].1.get("response_format").is_none());
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_the_texts() {
    let swapped = r#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2.5]}]}"#;
    let one = bench(Some(Ok(swapped)), true, None);
    assert_eq!(one.embed(&["a", "b"]).await, Ok(Embeddings { dim: 2, values: vec![1.0, 2.5, 3.0, 4.0] }));
    assert_eq!(one.fake.seen.lock().unwrap()[0].1["input"], json!(["a", "b"]));
    assert!(one.purse.used().tokens > 10, "without usage it is estimated");
    let nonsense = "makes no sense: not an embedding for each text";
    assert!(matches!(one.embed(&["a"]).await, Err(Unreached::Unavailable(says)) if says.contains(nonsense)));
    assert!(matches!(one.embed(&[]).await, Err(Unreached::Unavailable(says)) if says.contains("0 texts")));
    for odd in [r#"{"data":[{"embedding":[]}]}"#, r#"{"data":[{"embedding":["x"]}]}"#, "no json"] {
        assert_eq!(embeddings(odd.as_bytes(), 1), None, "{odd}");
    }
}

#[tokio::test]
async fn nothing_else_is_asked_and_nothing_more() {
    let one = bench(Some(Ok(SAYS)), true, Some(Rate { count: 40, every: Duration::from_secs(3600) }));
    let denied = one.generate(asked("other\u{1b}"), LONG).await;
    let says =
        "the model `other` is not granted to this plugin: add it to `capabilities: {models: […]}` under `plugins`";
    assert_eq!(denied, Err(Unreached::Denied(says.to_owned())));
    assert!(one.generate(asked("judge"), LONG).await.is_ok());
    let used_up = one.generate(asked("judge"), LONG).await;
    assert!(matches!(&used_up, Err(Unreached::Quota(says)) if says.contains("the 40 tokens of 3600 s")), "{used_up:?}");
    assert_eq!(one.fake.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_model_that_fails_or_hangs_is_told_by_the_contract() {
    for (fails, expected) in [
        (FaultKind::UpstreamTimeout, Unreached::Timeout),
        (FaultKind::ModelNotFound, Unreached::NotFound),
        (FaultKind::UpstreamFailed, Unreached::Unavailable("as it was told".to_owned())),
    ] {
        let one = bench(Some(Err(fails)), true, None);
        assert_eq!(one.generate(asked("judge"), LONG).await, Err(expected));
        let Used { calls, failed, tokens } = one.purse.used();
        // What came too late may have been worked on.
        assert_eq!((calls, failed, tokens > 0), (1, 1, fails == FaultKind::UpstreamTimeout));
    }
    let hangs = bench(None, true, None);
    assert_eq!(hangs.generate(asked("judge"), Duration::from_millis(20)).await, Err(Unreached::Timeout));
    assert!(hangs.purse.used().tokens > 0, "it was sent");
    let mut odd = asked("judge");
    odd.json_schema = Some("{".to_owned());
    let no_schema = bench(Some(Ok(SAYS)), true, None).generate(odd, LONG).await;
    assert!(matches!(no_schema, Err(Unreached::Unavailable(says)) if says.contains("no JSON")));
}
