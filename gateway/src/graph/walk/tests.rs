//! A graph of models that do as they are told.

use super::super::Member;
use super::*;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tidegate_core::clock::SystemClock;
use tidegate_core::port::aside::Aside;
use tidegate_core::port::backend::{Answer, Backend, Frames, Turn};
use tidegate_core::port::filter::{Action, Edit, Failed, Filter, FilterStream, LooksAt, Message, Opinion, Refused};
use tidegate_core::spec::graph::{CaseSpec, Combine, GraphSpec, ValueIs};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Datatype, TensorMeta};

/// What a model does with its first value.
type Does = fn(f64) -> Result<f64, Fault>;

/// A model with one input `x` and the outputs `y` and `z`, the same.
#[derive(Debug)]
struct Told(Does, OnceLock<Arc<PredictRequest>>);

impl Backend for Told {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let Predict { request, .. } = call.predict.expect("tensors");
            self.1.set(Arc::clone(&request)).unwrap_or_default();
            let values: Vec<f64> =
                request.inputs[0].numbers().expect("numbers").map(self.0).collect::<Result<_, _>>()?;
            if values[0] < -99.0 {
                std::future::pending::<()>().await;
            }
            let of = |name: &str| Tensor::of_f64(name, vec![values.len() as u64], &values).unwrap();
            let outputs = vec![of("y"), of("z")];
            let answer = PredictAnswer { outputs, violations: Some(1), ..PredictAnswer::default() };
            Ok(Answer { body: Bytes::new(), usage: None, endpoint: None, predicted: Some(Arc::new(answer)) })
        })
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async { Err(Fault::internal("no stream is asked for")) })
    }

    fn ready(&self) -> bool {
        true
    }

    fn is_classic(&self) -> bool {
        true
    }

    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        let meta = |name: &str| TensorMeta { name: name.to_owned(), datatype: Datatype::Fp64, shape: vec![None] };
        Box::pin(async move {
            Ok(ModelMeta { inputs: vec![meta("x")], outputs: vec![meta("y"), meta("z")], ..ModelMeta::default() })
        })
    }
}

/// A plugin that puts `text` in the place of what it is shown, or refuses.
#[derive(Debug)]
struct Puts(Option<&'static str>);

impl Filter for Puts {
    fn looks_at(&self) -> LooksAt {
        LooksAt { request: true, ..LooksAt::default() }
    }

    fn request(&self, _: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        assert!(messages[0].parts[0].text.contains("\"inputs\""));
        let action = match self.0 {
            Some(text) => Action::Edit(vec![Edit { message: 0, part: 0, text: text.to_owned() }]),
            None => Action::Refuse(Refused { status: 422, code: "no".to_owned(), message: "not these".to_owned() }),
        };
        Ok(Opinion { action, annotations: Vec::new() })
    }

    fn answer(&self, _: &Seen<'_>, _: &[Message<'_>]) -> Result<Opinion, Failed> {
        Ok(Opinion::default())
    }

    fn stream(&self, _: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
        Ok(None)
    }
}

fn step(target: Target) -> StepSpec {
    StepSpec { target, takes_request: false, inputs: Vec::new() }
}

fn ask(model: &str) -> StepSpec {
    step(Target::Model(model.parse().unwrap()))
}

fn graph(works: Vec<NodeWork>) -> Graph {
    let nodes = works.into_iter().enumerate();
    let nodes = nodes.map(|(at, work)| NodeSpec { name: format!("n{at}").parse().unwrap(), work }).collect();
    let spec = Arc::new(GraphSpec::new(nodes, 0).unwrap());
    let models: [(&str, Does); 4] = [
        ("one", |x| Ok(x + 1.0)),
        ("ten", |x| Ok(x * 10.0)),
        ("bad", |_| Err(Fault::field("inputs", "no such thing"))),
        ("slow", |_| Ok(-100.0)),
    ];
    let models = models
        .map(|(name, does)| (name.parse().unwrap(), Member::new(Arc::new(Told(does, OnceLock::new())), name, Some(7))));
    let plugins: [(&str, Option<&'static str>); 3] = [
        ("puts", Some(r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [5]}]}"#)),
        ("breaks", Some("{}")),
        ("refuses", None),
    ];
    let plugins = plugins.map(|(name, text)| (name.parse().unwrap(), Arc::new(Puts(text)) as Arc<dyn Filter>));
    let route = "r".parse().unwrap();
    Graph {
        spec,
        route,
        models: BTreeMap::from(models),
        plugins: BTreeMap::from(plugins),
        clock: Arc::new(SystemClock),
    }
}

fn call(values: &[f64], request: PredictRequest) -> Call {
    let inputs = vec![Tensor::of_f64("x", vec![values.len() as u64], values).unwrap()];
    let total = Duration::from_millis(50);
    Call {
        api: Api::Predict,
        model: "graph:v".parse().unwrap(),
        adapter: None,
        body: Bytes::new(),
        headers: Arc::default(),
        turn: Turn::default(),
        deadlines: Deadlines { connect: total, first_token: total, idle: total, total },
        avoid: None,
        taken: None,
        predict: Some(Predict {
            request: Arc::new(PredictRequest { inputs, ..request }),
            model: "v".into(),
            written: None,
        }),
        aside: Some(Arc::new(Aside { call: Some(InferenceId::from_u128(7 << 64 | 9)), ..Aside::default() })),
    }
}

async fn walked(works: Vec<NodeWork>, values: &[f64]) -> Result<(PredictAnswer, Vec<Visit>), Fault> {
    let (graph, call) = (graph(works), call(values, PredictRequest::default()));
    let done = Walk::of(&graph, &call)?.whole().await;
    let visits = call.aside.as_ref().unwrap().visits.take();
    done.map(|answer| (answer, visits))
}

fn first(answer: &PredictAnswer) -> Vec<f64> {
    answer.outputs[0].numbers().unwrap().collect()
}

#[tokio::test]
async fn a_sequence_gives_each_step_what_the_one_before_it_answered() {
    // Two outputs, of which the next one takes one.
    let named = StepSpec { inputs: vec![("x".to_owned(), "z".to_owned())], ..ask("ten") };
    let (answer, visits) =
        walked(vec![NodeWork::Sequence(vec![ask("one"), named.clone()])], &[1.0, 2.0]).await.unwrap();
    assert_eq!((first(&answer), answer.outputs.len(), answer.violations), (vec![20.0, 30.0], 2, Some(2)));
    let told: Vec<(&str, Option<u32>)> = visits.iter().map(|visit| (visit.name(), visit.within)).collect();
    assert_eq!(told, [("n0", None), ("one", Some(0)), ("ten", Some(0))]);
    assert!(visits.iter().all(|visit| visit.us.is_some() && visit.fault.is_none()));
    assert_eq!(visits[1].model_version, Some(7));
    // What the caller sent, and not what the step before it answered.
    let own = StepSpec { takes_request: true, ..ask("ten") };
    let (answer, _) = walked(vec![NodeWork::Sequence(vec![ask("one"), own])], &[1.0]).await.unwrap();
    assert_eq!(first(&answer), [10.0]);
    let lost = StepSpec { inputs: vec![("x".to_owned(), "w".to_owned())], ..ask("ten") };
    let fault = walked(vec![NodeWork::Sequence(vec![ask("one"), lost])], &[1.0]).await.unwrap_err();
    assert!(fault.says.starts_with("the node `n0`, model `ten`: the input `x` is to be the tensor `w`"), "{fault}");
}

#[tokio::test]
async fn an_ensemble_asks_all_and_a_fault_names_the_node() {
    let ensemble = |steps: Vec<StepSpec>| {
        let members = steps.into_iter().map(|step| (1.0, step)).collect();
        NodeWork::Ensemble(EnsembleSpec { combine: Combine::Mean, members, outputs: vec!["y".to_owned()] })
    };
    let (answer, _) = walked(vec![ensemble(vec![ask("one"), ask("ten")])], &[1.0]).await.unwrap();
    assert_eq!((first(&answer), answer.outputs.len()), (vec![6.0], 1));
    let inner = NodeWork::Sequence(vec![ask("bad")]);
    let fault = walked(vec![ensemble(vec![ask("one"), step(Target::Node(1))]), inner], &[1.0]).await.unwrap_err();
    assert_eq!((fault.kind, &*fault.says), (FaultKind::InvalidRequest, "the node `n1`, model `bad`: no such thing"));
    let late = walked(vec![ensemble(vec![ask("one"), ask("slow")])], &[1.0]).await.unwrap_err();
    assert_eq!(late.kind, FaultKind::UpstreamTimeout);
    assert!(late.says.starts_with("the node `n0`, model `slow`: it did not answer within the 50ms"), "{late}");
}

#[tokio::test]
async fn a_switch_goes_by_a_value_and_a_splitter_by_the_call() {
    let when = |tensor: &str| CaseSpec { tensor: tensor.to_owned(), at: 0, is: ValueIs::Above(5.0) };
    let switch =
        |tensor: &str, otherwise| NodeWork::Switch(SwitchSpec { cases: vec![(when(tensor), ask("ten"))], otherwise });
    for (value, wanted, branch) in [(6.0, 60.0, 0), (5.0, 6.0, 1)] {
        let (answer, visits) = walked(vec![switch("x", Some(ask("one")))], &[value]).await.unwrap();
        assert_eq!((first(&answer), visits[0].branch), (vec![wanted], Some(branch)));
    }
    let none = walked(vec![switch("x", None)], &[1.0]).await.unwrap_err();
    assert!(none.says.contains("no case of the switch holds"), "{none}");
    // Behind another step it goes by that one's answer, which stays where no case holds.
    let behind = vec![NodeWork::Sequence(vec![ask("one"), step(Target::Node(1))]), switch("y", None)];
    let (answer, _) = walked(behind, &[1.0]).await.unwrap();
    assert_eq!(first(&answer), [2.0]);
    let apart = walked(vec![switch("x", Some(ask("one")))], &[1.0, 9.0]).await.unwrap_err();
    assert_eq!(apart.kind, FaultKind::InvalidRequest);
    let splitter = vec![NodeWork::Splitter(vec![(0.5, ask("one")), (0.5, ask("ten"))])];
    let (answer, visits) = walked(splitter.clone(), &[1.0]).await.unwrap();
    let (drawn, draw) = part(&[0.5, 0.5], 7 << 64 | 9, "n0");
    assert_eq!((visits[0].branch, visits[0].draw), (u32::try_from(drawn).ok(), Some(draw)));
    assert_eq!(first(&answer), [[2.0, 10.0][drawn]]);
    assert_eq!(first(&walked(splitter, &[1.0]).await.unwrap().0), first(&answer), "the same call goes the same way");
}

#[tokio::test]
async fn a_plugin_puts_tensors_in_or_refuses() {
    let plugin = |name: &str| step(Target::Plugin(name.parse().unwrap()));
    let row = |name: &str| vec![NodeWork::Sequence(vec![plugin(name), ask("ten")])];
    let (answer, visits) = walked(row("puts"), &[1.0]).await.unwrap();
    assert_eq!((first(&answer), visits[1].kind()), (vec![50.0], "plugin"));
    let fault = walked(row("refuses"), &[1.0]).await.unwrap_err();
    assert_eq!((fault.kind, &*fault.says), (FaultKind::Filtered, "the node `n0`, plugin `refuses`: not these"));
    assert_eq!(fault.face.unwrap().status, 422);
    assert_eq!(walked(row("breaks"), &[1.0]).await.unwrap_err().kind, FaultKind::FilterFailed);
}

#[tokio::test]
async fn callers_get_the_outputs_that_they_name_and_those_without_names_the_first() {
    let row = || {
        graph(vec![NodeWork::Sequence(vec![
            ask("one"),
            StepSpec { inputs: vec![("x".to_owned(), "z".to_owned())], ..ask("ten") },
        ])])
    };
    let of = async |request: PredictRequest| {
        let (graph, call) = (row(), call(&[1.0], request));
        Walk::of(&graph, &call)?.whole().await
    };
    let named = PredictRequest { outputs: vec!["z".to_owned()], ..PredictRequest::default() };
    assert_eq!(of(named).await.unwrap().outputs[0].name(), "z");
    let unknown = PredictRequest { outputs: vec!["w".to_owned()], ..PredictRequest::default() };
    assert!(of(unknown).await.unwrap_err().says.contains("answers no output `w`; it answers y, z"));
    let loose = PredictRequest { is_loose: true, ..PredictRequest::default() };
    let answer = of(loose).await.unwrap();
    assert_eq!((answer.outputs.len(), answer.outputs[0].name()), (1, "y"));
    let explained = serde_json::json!({"explain": true}).as_object().unwrap().clone();
    let why = of(PredictRequest { parameters: explained, ..PredictRequest::default() }).await.unwrap_err();
    assert_eq!(why.param.as_deref(), Some("parameters.explain"));
    assert!(why.says.contains("the node `n0`, model `ten`: what it answers has no explanation"), "{why}");
    let graph = row();
    let meta = graph.describe("v").await.unwrap();
    assert_eq!((&*meta.inputs[0].name, meta.outputs.len(), graph.ready()), ("x", 2, true));
}
