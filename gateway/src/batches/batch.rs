//! A batch as it stands. Owns its states, which follow from which, and OpenAI's object of it. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_core::{Api, Fault, FaultKind, KeyId, Tenant};

/// How long a batch may take, in seconds: OpenAI has one window.
pub(super) const WINDOW: u64 = 24 * 3600;
/// How it is called.
pub(super) const WINDOW_NAME: &str = "24h";

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Its input is looked at.
    Validating,
    /// Its input is no batch.
    Failed,
    /// Its lines are asked.
    InProgress,
    /// All were asked; its files are written.
    Finalizing,
    /// All is done.
    Completed,
    /// Its time was over before all lines were asked.
    Expired,
    /// No further line is asked; those under way end.
    Cancelling,
    /// It was ended by its caller.
    Cancelled,
}

impl Status {
    /// Whether nothing follows.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is wrong with a line of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineFault {
    /// A word for programs.
    pub(crate) code: String,
    /// What is wrong and how to mend it.
    pub(crate) message: String,
    /// The field.
    pub(crate) param: Option<String>,
    /// Which line, from 1.
    pub(crate) line: Option<u64>,
}

/// How many of its lines came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// All of them; 0 until the input is known.
    pub(crate) total: u64,
    /// Answered.
    pub(crate) completed: u64,
    /// Refused, failed, or not asked in time.
    pub(crate) failed: u64,
}

/// When it came to be what, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) in_progress: Option<u64>,
    pub(crate) finalizing: Option<u64>,
    pub(crate) completed: Option<u64>,
    pub(crate) failed: Option<u64>,
    pub(crate) expired: Option<u64>,
    pub(crate) cancelling: Option<u64>,
    pub(crate) cancelled: Option<u64>,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Its id.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) tenant: Tenant,
    /// Whose key its lines are asked with.
    pub(crate) key: KeyId,
    /// What its lines ask.
    pub(crate) api: Api,
    /// Its input.
    pub(crate) input: String,
    /// What the caller noted.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// How it stands.
    pub(crate) status: Status,
    /// Since when.
    pub(crate) moments: Moments,
    /// Its lines.
    pub(crate) counts: Counts,
    /// The file of the answers, once there is one.
    pub(crate) output: Option<String>,
    /// The file of the errors, once there is one.
    pub(crate) errors: Option<String>,
    /// Why its input is none.
    pub(crate) faults: Vec<LineFault>,
    /// Whether its time was over before all lines were asked.
    pub(crate) is_late: bool,
}

impl Batch {
    /// Its input is no batch.
    pub(super) fn refused(&mut self, faults: Vec<LineFault>, now: u64) {
        if self.status == Status::Validating {
            (self.status, self.moments.failed, self.faults) = (Status::Failed, Some(now), faults);
        }
    }

    /// Its input is known, and its lines are asked from now on.
    pub(super) fn begin(&mut self, lines: u64, now: u64) {
        if self.status == Status::Validating {
            self.counts.total = lines;
            (self.status, self.moments.in_progress) = (Status::InProgress, Some(now));
        }
    }

    /// No further line is asked. Once is enough.
    ///
    /// # Errors
    /// Its lines are all asked already, or it ended.
    pub(super) fn cancel(&mut self, now: u64) -> Result<(), Fault> {
        match self.status {
            Status::Validating | Status::InProgress => {
                (self.status, self.moments.cancelling) = (Status::Cancelling, Some(now));
                Ok(())
            }
            Status::Cancelling | Status::Cancelled => Ok(()),
            Status::Finalizing | Status::Failed | Status::Completed | Status::Expired => {
                let says = format!("a batch that is `{}` cannot be cancelled", self.status.name());
                Err(Fault::new(FaultKind::Conflict, says))
            }
        }
    }

    /// All its lines came to something, or its time is over and some are left.
    pub(super) fn finalize(&mut self, now: u64, is_late: bool) {
        if self.status == Status::InProgress {
            (self.status, self.moments.finalizing, self.is_late) = (Status::Finalizing, Some(now), is_late);
        }
    }

    /// Its files are written.
    pub(super) fn end(&mut self, now: u64) {
        match self.status {
            Status::Finalizing if self.is_late => (self.status, self.moments.expired) = (Status::Expired, Some(now)),
            Status::Finalizing => (self.status, self.moments.completed) = (Status::Completed, Some(now)),
            Status::Cancelling => (self.status, self.moments.cancelled) = (Status::Cancelled, Some(now)),
            _ => {}
        }
    }

    /// OpenAI's object of it.
    pub(super) fn shown(&self) -> Value {
        let Moments { created, expires, in_progress, finalizing, completed, failed, expired, cancelling, cancelled } =
            self.moments;
        let faults = (!self.faults.is_empty()).then(|| json!({"object": "list", "data": self.faults}));
        json!({
            "id": self.id,
            "object": "batch",
            "endpoint": format!("/v1{}", self.api.path()),
            "errors": faults,
            "input_file_id": self.input,
            "completion_window": WINDOW_NAME,
            "status": self.status.name(),
            "output_file_id": self.output,
            "error_file_id": self.errors,
            "created_at": created,
            "in_progress_at": in_progress,
            "expires_at": expires,
            "finalizing_at": finalizing,
            "completed_at": completed,
            "failed_at": failed,
            "expired_at": expired,
            "cancelling_at": cancelling,
            "cancelled_at": cancelled,
            "request_counts": self.counts,
            "metadata": self.metadata,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn batch() -> Batch {
        Batch {
            id: "batch_1".to_owned(),
            tenant: "acme".parse().unwrap(),
            key: "k".parse().unwrap(),
            api: Api::ChatCompletions,
            input: "file-1".to_owned(),
            metadata: None,
            status: Status::Validating,
            moments: Moments { created: 10, expires: 10 + WINDOW, ..Moments::default() },
            counts: Counts::default(),
            output: None,
            errors: None,
            faults: Vec::new(),
            is_late: false,
        }
    }

    #[test]
    fn a_batch_goes_the_ways_that_there_are() {
        let mut done = batch();
        done.begin(3, 11);
        done.finalize(12, false);
        done.end(13);
        assert_eq!(
            (done.status, done.moments.in_progress, done.moments.completed),
            (Status::Completed, Some(11), Some(13))
        );
        assert_eq!(done.cancel(14).unwrap_err().kind, FaultKind::Conflict);
        let mut late = batch();
        late.begin(3, 11);
        late.finalize(12, true);
        late.end(13);
        assert_eq!((late.status, late.moments.expired, late.moments.completed), (Status::Expired, Some(13), None));
        let mut cancelled = batch();
        cancelled.begin(3, 11);
        cancelled.cancel(12).unwrap();
        cancelled.cancel(13).unwrap();
        cancelled.finalize(14, true);
        assert_eq!((cancelled.status, cancelled.moments.cancelling), (Status::Cancelling, Some(12)));
        cancelled.end(15);
        assert_eq!((cancelled.status, cancelled.moments.cancelled), (Status::Cancelled, Some(15)));
        let mut wrong = batch();
        let fault =
            LineFault { code: "invalid_json_line".to_owned(), message: "no".to_owned(), param: None, line: Some(2) };
        wrong.refused(vec![fault], 11);
        wrong.begin(3, 12);
        assert_eq!((wrong.status, wrong.counts.total), (Status::Failed, 0));
        assert_eq!(wrong.shown()["errors"]["data"][0]["line"], 2);
    }

    /// Whatever is told in whatever order: what ended stays as it ended.
    #[test]
    fn what_ended_stays_so() {
        for order in 0..5_u32.pow(6) {
            let mut batch = batch();
            let mut ended = None;
            for step in 0..6 {
                match order / 5_u32.pow(step) % 5 {
                    0 => batch.begin(1, 1),
                    1 => batch.refused(Vec::new(), 2),
                    2 => drop(batch.cancel(3)),
                    3 => batch.finalize(4, order.is_multiple_of(2)),
                    _ => batch.end(5),
                }
                assert!(ended.is_none_or(|ended| ended == batch.status), "{order}");
                ended = Some(batch.status).filter(|status| status.is_final());
            }
        }
    }
}
