//! Method and path to call, and the role that each needs: the one table of MLflow's interface.

use http::Method;
use tidegate_core::Role;
use tidegate_core::port::mount::rest_of;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Call {
    CreateModel,
    GetModel,
    RenameModel,
    UpdateModel,
    DeleteModel,
    SearchModels,
    LatestVersions,
    SetModelTag,
    DeleteModelTag,
    SetAlias,
    DeleteAlias,
    GetAlias,
    CreateVersion,
    GetVersion,
    UpdateVersion,
    DeleteVersion,
    TransitionStage,
    SearchVersions,
    DownloadUri,
    SetVersionTag,
    DeleteVersionTag,
    CreateWebhook,
    ListWebhooks,
    GetWebhook,
    UpdateWebhook,
    DeleteWebhook,
    TestWebhook,
    ListArtifacts,
    Download,
    Upload,
    Remove,
    CreateUpload,
    CompleteUpload,
    AbortUpload,
    UploadPart,
    Presigned,
    ServerInfo,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    method: &'static str,
    /// Below `/api/2.0` and `/ajax-api/2.0`; a trailing `{}` stands for the rest of the path.
    path: &'static str,
    pub(super) call: Call,
    /// `None` is open to anybody.
    pub(super) role: Option<Role>,
}

const fn row(method: &'static str, path: &'static str, call: Call, role: Role) -> Row {
    Row { method, path, call, role: Some(role) }
}

/// Everything served below the first version's prefix.
const TABLE: [Row; 37] = [
    row("POST", "/mlflow/registered-models/create", Call::CreateModel, Role::Write),
    row("GET", "/mlflow/registered-models/get", Call::GetModel, Role::Read),
    row("POST", "/mlflow/registered-models/rename", Call::RenameModel, Role::Write),
    row("PATCH", "/mlflow/registered-models/update", Call::UpdateModel, Role::Write),
    row("DELETE", "/mlflow/registered-models/delete", Call::DeleteModel, Role::Write),
    row("GET", "/mlflow/registered-models/search", Call::SearchModels, Role::Read),
    row("GET", "/mlflow/registered-models/get-latest-versions", Call::LatestVersions, Role::Read),
    row("POST", "/mlflow/registered-models/get-latest-versions", Call::LatestVersions, Role::Read),
    row("POST", "/mlflow/registered-models/set-tag", Call::SetModelTag, Role::Write),
    row("DELETE", "/mlflow/registered-models/delete-tag", Call::DeleteModelTag, Role::Write),
    row("POST", "/mlflow/registered-models/alias", Call::SetAlias, Role::Write),
    row("DELETE", "/mlflow/registered-models/alias", Call::DeleteAlias, Role::Write),
    row("GET", "/mlflow/registered-models/alias", Call::GetAlias, Role::Read),
    row("POST", "/mlflow/model-versions/create", Call::CreateVersion, Role::Write),
    row("GET", "/mlflow/model-versions/get", Call::GetVersion, Role::Read),
    row("PATCH", "/mlflow/model-versions/update", Call::UpdateVersion, Role::Write),
    row("DELETE", "/mlflow/model-versions/delete", Call::DeleteVersion, Role::Write),
    row("POST", "/mlflow/model-versions/transition-stage", Call::TransitionStage, Role::Write),
    row("GET", "/mlflow/model-versions/search", Call::SearchVersions, Role::Read),
    row("GET", "/mlflow/model-versions/get-download-uri", Call::DownloadUri, Role::Read),
    row("POST", "/mlflow/model-versions/set-tag", Call::SetVersionTag, Role::Write),
    row("DELETE", "/mlflow/model-versions/delete-tag", Call::DeleteVersionTag, Role::Write),
    row("POST", "/mlflow/webhooks", Call::CreateWebhook, Role::Admin),
    row("GET", "/mlflow/webhooks", Call::ListWebhooks, Role::Read),
    row("GET", "/mlflow/webhooks/{}", Call::GetWebhook, Role::Read),
    row("PATCH", "/mlflow/webhooks/{}", Call::UpdateWebhook, Role::Admin),
    row("DELETE", "/mlflow/webhooks/{}", Call::DeleteWebhook, Role::Admin),
    row("POST", "/mlflow/webhooks/{}", Call::TestWebhook, Role::Admin),
    row("GET", "/mlflow-artifacts/artifacts", Call::ListArtifacts, Role::Read),
    row("GET", "/mlflow-artifacts/artifacts/{}", Call::Download, Role::Read),
    row("PUT", "/mlflow-artifacts/artifacts/{}", Call::Upload, Role::Write),
    row("DELETE", "/mlflow-artifacts/artifacts/{}", Call::Remove, Role::Write),
    row("POST", "/mlflow-artifacts/mpu/create/{}", Call::CreateUpload, Role::Write),
    row("POST", "/mlflow-artifacts/mpu/complete/{}", Call::CompleteUpload, Role::Write),
    row("POST", "/mlflow-artifacts/mpu/abort/{}", Call::AbortUpload, Role::Write),
    // What is asked of whoever sends a part is the upload's id, which no other has.
    Row { method: "PUT", path: "/mlflow-artifacts/mpu/part/{}", call: Call::UploadPart, role: None },
    row("GET", "/mlflow-artifacts/presigned/{}", Call::Presigned, Role::Read),
];

/// What the client asks before it has anything to show.
const SERVER_INFO: Row = Row { method: "GET", path: "", call: Call::ServerInfo, role: None };

/// What a method and a path lead to.
#[derive(Debug, Clone)]
pub(super) enum Found<'a> {
    /// This call, with the rest of the path where its row has one.
    Call(&'static Row, &'a str),
    /// The path is there for other methods.
    WrongMethod(String),
    /// Nothing.
    Nothing,
}

/// Looks a request up.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    if matches!(path, "/api/3.0/mlflow/server-info" | "/ajax-api/3.0/mlflow/server-info") {
        return if method == "GET" {
            Found::Call(&SERVER_INFO, "")
        } else {
            Found::WrongMethod("GET, HEAD".to_owned())
        };
    }
    let Some(below) = path.strip_prefix("/api/2.0").or_else(|| path.strip_prefix("/ajax-api/2.0")) else {
        return Found::Nothing;
    };
    let mut allowed: Vec<&str> = Vec::new();
    for row in &TABLE {
        let Some(rest) = rest_of(row.path, below) else { continue };
        if row.method == method {
            return Found::Call(row, rest);
        }
        allowed.extend(if row.method == "GET" { &["GET", "HEAD"][..] } else { std::slice::from_ref(&row.method) });
    }
    if allowed.is_empty() { Found::Nothing } else { Found::WrongMethod(allowed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_below_both_prefixes_and_needs_a_role() {
        for row in &TABLE {
            for prefix in ["/api/2.0", "/ajax-api/2.0"] {
                let path = format!("{prefix}{}", row.path.replace("{}", "a/b"));
                let method = Method::from_bytes(row.method.as_bytes()).unwrap();
                let Found::Call(found, rest) = find(&method, &path) else { panic!("{path}") };
                assert_eq!((found.call, rest.is_empty()), (row.call, !row.path.ends_with("{}")), "{path}");
            }
            assert_eq!(row.role.is_none(), row.call == Call::UploadPart, "{}", row.path);
        }
    }

    #[test]
    fn what_changes_something_needs_the_role_write() {
        for row in TABLE.iter().filter(|row| row.role.is_some()) {
            let reads = row.method == "GET" || row.call == Call::LatestVersions;
            assert_eq!(row.role == Some(Role::Read), reads, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn other_methods_learn_what_is_allowed() {
        let allowed = |method, path| match find(&method, path) {
            Found::WrongMethod(allowed) => allowed,
            _ => String::new(),
        };
        assert_eq!(allowed(Method::GET, "/api/2.0/mlflow/registered-models/create"), "POST");
        assert_eq!(allowed(Method::PUT, "/api/2.0/mlflow/registered-models/get-latest-versions"), "GET, HEAD, POST");
        assert_eq!(allowed(Method::PATCH, "/api/2.0/mlflow/registered-models/alias"), "POST, DELETE, GET, HEAD");
        assert_eq!(allowed(Method::PUT, "/api/2.0/mlflow/webhooks/x"), "GET, HEAD, PATCH, DELETE, POST");
        assert_eq!(allowed(Method::POST, "/api/2.0/mlflow-artifacts/artifacts/x"), "GET, HEAD, PUT, DELETE");
        assert!(matches!(find(&Method::GET, "/api/2.0/mlflow/runs/get"), Found::Nothing));
        assert!(matches!(find(&Method::GET, "/v1/models"), Found::Nothing));
    }
}
