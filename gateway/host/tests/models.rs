//! Models that plugins ask, through the component that ships: what is granted is asked as the plugin says and answered as the
//! contract says, what is not is denied, and whoever keeps a plugin waiting takes no more than its time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tidegate_host::{
    Bounds, Embeddings, Generate, Generation, Host, Input, Limits, Models, Output, Outside, Passage, Plugin, Report,
    Sample, Unreached,
};

/// Models that say what a test has them say, and remember what they were asked.
#[derive(Debug, Default)]
struct Fake {
    asked: Mutex<Vec<Generate>>,
    embedded: Mutex<Vec<String>>,
    /// Why nothing is said.
    fails: Option<Unreached>,
    /// Whether they take thrice the time that they are given.
    is_late: bool,
}

impl Models for Fake {
    fn generate(&self, asked: &Generate, within: Duration) -> Result<Generation, Unreached> {
        self.asked.lock().unwrap().push(asked.clone());
        if self.is_late {
            // Nobody tells it to end.
            let (_tells, ends) = mpsc::channel::<()>();
            assert!(ends.recv_timeout(within * 3).is_err());
        }
        match &self.fails {
            Some(why) => Err(why.clone()),
            None => Ok(Generation {
                text: r#"{"statements": [{"supported": true}, {"supported": false}]}"#.to_owned(),
                prompt_tokens: 9,
                completion_tokens: 4,
                finish_reason: "stop".to_owned(),
            }),
        }
    }

    /// What begins with `a` lies in one direction, all else in the other.
    fn embed(&self, _: &str, texts: &[String], _: Duration) -> Result<Embeddings, Unreached> {
        self.embedded.lock().unwrap().extend_from_slice(texts);
        let of = |text: &String| if text.starts_with('a') { [1.0, 0.0] } else { [0.0, 1.0] };
        Ok(Embeddings { dim: 2, values: texts.iter().flat_map(of).collect() })
    }
}

fn plugin(deadline: Duration) -> Plugin {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/rag-eval.wasm");
    let host = Host::new(Limits::default(), Outside::default()).unwrap();
    host.load(&std::fs::read(file).unwrap(), Bounds { deadline: Some(deadline), ..Bounds::default() }).unwrap()
}

fn samples(n: usize) -> Input {
    let passage = Passage { id: "p".to_owned(), text: "a cat sat".to_owned(), score: None };
    let sample = Sample {
        question: "a question".to_owned(),
        passages: vec![passage],
        answer: "a cat. It slept.".to_owned(),
        ..Sample::default()
    };
    Input::Rag { samples: vec![sample; n] }
}

const CONFIG: &str =
    r#"{"judge": {"model": "judge", "embedding_model": "minilm"}, "measures": ["faithfulness", "groundedness"]}"#;

fn reports(plugin: &Plugin, input: &Input, models: &Arc<Fake>) -> Vec<Report> {
    let models: Arc<dyn Models> = Arc::<Fake>::clone(models);
    let Output::Reports(reports) = plugin.call_with(CONFIG, input, &models).unwrap().output else {
        panic!("no reports")
    };
    reports
}

fn value(report: &Report, name: &str) -> Option<f64> {
    report.measurements.iter().find(|one| one.name == name).and_then(|one| one.value)
}

fn why<'a>(report: &'a Report, name: &str) -> &'a str {
    let found = report.measurements.iter().find(|one| one.name == name);
    found.and_then(|one| one.undefined.as_deref()).unwrap_or_default()
}

#[test]
fn a_plugin_asks_what_it_was_given() {
    let models = Arc::<Fake>::default();
    let reports = reports(&plugin(Duration::from_secs(30)), &samples(2), &models);
    for report in &reports {
        assert_eq!((value(report, "faithfulness"), value(report, "groundedness")), (Some(0.5), Some(0.5)));
    }
    let asked = models.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].model.as_str(), asked[0].max_tokens, asked[0].temperature), ("judge", 1024, 0.0));
    let roles: Vec<&str> = asked[0].messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "user"]);
    assert!(asked[0].messages[1].content.contains("<passage>a cat sat</passage>"));
    assert!(asked[0].json_schema.as_ref().is_some_and(|schema| schema.contains("statements")));
    assert_eq!(models.embedded.lock().unwrap()[..3], ["a cat.", "It slept.", "a cat sat"].map(str::to_owned));
}

#[test]
fn without_models_it_is_told_how_they_are_granted() {
    let plugin = plugin(Duration::from_secs(30));
    let Output::Reports(reports) = plugin.call(CONFIG, &samples(1)).unwrap().output else { panic!("no reports") };
    assert_eq!(reports[0].measurements, []);
    let left = reports[0].detail.as_ref().unwrap()["left_out"][0]["why"].as_str().unwrap();
    assert!(left.contains("capabilities: {models: [NAME]}"), "{left}");
}

#[test]
fn why_a_model_says_nothing_is_said_by_the_contract() {
    let plugin = plugin(Duration::from_secs(30));
    for (fails, says) in [
        (Unreached::Quota("9 tokens".to_owned()), "the quota of tokens is used up: 9 tokens"),
        (Unreached::Timeout, "the model took too long"),
        (Unreached::NotFound, "there is no such model"),
        (Unreached::Unavailable("down".to_owned()), "the model cannot be reached: down"),
    ] {
        let models = Arc::new(Fake { fails: Some(fails), ..Fake::default() });
        let reports = reports(&plugin, &samples(1), &models);
        assert_eq!((why(&reports[0], "faithfulness"), value(&reports[0], "groundedness")), (says, Some(0.5)));
    }
}

#[test]
fn who_is_kept_waiting_is_told_that_its_time_is_over() {
    let (plugin, began) = (plugin(Duration::from_millis(200)), Instant::now());
    let models = Arc::new(Fake { is_late: true, ..Fake::default() });
    let called = plugin.call_with(CONFIG, &samples(50), &(Arc::<Fake>::clone(&models) as Arc<dyn Models>));
    // Its time being over it may end by itself; it may not go on.
    match called {
        Ok(done) => {
            let Output::Reports(reports) = done.output else { panic!("no reports") };
            assert_eq!(why(&reports[49], "faithfulness"), "the model took too long");
        }
        Err(fault) => assert_eq!(fault.kind, tidegate_host::Kind::Deadline, "{fault}"),
    }
    assert_eq!(models.asked.lock().unwrap().len(), 1, "nobody is asked when the time is over");
    assert!(began.elapsed() < Duration::from_secs(20));
}
