//! Method and path to endpoint, and the role that each needs: the one table of everything served.

use http::Method;
use tidegate_core::port::mount::rest_of;
use tidegate_core::{Api, Role};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A call to a model.
    Infer(Api),
    /// A call to a classic model, whose path says how.
    Predict,
    /// What is said of classic models.
    Classic,
    /// Which models there are, and that one is there.
    Repository,
    /// The list of routes.
    Models,
    /// One route.
    Model,
    /// Whether the process lives.
    Health,
    /// Whether it takes calls.
    Ready,
    /// Prometheus metrics.
    Metrics,
    /// The configuration that runs.
    Config,
    /// Read the configuration again.
    Reload,
    /// The newest events.
    Events,
    /// One event.
    Event,
    /// What each replica serves of the registry's models.
    Serving,
    /// The keys, without their secrets.
    Keys,
    /// A new key.
    NewKey,
    /// Revoke a key.
    RevokeKey,
}

/// Which listener an endpoint is served on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Those of callers.
    Public,
    /// The admin one.
    Admin,
    /// All of them.
    Both,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The method; `HEAD` is answered wherever `GET` is.
    pub method: Method,
    /// The path; a trailing `{}` stands for the rest of it, not empty.
    pub path: &'static str,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The role that it needs; `None` is open to anybody.
    pub role: Option<Role>,
    /// Where it is served.
    pub side: Side,
}

const fn row(method: Method, path: &'static str, endpoint: Endpoint, role: Option<Role>, side: Side) -> Row {
    Row { method, path, endpoint, role, side }
}

/// Everything served.
pub const TABLE: [Row; 29] = [
    row(Method::POST, "/v1/chat/completions", Endpoint::Infer(Api::ChatCompletions), Some(Role::Infer), Side::Public),
    row(Method::POST, "/v1/completions", Endpoint::Infer(Api::Completions), Some(Role::Infer), Side::Public),
    row(Method::POST, "/v1/embeddings", Endpoint::Infer(Api::Embeddings), Some(Role::Infer), Side::Public),
    row(Method::POST, "/v1/rerank", Endpoint::Infer(Api::Rerank), Some(Role::Infer), Side::Public),
    row(Method::GET, "/v1/models", Endpoint::Models, Some(Role::Infer), Side::Public),
    row(Method::GET, "/v1/models/{}", Endpoint::Model, Some(Role::Infer), Side::Public),
    row(Method::POST, "/v1/models/{}", Endpoint::Predict, Some(Role::Infer), Side::Public),
    row(Method::POST, "/v2/models/{}", Endpoint::Predict, Some(Role::Infer), Side::Public),
    row(Method::POST, "/invocations", Endpoint::Predict, Some(Role::Infer), Side::Public),
    row(Method::POST, "/api/v1.0/predictions", Endpoint::Predict, Some(Role::Infer), Side::Public),
    row(Method::GET, "/v2/health/live", Endpoint::Classic, None, Side::Public),
    row(Method::GET, "/v2/health/ready", Endpoint::Classic, None, Side::Public),
    row(Method::GET, "/ping", Endpoint::Classic, None, Side::Public),
    row(Method::GET, "/v2", Endpoint::Classic, Some(Role::Infer), Side::Public),
    row(Method::GET, "/version", Endpoint::Classic, Some(Role::Infer), Side::Public),
    row(Method::GET, "/v2/models/{}", Endpoint::Classic, Some(Role::Infer), Side::Public),
    row(Method::POST, "/v2/repository/index", Endpoint::Repository, Some(Role::Infer), Side::Public),
    row(Method::POST, "/v2/repository/models/{}", Endpoint::Repository, Some(Role::Admin), Side::Public),
    row(Method::GET, "/healthz", Endpoint::Health, None, Side::Both),
    row(Method::GET, "/readyz", Endpoint::Ready, None, Side::Both),
    row(Method::GET, "/metrics", Endpoint::Metrics, Some(Role::Read), Side::Both),
    row(Method::GET, "/admin/v1/config", Endpoint::Config, Some(Role::Read), Side::Admin),
    row(Method::POST, "/admin/v1/reload", Endpoint::Reload, Some(Role::Admin), Side::Admin),
    row(Method::GET, "/admin/v1/events", Endpoint::Events, Some(Role::Read), Side::Admin),
    row(Method::GET, "/admin/v1/events/{}", Endpoint::Event, Some(Role::Read), Side::Admin),
    row(Method::GET, "/admin/v1/serving", Endpoint::Serving, Some(Role::Read), Side::Admin),
    row(Method::GET, "/admin/v1/keys", Endpoint::Keys, Some(Role::Admin), Side::Admin),
    row(Method::POST, "/admin/v1/keys", Endpoint::NewKey, Some(Role::Admin), Side::Admin),
    row(Method::DELETE, "/admin/v1/keys/{}", Endpoint::RevokeKey, Some(Role::Admin), Side::Admin),
];

/// What a method and a path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// This endpoint, with the rest of the path where its row has one.
    Endpoint(Endpoint, Option<Role>, &'a str),
    /// The path is there, but not for this method; these are allowed.
    WrongMethod(String),
    /// A browser asks what it may do here.
    Preflight(String),
    /// Nothing.
    Nothing,
}

/// Looks a request up; `admin` says on which listener it came in.
#[must_use]
pub fn find<'a>(method: &Method, path: &'a str, admin: bool) -> Found<'a> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed: Vec<&'static str> = Vec::new();
    for row in &TABLE {
        let served_here = row.side == Side::Both || (row.side == Side::Admin) == admin;
        let Some(rest) = served_here.then(|| rest_of(row.path, path)).flatten() else { continue };
        if row.method == *method {
            return Found::Endpoint(row.endpoint, row.role, rest);
        }
        allowed.extend(if row.method == Method::GET {
            &["GET", "HEAD"][..]
        } else {
            std::slice::from_ref(method_name(&row.method))
        });
    }
    match (allowed.is_empty(), *method == Method::OPTIONS) {
        (true, _) => Found::Nothing,
        (false, true) => Found::Preflight(allowed.join(", ")),
        (false, false) => Found::WrongMethod(allowed.join(", ")),
    }
}

fn method_name(method: &Method) -> &'static &'static str {
    if *method == Method::DELETE { &"DELETE" } else { &"POST" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_on_its_own_listener_only() {
        for row in TABLE {
            let path = row.path.replace("{}", "org/x");
            for admin in [false, true] {
                let here = row.side == Side::Both || (row.side == Side::Admin) == admin;
                let found = matches!(find(&row.method, &path, admin), Found::Endpoint(e, r, _) if e == row.endpoint && r == row.role);
                assert_eq!(found, here, "{} {} admin={admin}", row.method, row.path);
            }
        }
    }

    #[test]
    fn everything_but_the_probes_needs_a_role() {
        let open: Vec<_> = TABLE.iter().filter(|row| row.role.is_none()).map(|row| row.path).collect();
        assert_eq!(open, ["/v2/health/live", "/v2/health/ready", "/ping", "/healthz", "/readyz"]);
    }

    #[test]
    fn other_methods_learn_what_is_allowed() {
        assert_eq!(find(&Method::GET, "/v1/chat/completions", false), Found::WrongMethod("POST".into()));
        assert_eq!(find(&Method::PUT, "/v1/models", false), Found::WrongMethod("GET, HEAD".into()));
        assert_eq!(find(&Method::OPTIONS, "/v1/models", false), Found::Preflight("GET, HEAD".into()));
        assert_eq!(find(&Method::PUT, "/admin/v1/keys", true), Found::WrongMethod("GET, HEAD, POST".into()));
        assert_eq!(find(&Method::GET, "/v1/models/", false), Found::Nothing);
        assert_eq!(
            find(&Method::HEAD, "/v1/models/a", false),
            Found::Endpoint(Endpoint::Model, Some(Role::Infer), "a")
        );
    }
}
