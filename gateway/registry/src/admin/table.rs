//! Method and path to call, and the role that each needs: the one table of the registry's own interface.

use http::Method;
use tidegate_core::Role;
use tidegate_core::port::mount::Passage;

/// Where it is served.
pub(super) const ROOT: &str = "/admin/v1/models";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    List,
    Show,
    Versions,
    Version,
    Register,
    Upload,
    Classify,
    Alias,
    MoveAlias,
    RemoveAlias,
    Card,
    SetCard,
    Baseline,
    SetBaseline,
    Evaluations,
    Evaluate,
    Approvals,
    Approve,
    Withdraw,
    Verify,
}

/// One row of the table.
struct Row {
    method: &'static str,
    /// The parts of the path behind the root; `{}` stands for any one.
    path: &'static [&'static str],
    call: Call,
    role: Role,
}

const fn row(method: &'static str, path: &'static [&'static str], call: Call, role: Role) -> Row {
    Row { method, path, call, role }
}

/// Everything served.
const TABLE: [Row; 20] = [
    row("GET", &[], Call::List, Role::Read),
    row("POST", &[], Call::Register, Role::Write),
    row("GET", &["{}"], Call::Show, Role::Read),
    row("GET", &["{}", "versions"], Call::Versions, Role::Read),
    row("GET", &["{}", "versions", "{}"], Call::Version, Role::Read),
    row("POST", &["{}", "artifact"], Call::Upload, Role::Write),
    row("PATCH", &["{}"], Call::Classify, Role::Write),
    row("GET", &["{}", "aliases", "{}"], Call::Alias, Role::Read),
    row("PUT", &["{}", "aliases", "{}"], Call::MoveAlias, Role::Write),
    row("DELETE", &["{}", "aliases", "{}"], Call::RemoveAlias, Role::Write),
    row("GET", &["{}", "versions", "{}", "card"], Call::Card, Role::Read),
    row("PUT", &["{}", "versions", "{}", "card"], Call::SetCard, Role::Write),
    row("GET", &["{}", "versions", "{}", "baseline"], Call::Baseline, Role::Read),
    row("PUT", &["{}", "versions", "{}", "baseline"], Call::SetBaseline, Role::Write),
    row("GET", &["{}", "versions", "{}", "evaluations"], Call::Evaluations, Role::Read),
    row("POST", &["{}", "versions", "{}", "evaluations"], Call::Evaluate, Role::Write),
    row("GET", &["{}", "versions", "{}", "approvals"], Call::Approvals, Role::Read),
    row("POST", &["{}", "versions", "{}", "approvals"], Call::Approve, Role::Approve),
    row("DELETE", &["{}", "versions", "{}", "approvals", "{}"], Call::Withdraw, Role::Approve),
    row("GET", &["{}", "versions", "{}", "verify"], Call::Verify, Role::Read),
];

/// What a request leads to; `HEAD` is answered wherever `GET` is.
pub(super) fn find(method: &Method, parts: &[String]) -> Option<(Call, Role)> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    rows(parts).find(|row| row.method == method).map(|row| (row.call, row.role))
}

/// The same as the server asks.
pub(super) fn passage(method: &Method, parts: &[String]) -> Passage {
    if let Some((_, role)) = find(method, parts) {
        return Passage::Needs(role);
    }
    let taken: Vec<&str> = rows(parts).map(|row| if row.method == "GET" { "GET, HEAD" } else { row.method }).collect();
    if taken.is_empty() { Passage::Nothing } else { Passage::WrongMethod(taken.join(", ")) }
}

fn rows(parts: &[String]) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| {
        let fits = |(own, given): (&&str, &String)| *own == "{}" && !given.is_empty() || own == given;
        row.path.len() == parts.len() && row.path.iter().zip(parts).all(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_and_what_changes_something_needs_more_than_to_read() {
        for row in &TABLE {
            let parts: Vec<String> = row.path.iter().map(|part| part.replace("{}", "x")).collect();
            let method = Method::from_bytes(row.method.as_bytes()).unwrap();
            assert_eq!(find(&method, &parts), Some((row.call, row.role)), "{} {:?}", row.method, row.path);
            assert_eq!(row.role == Role::Read, row.method == "GET", "{} {:?}", row.method, row.path);
        }
    }

    #[test]
    fn other_methods_learn_what_is_allowed() {
        let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(passage(&Method::POST, &parts("m")), Passage::WrongMethod("GET, HEAD, PATCH".into()));
        assert_eq!(passage(&Method::HEAD, &parts("m/versions")), Passage::Needs(Role::Read));
        assert_eq!(passage(&Method::GET, &parts("m/else")), Passage::Nothing);
        assert_eq!(passage(&Method::GET, &parts("")), Passage::Nothing);
    }
}
