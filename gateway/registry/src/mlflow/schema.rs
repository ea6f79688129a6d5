//! Which parameters each call takes: the order here is the order in which they are checked.

use super::table::Call;

/// What a parameter must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    List,
    /// A whole number of at most this.
    Number(i64),
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

const fn must(name: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Text, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

/// Of uploads in parts.
const PATH: Parameter = must("path");
const UPLOAD: Parameter = may("upload_id", Kind::Text);
const PARTS: Parameter = Parameter { name: "parts", kind: Kind::List, required: true };

/// The parameters of a call.
pub(super) const fn of(call: Call) -> &'static [Parameter] {
    const NAME: Parameter = must("name");
    const VERSION: Parameter = must("version");
    const DESCRIPTION: Parameter = may("description", Kind::Text);
    const FILTER: Parameter = may("filter", Kind::Text);
    const ORDER: Parameter = may("order_by", Kind::List);
    const TOKEN: Parameter = may("page_token", Kind::Text);
    match call {
        Call::CreateModel => {
            const { &[NAME, may("tags", Kind::List), DESCRIPTION, may("deployment_job_id", Kind::Text)] }
        }
        Call::GetModel | Call::DeleteModel => const { &[NAME] },
        Call::RenameModel => const { &[NAME, must("new_name")] },
        Call::UpdateModel => const { &[NAME, DESCRIPTION, may("deployment_job_id", Kind::Text)] },
        Call::SearchModels => const { &[FILTER, may("max_results", Kind::Number(1000)), ORDER, TOKEN] },
        Call::LatestVersions => const { &[NAME, may("stages", Kind::List)] },
        Call::SetModelTag => const { &[NAME, must("key"), may("value", Kind::Text)] },
        Call::DeleteModelTag => const { &[NAME, must("key")] },
        Call::SetAlias => const { &[NAME, must("alias"), VERSION] },
        Call::DeleteAlias | Call::GetAlias => const { &[NAME, must("alias")] },
        Call::CreateVersion => {
            const {
                &[
                    NAME,
                    must("source"),
                    may("run_id", Kind::Text),
                    may("tags", Kind::List),
                    may("run_link", Kind::Text),
                    DESCRIPTION,
                    may("model_id", Kind::Text),
                ]
            }
        }
        Call::GetVersion | Call::DeleteVersion => const { &[NAME, VERSION] },
        Call::UpdateVersion => const { &[NAME, VERSION, DESCRIPTION] },
        Call::TransitionStage => {
            const { &[NAME, VERSION, must("stage"), may("archive_existing_versions", Kind::Flag)] }
        }
        Call::SearchVersions => const { &[FILTER, may("max_results", Kind::Number(200_000)), ORDER, TOKEN] },
        Call::DownloadUri => const { &[may("name", Kind::Text), may("version", Kind::Text)] },
        Call::SetVersionTag => const { &[NAME, VERSION, must("key"), may("value", Kind::Text)] },
        Call::DeleteVersionTag => const { &[NAME, VERSION, must("key")] },
        Call::ListArtifacts => const { &[may("path", Kind::Text)] },
        Call::CreateWebhook => {
            const {
                &[
                    NAME,
                    must("url"),
                    Parameter { name: "events", kind: Kind::List, required: true },
                    DESCRIPTION,
                    may("secret", Kind::Text),
                ]
            }
        }
        Call::UpdateWebhook => {
            const {
                &[
                    may("name", Kind::Text),
                    may("url", Kind::Text),
                    may("events", Kind::List),
                    DESCRIPTION,
                    may("secret", Kind::Text),
                ]
            }
        }
        Call::ListWebhooks => const { &[may("max_results", Kind::Number(i64::MAX)), TOKEN] },
        Call::GetWebhook | Call::DeleteWebhook | Call::TestWebhook => &[],
        Call::CreateUpload => const { &[PATH, may("num_parts", Kind::Number(i64::MAX))] },
        Call::CompleteUpload => const { &[PATH, UPLOAD, PARTS] },
        Call::AbortUpload => const { &[PATH, UPLOAD] },
        Call::Download | Call::Upload | Call::Remove | Call::UploadPart | Call::Presigned | Call::ServerInfo => {
            const { &[] }
        }
    }
}
