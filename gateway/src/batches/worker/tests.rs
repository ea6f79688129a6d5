//! Batches whose lines come to what they are told.

use super::super::batch::tests::batch;
use super::super::{BatchMount, Batches};
use super::*;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::SystemTime;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{Blob, BlobEntry, BlobInfo, BlobPath, Blobs};
use tidegate_core::port::mount::{Frames, Mount as _};
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::BatchesSpec;
use tidegate_core::{Api, Caller, KeyRecord};
use tidegate_storage::blobs::FolderBlobs;

/// Answers with these statuses, then with 200; the last thing that it does may be to move the clock.
#[derive(Debug, Default)]
struct Told {
    next: Mutex<VecDeque<u16>>,
    asked: Mutex<Vec<String>>,
    /// After so many the day is over.
    ends_after: Option<usize>,
    clock: Option<Arc<ManualClock>>,
    /// Where it is there, this many are answered.
    lets: Option<Semaphore>,
}

impl Told {
    /// Waits until so many were asked.
    async fn until_asked(&self, count: usize) {
        while self.asked.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

impl Asks for Arc<Told> {
    fn ask(&self, errand: Errand) -> BoxFuture<'static, Brought> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(errand.name);
        if let (true, Some(clock)) = (Some(asked.len()) == self.ends_after, &self.clock) {
            clock.advance(Duration::from_secs(25 * 3600));
        }
        let status = self.next.lock().unwrap().pop_front().unwrap_or(200);
        let body = Bytes::from_static(b"{\"a\": 1}");
        let retry_after = (status == 429).then_some(Duration::from_secs(30));
        let told = Self::clone(self);
        Box::pin(async move {
            if let Some(lets) = &told.lets {
                lets.acquire().await.unwrap().forget();
            }
            Brought { status, id: "c-1".to_owned(), retry_after, body }
        })
    }

    fn is_stopping(&self) -> bool {
        false
    }
}

/// A folder that fails at times.
#[derive(Debug)]
struct Full {
    inner: FolderBlobs,
    /// So many parts, and what is known of files, are not written.
    refuses: AtomicUsize,
    /// Behind so many contents one is cut.
    cuts: AtomicUsize,
}

impl Blobs for Full {
    fn put<'a>(&'a self, path: &'a BlobPath, content: Frames, most: u64) -> BoxFuture<'a, Result<BlobInfo, Fault>> {
        let takes_one = |left: usize| left.checked_sub(1);
        let is_refused = path.as_str().contains("/parts/") || path.name() == "about";
        if is_refused && self.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes_one).is_ok() {
            return Box::pin(std::future::ready(Err(Fault::internal("the disk is full"))));
        }
        self.inner.put(path, content, most)
    }

    fn get<'a>(&'a self, path: &'a BlobPath, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Blob, Fault>> {
        let takes_one = |left: usize| left.checked_sub(1);
        let is_content = path.name() == "content";
        let left = is_content.then(|| self.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes_one));
        Box::pin(async move {
            let mut blob = self.inner.get(path, range).await?;
            if left == Some(Ok(1)) {
                let first = blob.frames.next().await.unwrap()?.slice(..150);
                let cut = Err(Fault::internal("the disk cannot be read"));
                blob.frames = Box::pin(futures_util::stream::iter([Ok(first), cut]));
            }
            Ok(blob)
        })
    }

    fn list<'a>(&'a self, folder: Option<&'a BlobPath>) -> BoxFuture<'a, Result<Vec<BlobEntry>, Fault>> {
        self.inner.list(folder)
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, Fault>> {
        self.inner.delete(path)
    }

    fn local<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<PathBuf, Fault>> {
        self.inner.local(path)
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Fault>> {
        self.inner.sweep()
    }
}

struct Stage {
    folder: tempfile::TempDir,
    blobs: Arc<Full>,
    clock: Arc<ManualClock>,
    shelf: Arc<Shelf>,
    stop: watch::Sender<bool>,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        let blobs = Arc::new(Full {
            inner: FolderBlobs::open(folder.path()).unwrap(),
            refuses: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        });
        let shelf = Arc::new(opened(&folder, &blobs, &clock).await);
        Self { folder, blobs, clock, shelf, stop: watch::Sender::new(false) }
    }

    /// The same behind a restart.
    async fn again(&self) -> Shelf {
        opened(&self.folder, &self.blobs, &self.clock).await
    }

    async fn begun(&self, lines: usize) -> Batch {
        self.begun_with((0..lines).map(request).collect()).await
    }

    async fn begun_with(&self, content: String) -> Batch {
        let (file, frames) = self.file(content);
        let file = self.shelf.take(file, frames, 4 << 20).await.unwrap();
        let now = self.shelf.now();
        let mut batch = Batch { id: self.shelf.id("batch_"), api: Api::Embeddings, input: file.id, ..batch() };
        (batch.moments.created, batch.moments.expires) = (now, now + 86400);
        self.shelf.begin(&batch).await.unwrap();
        batch
    }

    fn file(&self, content: String) -> (File, Frames) {
        let file = File {
            id: self.shelf.id("file-"),
            tenant: "acme".parse().unwrap(),
            name: "in".to_owned(),
            bytes: 0,
            created: self.shelf.now(),
            purpose: Purpose::Batch,
        };
        (file, Box::pin(futures_util::stream::iter([Ok(Bytes::from(content))])))
    }

    fn worker(&self, told: &Arc<Told>) -> Worker {
        Worker::new(Arc::clone(&self.shelf), Arc::new(Arc::clone(told)), self.stop.subscribe())
    }

    async fn worked(&self, batch: &Batch, told: Told) -> (Batch, Vec<String>) {
        let told = Arc::new(told);
        self.worker(&told).work(batch.clone()).await;
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

async fn opened(folder: &tempfile::TempDir, blobs: &Arc<Full>, clock: &Arc<ManualClock>) -> Shelf {
    let spec = BatchesSpec {
        folder: folder.path().to_owned(),
        parallel: 1,
        max_file: 4 << 20,
        max_stored: 4 << 20,
        keep: Duration::from_secs(40 * 86400),
    };
    let (blobs, clock) = (Arc::<Full>::clone(blobs), Arc::<ManualClock>::clone(clock));
    Shelf::open(spec, blobs, clock, Arc::new(SplitMix::seeded(1))).await.unwrap()
}

fn request(n: usize) -> String {
    format!("{{\"custom_id\":\"l{n}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{{\"n\":{n}}}}}\n")
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
    // What is shown behind a restart is what was shown before.
    let again = Arc::new(stage.again().await);
    let worker = Worker::new(Arc::clone(&again), Arc::new(Arc::new(Told::default())), stage.stop.subscribe());
    worker.work(batch.clone()).await;
    assert_eq!(again.batch(&batch.tenant, &batch.id).unwrap().counts, Counts { total: 3, completed: 1, failed: 0 });
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

#[tokio::test]
async fn a_tenant_has_so_many_files_and_batches_and_more_when_old_ones_went() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        let batch = stage.begun(1).await;
        assert_eq!(stage.worked(&batch, Told::default()).await.0.status, Status::Completed);
    }
    // Two batches, and each has the file that it was made of and the one that came of it.
    let mut shelf = stage.again().await;
    let next = |shelf: &Shelf| Batch { id: shelf.id("batch_"), ..batch() };
    shelf.most = 2;
    let refused = shelf.begin(&next(&shelf)).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after), (FaultKind::RateLimited, Some(Duration::from_secs(3600))));
    assert!(refused.says.starts_with("there are 2 batches already"), "{refused}");
    let other = Batch { tenant: "other".parse().unwrap(), ..next(&shelf) };
    shelf.begin(&other).await.unwrap();
    shelf.most = 4;
    let (file, frames) = stage.file(request(0));
    let refused = shelf.take(file, frames, 4 << 20).await.unwrap_err();
    assert_eq!((refused.kind, &*refused.says), (FaultKind::TooLarge, "there are 4 files already: delete some"));
    stage.clock.advance(Duration::from_secs(41 * 86400));
    shelf.sweep().await.unwrap();
    shelf.most = 2;
    shelf.begin(&next(&shelf)).await.unwrap();
    let (file, frames) = stage.file(request(0));
    shelf.take(file, frames, 4 << 20).await.unwrap();
}

#[tokio::test]
async fn a_line_that_is_no_request_ends_no_later_start() {
    let stage = Stage::new().await;
    let batch = stage.begun_with(format!("\"{}\"\n", "x".repeat(2 << 20))).await;
    let (failed, _) = stage.worked(&batch, Told::default()).await;
    assert_eq!((failed.status, failed.faults.len()), (Status::Failed, 1));
    assert_eq!(stage.again().await.batch(&batch.tenant, &batch.id), Some(failed));
    // Nor does anything else that lies there.
    for at in ["batches/t/batch_0/state", "files/t/file-0/about"] {
        let content: Frames = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"{"))]));
        stage.blobs.put(&BlobPath::new(at).unwrap(), content, 10).await.unwrap();
    }
    let again = stage.again().await;
    assert_eq!((again.batches(&batch.tenant).len(), again.files(&batch.tenant).len()), (1, 1));
    let left = stage.blobs.list(Some(&BlobPath::new("files/t/file-0").unwrap())).await.unwrap();
    assert_eq!(left.len(), 1, "what is broken is not deleted");
}

#[tokio::test]
async fn no_line_is_asked_twice_for_a_disk_that_is_full() {
    let stage = Stage::new().await;
    let batch = stage.begun(3).await;
    stage.blobs.refuses.store(2, Ordering::SeqCst);
    tokio::time::pause();
    let (done, asked) = stage.worked(&batch, Told::default()).await;
    assert_eq!((done.status, asked), (Status::Completed, ["l0", "l1", "l2"].map(str::to_owned).to_vec()));
    assert_eq!((stage.blobs.refuses.load(Ordering::SeqCst), done.counts.completed), (0, 3));
}

#[tokio::test]
async fn no_line_is_asked_twice_for_an_input_that_cannot_be_read() {
    let stage = Stage::new().await;
    let batch = stage.begun(3).await;
    // It is looked at first.
    stage.blobs.cuts.store(2, Ordering::SeqCst);
    stage.blobs.refuses.store(1, Ordering::SeqCst);
    tokio::time::pause();
    let (done, asked) = stage.worked(&batch, Told::default()).await;
    assert_eq!((done.status, stage.blobs.cuts.load(Ordering::SeqCst)), (Status::Completed, 0));
    assert_eq!(asked, ["l0", "l1", "l2"]);
}

#[tokio::test]
async fn files_that_come_at_once_have_no_room_twice() {
    let stage = Stage::new().await;
    let one = || {
        let (file, frames) = stage.file("x".repeat(3 << 20));
        stage.shelf.take(file, frames, 4 << 20)
    };
    let (first, second, third) = tokio::join!(one(), one(), one());
    assert_eq!([first, second, third].iter().filter(|taken| taken.is_ok()).count(), 1);
    assert_eq!(stage.shelf.files(&"acme".parse().unwrap()).len(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_known_takes_no_room() {
    let stage = Stage::new().await;
    stage.blobs.refuses.store(1, Ordering::SeqCst);
    let (file, frames) = stage.file("x".to_owned());
    let tenant = file.tenant.clone();
    let folders = async || stage.shelf.folders("files").await.unwrap().len();
    assert!(stage.shelf.take(file, frames, 10).await.is_err());
    assert_eq!((stage.shelf.files(&tenant).len(), folders().await), (0, 0));
    let (file, frames) = stage.file("x".to_owned());
    stage.shelf.take(file, frames, 10).await.unwrap();
    assert_eq!((stage.shelf.files(&tenant).len(), folders().await), (1, 1));
}

#[tokio::test]
async fn a_line_that_waits_at_a_stop_is_asked_behind_it() {
    let stage = Stage::new().await;
    let batch = stage.begun(1).await;
    let told = Arc::new(Told { next: Mutex::new([429].into()), ..Told::default() });
    let worker = stage.worker(&told);
    tokio::join!(worker.work(batch.clone()), async {
        told.until_asked(1).await;
        stage.stop.send_replace(true);
    });
    let stopped = stage.shelf.batch(&batch.tenant, &batch.id).unwrap();
    assert_eq!((stopped.status, told.asked.lock().unwrap().len()), (Status::InProgress, 1));
    assert!(stage.shelf.parts(&batch).await.unwrap().is_empty(), "a refusal is not what came of it");
    stage.stop.send_replace(false);
    let (done, asked) = stage.worked(&batch, Told::default()).await;
    assert_eq!((done.status, done.counts.completed, asked.len()), (Status::Completed, 1, 1));
}

#[tokio::test]
async fn a_cancelled_batch_does_not_wait_for_others() {
    let stage = Stage::new().await;
    let (first, second) = (stage.begun(1).await, stage.begun(2).await);
    let told = Arc::new(Told { lets: Some(Semaphore::new(0)), ..Told::default() });
    let worker = stage.worker(&told);
    let of_second = async {
        told.until_asked(1).await;
        let cancelling = async {
            while stage.shelf.status(&second) != Some(Status::InProgress) {
                tokio::task::yield_now().await;
            }
            stage.shelf.change(&second, |batch| batch.cancel(1)).await.unwrap();
        };
        tokio::join!(worker.work(second.clone()), cancelling);
        assert_eq!(stage.shelf.status(&first), Some(Status::InProgress));
        told.lets.as_ref().unwrap().add_permits(1);
    };
    tokio::join!(worker.work(first.clone()), of_second);
    let stands = |batch| stage.shelf.status(batch);
    assert_eq!((stands(&first), stands(&second)), (Some(Status::Completed), Some(Status::Cancelled)));
    assert_eq!(told.asked.lock().unwrap().len(), 1, "no line of the second is asked");
}

#[tokio::test]
async fn a_line_waits_while_others_hold_too_much() {
    let stage = Stage::new().await;
    let batch = stage.begun(2).await;
    let told = Arc::new(Told::default());
    let worker = stage.worker(&told);
    let all = Arc::clone(&worker.held).try_acquire_many_owned(u32::try_from(HELD).unwrap()).unwrap();
    tokio::time::pause();
    tokio::join!(worker.work(batch.clone()), async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(told.asked.lock().unwrap().is_empty());
        drop(all);
    });
    assert_eq!(stage.shelf.status(&batch), Some(Status::Completed));
    assert_eq!(worker.held.available_permits(), HELD);
}

#[tokio::test]
async fn a_batch_is_begun_though_its_caller_hangs_up() {
    let stage = Stage::new().await;
    let (file, frames) = stage.file(request(0));
    let file = stage.shelf.take(file, frames, 1000).await.unwrap();
    let lock = std::fs::File::create(stage.folder.path().join("owner")).unwrap();
    let batches = Arc::new(Batches::new(stage.again().await, lock));
    let caller = Caller(Arc::new(KeyRecord {
        id: "k".parse().unwrap(),
        digest: Digest::of(b"k"),
        principal: "p".parse().unwrap(),
        tenant: file.tenant.clone(),
        roles: BTreeSet::new(),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    }));
    let wanted =
        format!(r#"{{"input_file_id": "{}", "endpoint": "/v1/embeddings", "completion_window": "24h"}}"#, file.id);
    let body: Frames = Box::pin(futures_util::stream::iter([Ok(Bytes::from(wanted))]));
    let mount = BatchMount(Arc::clone(&batches));
    let request = http::Request::post("/v1/batches").body(body).unwrap();
    let mut served = mount.serve(Some(caller), Reach::Loopback, request);
    let is_pending = std::future::poll_fn(|cx| Poll::Ready(served.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending, "it is written first");
    drop(served);
    while batches.shelf.batches(&file.tenant).is_empty() {
        tokio::task::yield_now().await;
    }
}
