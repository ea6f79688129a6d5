//! The methods of `inference.GRPCInferenceService`, and the role that each needs: the one table of them.

use tidegate_core::Role;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Whether the server lives.
    ServerLive,
    /// Whether it takes calls.
    ServerReady,
    /// What it is.
    ServerMetadata,
    /// Whether a model is ready.
    ModelReady,
    /// What a model takes and gives.
    ModelMetadata,
    /// A call to a model.
    ModelInfer,
    /// Calls to models, one after the other.
    ModelStreamInfer,
    /// Which models there are.
    RepositoryIndex,
    /// That a model is there.
    RepositoryModelLoad,
    /// That it shall be gone.
    RepositoryModelUnload,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    /// What is asked for.
    pub(crate) method: Method,
    /// The role that it needs; `None` is open to anybody.
    pub(crate) role: Option<Role>,
}

const fn row(name: &'static str, method: Method, role: Option<Role>) -> Row {
    Row { name, method, role }
}

/// Everything served.
const TABLE: [Row; 10] = [
    row("ModelInfer", Method::ModelInfer, Some(Role::Infer)),
    row("ModelStreamInfer", Method::ModelStreamInfer, Some(Role::Infer)),
    row("ServerLive", Method::ServerLive, None),
    row("ServerReady", Method::ServerReady, None),
    row("ServerMetadata", Method::ServerMetadata, Some(Role::Infer)),
    row("ModelReady", Method::ModelReady, Some(Role::Infer)),
    row("ModelMetadata", Method::ModelMetadata, Some(Role::Infer)),
    row("RepositoryIndex", Method::RepositoryIndex, Some(Role::Infer)),
    row("RepositoryModelLoad", Method::RepositoryModelLoad, Some(Role::Admin)),
    row("RepositoryModelUnload", Method::RepositoryModelUnload, Some(Role::Admin)),
];

const SERVICE: &str = "/inference.GRPCInferenceService/";

/// What is said of all else.
pub(crate) const NONE: &str = "there is no such method: of gRPC, inference.GRPCInferenceService is served, with ServerLive, \
    ServerReady, ServerMetadata, ModelReady, ModelMetadata, ModelInfer, ModelStreamInfer and the Repository methods";

impl Method {
    /// The row of a path.
    pub(crate) fn of(path: &str) -> Option<&'static Row> {
        let name = path.strip_prefix(SERVICE)?;
        TABLE.iter().find(|row| row.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_their_paths_and_all_but_the_probes_need_a_role() {
        for row in &TABLE {
            assert_eq!(Method::of(&format!("{SERVICE}{}", row.name)).map(|row| row.method), Some(row.method));
            assert!(NONE.contains(row.name) || row.name.starts_with("Repository"), "{}", row.name);
        }
        let open: Vec<_> = TABLE.iter().filter(|row| row.role.is_none()).map(|row| row.name).collect();
        assert_eq!(open, ["ServerLive", "ServerReady"]);
        for path in ["/ModelInfer", "/inference.GRPCInferenceService/modelinfer", "/x.GRPCInferenceService/ModelInfer"]
        {
            assert!(Method::of(path).is_none(), "{path}");
        }
    }
}
