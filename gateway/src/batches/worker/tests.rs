//! Batches whose lines come to what they are told.

use super::super::batch::tests::batch;
use super::*;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;
use tidegate_core::Api;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::BatchesSpec;
use tidegate_storage::blobs::FolderBlobs;

/// Answers with these statuses, then with 200; the last thing that it does may be to move the clock.
#[derive(Debug, Default)]
struct Told {
    next: Mutex<VecDeque<u16>>,
    asked: Mutex<Vec<String>>,
    /// After so many the day is over.
    ends_after: Option<usize>,
    clock: Option<Arc<ManualClock>>,
}

impl Asks for Told {
    fn ask(&self, errand: Errand) -> BoxFuture<'static, Brought> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(errand.name);
        if let (true, Some(clock)) = (Some(asked.len()) == self.ends_after, &self.clock) {
            clock.advance(Duration::from_secs(25 * 3600));
        }
        let status = self.next.lock().unwrap().pop_front().unwrap_or(200);
        let body = Bytes::from_static(b"{\"a\": 1}");
        let retry_after = (status == 429).then_some(Duration::from_secs(30));
        Box::pin(std::future::ready(Brought { status, id: "c-1".to_owned(), retry_after, body }))
    }

    fn is_stopping(&self) -> bool {
        false
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    shelf: Arc<Shelf>,
    stop: watch::Sender<bool>,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        let spec = BatchesSpec {
            folder: folder.path().to_owned(),
            parallel: 1,
            max_file: 1 << 20,
            max_stored: 1 << 20,
            keep: Duration::from_secs(40 * 86400),
        };
        let blobs = Arc::new(FolderBlobs::open(folder.path()).unwrap());
        let dice = Arc::new(SplitMix::seeded(1));
        let shelf = Shelf::open(spec, blobs, Arc::<ManualClock>::clone(&clock), dice).await.unwrap();
        Self { _folder: folder, clock, shelf: Arc::new(shelf), stop: watch::Sender::new(false) }
    }

    async fn begun(&self, lines: usize) -> Batch {
        let line = |n| {
            format!(
                "{{\"custom_id\":\"l{n}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{{\"n\":{n}}}}}\n"
            )
        };
        let content: String = (0..lines).map(line).collect();
        let frames: Frames = Box::pin(futures_util::stream::iter([Ok(Bytes::from(content))]));
        let now = self.shelf.now();
        let file = File {
            id: self.shelf.id("file-"),
            tenant: "acme".parse().unwrap(),
            name: "in".to_owned(),
            bytes: 0,
            created: now,
            purpose: Purpose::Batch,
        };
        let file = self.shelf.take(file, frames, 1 << 20).await.unwrap();
        let mut batch = Batch { id: self.shelf.id("batch_"), api: Api::Embeddings, input: file.id, ..batch() };
        (batch.moments.created, batch.moments.expires) = (now, now + 86400);
        self.shelf.begin(&batch).await.unwrap();
        batch
    }

    async fn worked(&self, batch: &Batch, told: Told) -> (Batch, Vec<String>) {
        let told = Arc::new(told);
        let worker = Worker::new(Arc::clone(&self.shelf), Arc::<Told>::clone(&told), self.stop.subscribe());
        worker.work(batch.clone()).await;
        let asked = std::mem::take(&mut *told.asked.lock().unwrap());
        (self.shelf.batch(&batch.tenant, &batch.id).unwrap(), asked)
    }

    async fn content(&self, batch: &Batch, id: Option<&String>) -> String {
        let file = self.shelf.file(&batch.tenant, id.unwrap()).unwrap();
        let mut frames = self.shelf.content(&file).await.unwrap().frames;
        let mut all = Vec::new();
        while let Some(frame) = frames.next().await {
            all.extend_from_slice(&frame.unwrap());
        }
        String::from_utf8(all).unwrap()
    }
}

#[tokio::test]
async fn lines_that_a_limit_refuses_are_asked_again_in_time() {
    let stage = Stage::new().await;
    let batch = stage.begun(2).await;
    tokio::time::pause();
    let told = Told { next: Mutex::new([429, 503, 200, 429, 429, 429, 429, 429, 429].into()), ..Told::default() };
    let (done, asked) = stage.worked(&batch, told).await;
    assert_eq!((done.status, done.counts), (Status::Completed, Counts { total: 2, completed: 1, failed: 1 }));
    assert_eq!(asked, ["l0", "l0", "l0", "l1", "l1", "l1", "l1", "l1", "l1"]);
    let errors = stage.content(&done, done.errors.as_ref()).await;
    assert!(errors.contains("\"custom_id\":\"l1\",\"response\":{\"status_code\":429"), "{errors}");
}

#[tokio::test]
async fn what_is_not_asked_in_time_is_an_error_and_the_batch_expires() {
    let stage = Stage::new().await;
    let batch = stage.begun(4).await;
    let told = Told { ends_after: Some(2), clock: Some(Arc::clone(&stage.clock)), ..Told::default() };
    let (done, asked) = stage.worked(&batch, told).await;
    assert_eq!((done.status, done.counts), (Status::Expired, Counts { total: 4, completed: 2, failed: 2 }));
    assert_eq!(asked.len(), 2);
    let errors = stage.content(&done, done.errors.as_ref()).await;
    assert_eq!(errors.lines().count(), 2);
    assert!(errors.contains("\"code\":\"batch_expired\"") && errors.contains("\"custom_id\":\"l3\""), "{errors}");
}

#[tokio::test]
async fn a_stopped_batch_goes_on_where_it_was() {
    let stage = Stage::new().await;
    let batch = stage.begun(3).await;
    // What a first start did of it: one line is written down.
    stage
        .shelf
        .change(&batch, |batch| {
            batch.begin(3, 1);
            Ok(())
        })
        .await
        .unwrap();
    let mut progress = Progress::read(&stage.shelf, &batch).await.unwrap();
    let line = line::answered("c-0", "l1", 200, b"{}");
    progress.add(Came { number: 2, is_good: true, line });
    progress.flush(&stage.shelf, &batch).await.unwrap();
    stage.stop.send_replace(true);
    let (stopped, asked) = stage.worked(&batch, Told::default()).await;
    assert_eq!((stopped.status, asked.len()), (Status::InProgress, 0));
    stage.stop.send_replace(false);
    let (done, asked) = stage.worked(&batch, Told::default()).await;
    assert_eq!((done.status, asked), (Status::Completed, vec!["l0".to_owned(), "l2".to_owned()]));
    assert_eq!(stage.content(&done, done.output.as_ref()).await.lines().count(), 3);
    assert_eq!((done.errors, stage.shelf.parts(&batch).await.unwrap().len()), (None, 0));
}

#[tokio::test]
async fn what_is_too_old_is_removed() {
    let stage = Stage::new().await;
    let batch = stage.begun(1).await;
    let (done, _) = stage.worked(&batch, Told::default()).await;
    stage.shelf.sweep().await.unwrap();
    assert_eq!((stage.shelf.files(&done.tenant).len(), stage.shelf.batches(&done.tenant).len()), (2, 1));
    stage.clock.advance(Duration::from_secs(41 * 86400));
    stage.shelf.sweep().await.unwrap();
    assert_eq!((stage.shelf.files(&done.tenant).len(), stage.shelf.batches(&done.tenant).len()), (0, 0));
}
