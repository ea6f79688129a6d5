//! Where a version is taken from. Owns which places may be named: never a path of this machine, never one that leads
//! out of where it seems to lie, and another version only by its own name.

use crate::fault::RegistryFault;
use crate::model::RegisteredName;
use crate::version::Stage;
use tidegate_core::percent;

/// A checked source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Another version.
    Version {
        /// Of this model.
        name: RegisteredName,
        /// With this number.
        version: i64,
    },
    /// The version that an alias stands for when it is read; `latest` is that with the highest number.
    Alias {
        /// Of this model.
        name: RegisteredName,
        /// This alias.
        alias: String,
    },
    /// The newest version of a stage when it is read.
    Stage {
        /// Of this model.
        name: RegisteredName,
        /// This stage.
        stage: Stage,
    },
    /// Anything else, as it was written.
    Elsewhere(String),
}

/// Schemes whose host the server itself would connect to.
const HOSTS: [&str; 9] = ["ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"];

impl Source {
    /// Checks a source that comes with this run and this logged model (either may be empty).
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check(text: &str, run_id: &str, logged_model: &str) -> Result<Self, RegistryFault> {
        let invalid = |why: &str| RegistryFault::invalid(format!("Invalid model version source: '{text}'. {why}"));
        let (scheme, rest) = text.split_once(':').map_or(("", text), |(scheme, rest)| (scheme, rest));
        let scheme = scheme.to_ascii_lowercase();
        if HOSTS.contains(&scheme.as_str()) || (scheme == "mlflow-artifacts" && rest.starts_with("//")) {
            return Err(RegistryFault::invalid(format!(
                "'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the \
                 tracking server's configured artifact storage, so the server would connect to the host named in the \
                 URI. Upload the files to mlflow-artifacts:/ instead."
            )));
        }
        if scheme == "models" {
            return models(text, rest, logged_model, &invalid);
        }
        let owner = if logged_model.is_empty() { "run_id" } else { "model_id" };
        if is_local(&scheme, text) {
            return Err(invalid(&format!(
                "To use a local path as a model version source, the {owner} request parameter has to be specified and \
                 the local path has to be contained within the artifact directory of the run specified by the {owner}."
            )));
        }
        if has_relative_parts(rest) || !rest.starts_with('/') || matches!(rest, "/" | "//") {
            return Err(invalid(
                "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, \
                 an absolute path must be provided without relative path references present. Please provide an \
                 absolute path.",
            ));
        }
        if scheme == "runs" {
            let run = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
            if run.is_empty() || run != run_id || !logged_model.is_empty() {
                return Err(invalid(&format!(
                    "The {owner} request parameter must identify the resource that contains the source."
                )));
            }
        }
        Ok(Self::Elsewhere(text.to_owned()))
    }
}

/// `models:/name/3`, `models:/name@alias`, `models:/name/latest` or `models:/m-…`, a logged model.
fn models(
    text: &str,
    rest: &str,
    logged_model: &str,
    invalid: &dyn Fn(&str) -> RegistryFault,
) -> Result<Source, RegistryFault> {
    if rest.starts_with("//") {
        return Err(invalid("Registered model sources must use the active model registry."));
    }
    let unparsed = || invalid("The model_id request parameter must identify the resource that contains the source.");
    let path = rest.strip_prefix('/').ok_or_else(unparsed)?;
    if let Some((name, alias)) = path.split_once('@') {
        return Ok(Source::Alias { name: RegisteredName::new(name)?, alias: alias.to_owned() });
    }
    match path.split_once('/') {
        None if path.starts_with("m-") && path == logged_model => Ok(Source::Elsewhere(text.to_owned())),
        None => Err(unparsed()),
        Some((name, "latest")) => Ok(Source::Alias { name: RegisteredName::new(name)?, alias: "latest".into() }),
        Some((name, version)) => {
            let name = RegisteredName::new(name)?;
            if let Ok(version) = version.parse() {
                return Ok(Source::Version { name, version });
            }
            let stage = Stage::read(version).map_err(|_| unparsed())?;
            Ok(Source::Stage { name, stage })
        }
    }
}

/// Whether a text names a place of this machine: no scheme, `file:`, a drive or a share of Windows.
fn is_local(scheme: &str, text: &str) -> bool {
    let is_drive = scheme.len() == 1 && text.as_bytes().get(2).is_some_and(|b| matches!(b, b'/' | b'\\'));
    scheme.is_empty() || scheme == "file" || is_drive || text.starts_with('\\') || scheme.contains(['/', '\\'])
}

/// Whether a path, percent-decoded until nothing changes, leads elsewhere than it says.
pub(crate) fn has_relative_parts(path: &str) -> bool {
    let mut decoded = path.to_owned();
    // Each round shortens it, so it ends; a text that needs more rounds than this is no honest path.
    for _ in 0..16 {
        let next = percent::decoded(&decoded);
        if next == decoded {
            let path = decoded.split(['?', '#']).next().unwrap_or_default();
            return path.contains('\0') || path.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
        }
        decoded = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, run: &str, model: &str) -> Result<Source, String> {
        Source::check(text, run, model).map_err(|fault| fault.says.into_owned())
    }

    #[test]
    fn places_of_this_machine_and_ways_out_are_refused() {
        for (text, says) in [
            ("/etc/passwd", "To use a local path"),
            ("", "To use a local path"),
            ("etc/passwd", "To use a local path"),
            ("file:///etc/passwd", "To use a local path"),
            ("FILE:/etc/passwd", "To use a local path"),
            ("c:\\windows", "To use a local path"),
            ("c:/windows", "To use a local path"),
            ("\\\\host\\share", "To use a local path"),
            ("mlflow-artifacts:/../../etc", "an absolute path must be provided"),
            ("mlflow-artifacts:/a/%2e%2e/b", "an absolute path must be provided"),
            ("mlflow-artifacts:/a/%252e%252e/b", "an absolute path must be provided"),
            ("s3://bucket/../x", "an absolute path must be provided"),
            ("x:y", "an absolute path must be provided"),
            ("runs:/", "an absolute path must be provided"),
            ("s3://bucket/a%00", "an absolute path must be provided"),
            ("http://127.0.0.1/", "cannot use the 'http' scheme"),
            ("HTTPS://h/", "cannot use the 'https' scheme"),
            ("mlflow-artifacts://host/x", "cannot use the 'mlflow-artifacts' scheme"),
            ("models://other/x/1", "must use the active model registry"),
            ("models:/x", "must identify the resource"),
            ("models:/x/y", "must identify the resource"),
            ("models:/m-1", "must identify the resource"),
            ("runs:/abc/model", "The run_id request parameter must identify"),
        ] {
            let fault = check(text, "", "").unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }

    #[test]
    fn what_models_come_from_is_taken() {
        let elsewhere = |text: &str| Ok(Source::Elsewhere(text.to_owned()));
        assert_eq!(check("s3://bucket/x", "", ""), elsewhere("s3://bucket/x"));
        assert_eq!(check("mlflow-artifacts:/a/b", "", ""), elsewhere("mlflow-artifacts:/a/b"));
        assert_eq!(check("runs:/abc/model", "abc", ""), elsewhere("runs:/abc/model"));
        assert_eq!(check("models:/m-12", "", "m-12"), elsewhere("models:/m-12"));
        let name = RegisteredName::new("n").unwrap();
        assert_eq!(check("models:/n/3", "", ""), Ok(Source::Version { name: name.clone(), version: 3 }));
        let stage = Source::Stage { name: name.clone(), stage: Stage::Staging };
        assert_eq!(check("models:/n/staging", "", ""), Ok(stage));
        assert_eq!(check("models:/n@champ", "", ""), Ok(Source::Alias { name, alias: "champ".into() }));
    }
}
