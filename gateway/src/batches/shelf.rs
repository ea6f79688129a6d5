//! Files and batches as they lie in the store. Owns the layout and what is known of all of them: it is read once, at
//! the start, and whatever changes is durable before anybody hears of it.
//!
//! `files/TENANT/ID/{content,about}`, of which the second makes a file of the first; `batches/TENANT/ID/state`, and
//! beside it `parts/N`, the lines that came to something so far. TENANT is a digest of the tenant's name, which may not
//! be a path.

use super::batch::{Batch, Counts, Status};
use super::file::{File, Purpose};
use bytes::Bytes;
use futures_util::stream;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{Blob, BlobPath, Blobs};
use tidegate_core::port::mount::Frames;
use tidegate_core::spec::BatchesSpec;
use tidegate_core::{Clock, Dice, Fault, FaultKind, InferenceId, Tenant};
use tokio::sync::watch;

/// The most files that a tenant may have, and the most batches, ended or not.
const MOST_FILES: usize = 10_000;
/// The most batches of a tenant that have not ended.
const MOST_OPEN: usize = 64;
/// More than any of our own files has.
const LARGEST: u64 = 1 << 40;
/// The longest of what is known of a file or a batch.
const LONGEST: usize = 1 << 20;

/// Files and batches.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(super) spec: BatchesSpec,
    pub(super) clock: Arc<dyn Clock>,
    /// The most files that a tenant may have, and the most batches: [`MOST_FILES`], less where a test says so.
    pub(super) most: usize,
    blobs: Arc<dyn Blobs>,
    dice: Arc<dyn Dice>,
    known: Mutex<Known>,
    /// Held while a file is counted and becomes one, so that those that come at once have no room twice.
    taking: tokio::sync::Mutex<()>,
    /// Held while a batch changes, so that changes are written in the order in which they are made.
    changing: tokio::sync::Mutex<()>,
    /// Tells that a batch is to be looked at again.
    pub(super) told: watch::Sender<u64>,
}

/// What is known of all of them, by tenant and id.
#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<(Tenant, String), File>,
    batches: BTreeMap<(Tenant, String), Batch>,
}

impl Shelf {
    /// Reads what lies in the store. What a crash left half-written is removed, what cannot be read is left out.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(crate) async fn open(
        spec: BatchesSpec,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Result<Self, Fault> {
        let told = watch::Sender::new(0);
        let (taking, changing) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        let known = Mutex::default();
        let shelf = Self { spec, clock, most: MOST_FILES, blobs, dice, known, taking, changing, told };
        let mut known = Known::default();
        for folder in shelf.folders("files").await? {
            match shelf.read::<File>(&format!("{folder}/about")).await {
                Ok(Some(file)) => drop(known.files.insert((file.tenant.clone(), file.id.clone()), file)),
                Ok(None) => {
                    if let Err(fault) = shelf.blobs.delete(&path(&folder)?).await {
                        tracing::error!(folder, %fault, "what is left of a file cannot be removed");
                    }
                }
                // One that is broken ends no start; it stays where it is, for somebody to look at.
                Err(fault) => tracing::error!(folder, %fault, "a file of batches cannot be read: it is left out"),
            }
        }
        for folder in shelf.folders("batches").await? {
            match shelf.read::<Batch>(&format!("{folder}/state")).await {
                Ok(Some(batch)) => drop(known.batches.insert((batch.tenant.clone(), batch.id.clone()), batch)),
                Ok(None) => {}
                Err(fault) => tracing::error!(folder, %fault, "a batch cannot be read: it is left out"),
            }
        }
        *shelf.known() = known;
        Ok(shelf)
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.clock.unix_ms() / 1000
    }

    /// A new id; ids sort by the time at which they were made.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:032x}", InferenceId::new(&*self.clock, &*self.dice).as_u128())
    }

    /// Takes a file in: all of its content, or nothing of it.
    ///
    /// # Errors
    /// It is too large, or the tenant has too much already.
    pub(super) async fn take(&self, file: File, content: Frames, most: u64) -> Result<File, Fault> {
        self.has_room(&file)?;
        let folder = folder("files", &file.tenant, &file.id);
        let info = self.blobs.put(&path(&format!("{folder}/content"))?, content, most).await?;
        let file = File { bytes: info.length, ..file };
        let _taking = self.taking.lock().await;
        let kept = match self.has_room(&file) {
            Ok(()) => self.write(&format!("{folder}/about"), &file).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = kept {
            // Bytes that nobody counts take room as well. One that is written again may be there from before.
            if self.file(&file.tenant, &file.id).is_none() {
                self.blobs.delete(&path(&folder)?).await?;
            }
            return Err(fault);
        }
        self.known().files.insert((file.tenant.clone(), file.id.clone()), file.clone());
        Ok(file)
    }

    /// Whether its tenant may have this file. What comes of batches is always kept.
    fn has_room(&self, file: &File) -> Result<(), Fault> {
        if file.purpose == Purpose::BatchOutput {
            return Ok(());
        }
        let known = self.known();
        let own = known.files.values().filter(|known| known.tenant == file.tenant && known.id != file.id);
        let (count, bytes) = own.fold((0, file.bytes), |(count, sum), one| (count + 1, one.bytes.saturating_add(sum)));
        let says = if count >= self.most {
            format!("there are {} files already: delete some", self.most)
        } else if bytes > self.spec.max_stored {
            format!("files take at most {} bytes together: delete some", self.spec.max_stored)
        } else {
            return Ok(());
        };
        Err(Fault::new(FaultKind::TooLarge, says))
    }

    /// A file of a tenant.
    pub(super) fn file(&self, tenant: &Tenant, id: &str) -> Option<File> {
        self.known().files.get(&(tenant.clone(), id.to_owned())).cloned()
    }

    /// The files of a tenant, the newest first.
    pub(super) fn files(&self, tenant: &Tenant) -> Vec<File> {
        let known = self.known();
        known.files.values().filter(|file| file.tenant == *tenant).rev().cloned().collect()
    }

    /// The content of a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn content(&self, file: &File) -> Result<Blob, Fault> {
        let folder = folder("files", &file.tenant, &file.id);
        self.blobs.get(&path(&format!("{folder}/content"))?, None).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// A batch that has not ended needs it, or it cannot be removed.
    pub(super) async fn remove(&self, file: &File) -> Result<(), Fault> {
        {
            let known = self.known();
            let needs = |batch: &&Batch| {
                let is_its = batch.input == file.id || batch.output.as_ref() == Some(&file.id);
                !batch.status.is_final() && batch.tenant == file.tenant && is_its
            };
            if let Some(batch) = known.batches.values().find(needs) {
                let says = format!("the batch `{}` needs this file: cancel it first, or wait for its end", batch.id);
                return Err(Fault::new(FaultKind::Conflict, says));
            }
        }
        // First what makes it a file; until that is gone it counts.
        let folder = folder("files", &file.tenant, &file.id);
        self.blobs.delete(&path(&format!("{folder}/about"))?).await?;
        self.known().files.remove(&(file.tenant.clone(), file.id.clone()));
        self.blobs.delete(&path(&folder)?).await.map(drop)
    }

    /// A batch of a tenant.
    pub(super) fn batch(&self, tenant: &Tenant, id: &str) -> Option<Batch> {
        self.known().batches.get(&(tenant.clone(), id.to_owned())).cloned()
    }

    /// How a batch stands.
    pub(super) fn status(&self, of: &Batch) -> Option<Status> {
        self.known().batches.get(&(of.tenant.clone(), of.id.clone())).map(|batch| batch.status)
    }

    /// The ids of a tenant's batches, the newest first.
    pub(super) fn batches(&self, tenant: &Tenant) -> Vec<String> {
        let known = self.known();
        known.batches.keys().filter(|(whose, _)| whose == tenant).rev().map(|(_, id)| id.clone()).collect()
    }

    /// All batches that have not ended, the oldest first.
    pub(super) fn open_batches(&self) -> Vec<Batch> {
        let mut open: Vec<Batch> =
            self.known().batches.values().filter(|batch| !batch.status.is_final()).cloned().collect();
        open.sort_by(|one, other| one.id.cmp(&other.id));
        open
    }

    /// Takes a new batch in.
    ///
    /// # Errors
    /// Its tenant has too many, or too many that have not ended, or it cannot be written.
    pub(super) async fn begin(&self, batch: &Batch) -> Result<(), Fault> {
        let _changing = self.changing.lock().await;
        let is_open = |known: &&Batch| known.tenant == batch.tenant && !known.status.is_final();
        if self.known().batches.values().filter(is_open).count() >= MOST_OPEN {
            let says = format!("{MOST_OPEN} batches have not ended yet: come again when one has");
            return Err(Fault::new(FaultKind::RateLimited, says).after(Duration::from_secs(60)));
        }
        if self.known().batches.keys().filter(|(tenant, _)| *tenant == batch.tenant).count() >= self.most {
            let says = format!("there are {} batches already: the oldest go when their `retention` is over", self.most);
            return Err(Fault::new(FaultKind::RateLimited, says).after(Duration::from_secs(3600)));
        }
        self.keep(batch).await?;
        self.known().batches.insert((batch.tenant.clone(), batch.id.clone()), batch.clone());
        Ok(())
    }

    /// Changes a batch: what is written down first is what everybody sees then.
    ///
    /// # Errors
    /// It is gone, the change is refused, or it cannot be written.
    pub(super) async fn change(
        &self,
        of: &Batch,
        change: impl FnOnce(&mut Batch) -> Result<(), Fault> + Send,
    ) -> Result<Batch, Fault> {
        let _changing = self.changing.lock().await;
        let mut changed = self.batch(&of.tenant, &of.id).ok_or_else(|| none("batch", &of.id))?;
        change(&mut changed)?;
        self.keep(&changed).await?;
        self.known().batches.insert((of.tenant.clone(), of.id.clone()), changed.clone());
        self.told.send_modify(|times| *times = times.wrapping_add(1));
        Ok(changed)
    }

    /// Counts lines that came to something; written down with the next change.
    pub(super) async fn count(&self, of: &Batch, counts: Counts) {
        let _changing = self.changing.lock().await;
        if let Some(batch) = self.known().batches.get_mut(&(of.tenant.clone(), of.id.clone())) {
            batch.counts = counts;
        }
    }

    async fn keep(&self, batch: &Batch) -> Result<(), Fault> {
        self.write(&format!("{}/state", folder("batches", &batch.tenant, &batch.id)), batch).await
    }

    /// How many parts a batch has.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn parts(&self, batch: &Batch) -> Result<Vec<String>, Fault> {
        let folder = format!("{}/parts", folder("batches", &batch.tenant, &batch.id));
        let entries = self.blobs.list(Some(&path(&folder)?)).await?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Writes a part.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) async fn put_part(&self, batch: &Batch, name: &str, lines: String) -> Result<(), Fault> {
        let at = format!("{}/parts/{name}", folder("batches", &batch.tenant, &batch.id));
        self.blobs.put(&path(&at)?, whole(lines.into()), LARGEST).await.map(drop)
    }

    /// Reads a part.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn part(&self, batch: &Batch, name: &str) -> Result<Vec<u8>, Fault> {
        let at = format!("{}/parts/{name}", folder("batches", &batch.tenant, &batch.id));
        gathered(self.blobs.get(&path(&at)?, None).await?.frames, usize::MAX).await
    }

    /// Removes the parts of a batch that ended: all of it stands in its files.
    ///
    /// # Errors
    /// They cannot be removed.
    pub(super) async fn remove_parts(&self, batch: &Batch) -> Result<(), Fault> {
        let at = format!("{}/parts", folder("batches", &batch.tenant, &batch.id));
        self.blobs.delete(&path(&at)?).await.map(drop)
    }

    /// Removes what is older than it is kept, and what nothing leads to. What cannot be removed is told of and left for
    /// the next time.
    ///
    /// # Errors
    /// What nothing leads to cannot be removed.
    pub(super) async fn sweep(&self) -> Result<(), Fault> {
        let before = self.now().saturating_sub(self.spec.keep.as_secs());
        let old: Vec<Batch> = {
            let known = self.known();
            let is_old = |batch: &&Batch| batch.status.is_final() && batch.moments.created < before;
            known.batches.values().filter(is_old).cloned().collect()
        };
        for batch in old {
            match self.blobs.delete(&path(&folder("batches", &batch.tenant, &batch.id))?).await {
                Ok(_) => drop(self.known().batches.remove(&(batch.tenant, batch.id))),
                Err(fault) => tracing::error!(batch = batch.id, %fault, "an old batch cannot be removed"),
            }
        }
        let old: Vec<File> = self.known().files.values().filter(|file| file.created < before).cloned().collect();
        for file in old {
            match self.remove(&file).await {
                Err(fault) if fault.kind != FaultKind::Conflict => {
                    tracing::error!(file = file.id, %fault, "an old file of batches cannot be removed");
                }
                _ => {}
            }
        }
        self.blobs.sweep().await.map(drop)
    }

    /// The folders of all tenants' files or batches.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn folders(&self, kind: &str) -> Result<Vec<String>, Fault> {
        let mut all = Vec::new();
        for tenant in self.blobs.list(Some(&path(kind)?)).await? {
            let below = format!("{kind}/{}", tenant.name);
            let entries = self.blobs.list(Some(&path(&below)?)).await?;
            all.extend(entries.into_iter().map(|entry| format!("{below}/{}", entry.name)));
        }
        Ok(all)
    }

    async fn write(&self, at: &str, value: &impl serde::Serialize) -> Result<(), Fault> {
        let json = serde_json::to_vec(value).map_err(Fault::internal)?;
        self.blobs.put(&path(at)?, whole(json.into()), LARGEST).await.map(drop)
    }

    /// What is written there; nothing where there is nothing, or what is no longer understood.
    async fn read<T: DeserializeOwned>(&self, at: &str) -> Result<Option<T>, Fault> {
        let blob = match self.blobs.get(&path(at)?, None).await {
            Ok(blob) => blob,
            Err(fault) if fault.kind == FaultKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let json = gathered(blob.frames, LONGEST).await?;
        match serde_json::from_slice(&json) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Fault::internal(format!("{at}: {error}"))),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That there is none such.
pub(super) fn none(what: &str, id: &str) -> Fault {
    let id: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
    Fault::new(FaultKind::NotFound, format!("there is no {what} `{id}`"))
}

fn folder(kind: &str, tenant: &Tenant, id: &str) -> String {
    format!("{kind}/{}/{id}", Digest::of(tenant.as_str().as_bytes()).short())
}

fn path(text: &str) -> Result<BlobPath, Fault> {
    BlobPath::new(text)
}

fn whole(bytes: Bytes) -> Frames {
    Box::pin(stream::iter([Ok(bytes)]))
}

/// All of a content of at most so many bytes.
async fn gathered(mut frames: Frames, most: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| frames.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > most {
            return Err(Fault::internal("a file of the store of batches is larger than any that we write"));
        }
    }
    Ok(all)
}
