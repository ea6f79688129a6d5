//! Pools with real threads. Nothing sleeps: calls are awaited, and where threads must be held, they are held by a model's
//! own work.

use super::*;
use std::path::Path;
use tidegate_core::clock::SystemClock;

fn model(name: &str) -> Model {
    Model::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn pool(name: &str, spec: BatchSpec) -> Pool {
    Pool::start(model(name), spec, Arc::new(SystemClock)).unwrap()
}

fn row(columns: usize, value: f32) -> Vec<Tensor> {
    vec![Tensor::of_f32("x", vec![1, columns as u64], &vec![value; columns]).unwrap()]
}

/// A pool whose calls all go by the queue: nothing is known of their cost.
fn queued(spec: BatchSpec) -> Pool {
    let pool = pool("xgb_softprob.json", spec);
    pool.shared.lock().pace.ran(1, Duration::from_secs(60));
    pool
}

#[tokio::test]
async fn trees_answer_at_once() {
    let pool = pool("xgb_softprob.json", BatchSpec::default());
    let served = pool.predict(row(4, 1.0), vec![]).await.unwrap();
    assert_eq!(served.answer, pool.generation().model.predict(&row(4, 1.0), &[]).unwrap());
    let state = pool.state();
    assert_eq!((served.generation, state.runs(), state.at_once), (1, 0, 1));
}

#[tokio::test]
async fn what_a_run_costs_is_learnt_on_a_thread_and_batches_are_counted_by_their_size() {
    let pool = pool("xgb_softprob.json", BatchSpec { warm_up: false, ..BatchSpec::default() });
    let rows = vec![Tensor::of_f32("x", vec![3, 4], &[1.0; 12]).unwrap()];
    pool.predict(rows, vec![]).await.unwrap();
    // A worker counts its run after it has answered.
    while pool.state().runs() == 0 {
        tokio::task::yield_now().await;
    }
    let state = pool.state();
    assert_eq!((state.sizes[2], state.rows, state.at_once), (1, 3, 0), "three rows are a batch of four at most");
    let mut state = PoolState::default();
    [0, 1, 2, 5, 1 << 20].into_iter().for_each(|rows| state.ran(rows));
    assert_eq!((state.sizes[0], state.sizes[1], state.sizes[3], state.sizes[SIZES - 1]), (2, 1, 1, 1));
}

#[tokio::test]
async fn calls_run_together_and_each_gets_its_own_answer() {
    let spec = BatchSpec { max_wait: Duration::from_secs(600), ..BatchSpec::default() };
    let pool = queued(spec);
    // Calls come as if each 1 ms, a run takes a minute: worth waiting for, until a batch is full.
    {
        let mut state = pool.shared.lock();
        let now = pool.shared.clock.now();
        (0..50).for_each(|_| state.pace.arrived(now + Duration::from_secs(5)));
    }
    let calls = (0..64).map(|number| pool.predict(row(4, number as f32 / 8.0), vec!["label".to_owned()]));
    let served = futures_util::future::join_all(calls).await;
    let model = pool.generation().model;
    let mut largest = 0;
    for (number, served) in served.into_iter().enumerate() {
        let served = served.unwrap();
        let alone = model.predict(&row(4, number as f32 / 8.0), &["label".to_owned()]).unwrap();
        assert_eq!(served.answer, alone);
        largest = largest.max(served.batch);
    }
    assert!(largest > 1, "no two calls ran together");
}

#[tokio::test]
async fn a_call_that_is_wrong_harms_no_other() {
    let pool = queued(BatchSpec::default());
    let wrong = vec![Tensor::of_texts("x", vec![1, 4], &["a"; 4]).unwrap()];
    let calls = [
        pool.predict(row(4, 1.0), vec![]),
        pool.predict(wrong, vec![]),
        pool.predict(row(3, 1.0), vec![]),
        pool.predict(row(4, 2.0), vec!["none".to_owned()]),
        pool.predict(row(4, 3.0), vec![]),
    ];
    let served = futures_util::future::join_all(calls).await;
    let said: Vec<String> = served.iter().filter_map(|served| Some(served.as_ref().err()?.to_string())).collect();
    assert!(served[0].is_ok() && served[4].is_ok());
    assert!(
        said[0].contains("is of BYTES") && said[1].contains("4 values") && said[2].contains("no output `none`"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_try_again() {
    let pool = queued(BatchSpec { queue: 0, ..BatchSpec::default() });
    let Err(Unserved::Busy { waiting: 0, retry_after }) = pool.predict(row(4, 1.0), vec![]).await else {
        panic!("it was served");
    };
    assert!(retry_after >= Duration::from_millis(1));
    assert_eq!(pool.state().busy, 1);
}

#[tokio::test]
async fn a_swap_is_seen_by_the_next_call_and_by_none_before() {
    let pool = queued(BatchSpec::default());
    let before = pool.generation();
    assert_eq!(pool.predict(row(4, 1.0), vec![]).await.unwrap().generation, 1);
    assert_eq!(pool.swap(model("lgb_ova.txt")).unwrap(), 2);
    let after = pool.predict(row(4, 1.0), vec![]).await.unwrap();
    assert_eq!((after.generation, before.number), (2, 1));
    assert_eq!(after.answer, pool.generation().model.predict(&row(4, 1.0), &[]).unwrap());
    // Whoever holds the former one may go on with it.
    assert_eq!(before.model.format(), "xgboost");
}

#[tokio::test]
async fn explanations_come_by_the_same_queue() {
    let pool = pool("xgb_softprob.json", BatchSpec::default());
    let served = pool.explain(row(4, 1.0), Explaining::default()).await.unwrap();
    assert_eq!((served.answer.rows, served.answer.groups, served.answer.features.len()), (1, 3, 4));
    assert!(pool.explain(row(3, 1.0), Explaining::default()).await.is_err());
}

#[tokio::test]
async fn a_pool_that_is_dropped_lets_its_callers_go() {
    let pool = queued(BatchSpec::default());
    let (reply, told) = oneshot::channel();
    pool.shared.lock().is_stopped = true;
    pool.put(row(4, 1.0), Ask::Explain { how: Explaining::default(), reply }).unwrap();
    drop(pool);
    assert!(told.await.is_err());
}
