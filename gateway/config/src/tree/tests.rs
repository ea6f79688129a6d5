//! Tests of the tree: places, and what of YAML is refused.

use super::*;
use crate::source::Sources;

fn faults(text: &str) -> Vec<String> {
    let mut notes = Notes::default();
    parse(0, text, &mut notes);
    notes
        .settle(&Sources::of("x", text))
        .0
        .findings
        .into_iter()
        .map(|f| format!("{}:{}: {}", f.line, f.column, f.message))
        .collect()
}

#[test]
fn nodes_know_their_places() {
    let mut notes = Notes::default();
    let tree = parse(0, "a:\n  - b: {c: x}\né: y\n", &mut notes);
    let Some(Kind::List(list)) = tree.get("a").map(|node| &node.kind) else { panic!("{tree:?}") };
    let c = list[0].get("b").and_then(|b| b.get("c")).unwrap();
    assert_eq!((c.at.line, c.at.column, c.named.column, c.at.path.to_string().as_str()), (2, 12, 9, "a[0].b.c"));
    let y = tree.get("é").unwrap();
    assert_eq!((y.at.line, y.at.column, y.named.column), (3, 4, 1));
}

#[test]
fn a_repeated_key_names_the_first_and_the_rest_is_still_read() {
    assert_eq!(
        faults("a: 1\nb: 2\na: 3\nb: 4\n"),
        ["3:1: `a` stands here twice; the first is in line 1", "4:1: `b` stands here twice; the first is in line 2"]
    );
}

#[test]
fn anchors_aliases_tags_and_further_documents_are_refused() {
    assert_eq!(faults("a: &x 1\nb: *x\nc: !t 2\nd: *y\n").len(), 4);
    assert_eq!(faults("a: 1\n---\nb: 2\n"), ["2:1: a second document starts here"]);
    assert_eq!(faults("? [a]\n: 1\n"), ["1:3: a key is a text, not a list or map"]);
}

#[test]
fn depth_is_capped_and_what_follows_is_still_read() {
    let deep = format!("a: {}{}\nb: 1\nb: 2\n", "[".repeat(40), "]".repeat(40));
    assert_eq!(
        faults(&deep),
        ["1:35: this lies more than 32 levels deep", "3:1: `b` stands here twice; the first is in line 2"]
    );
}

#[test]
fn what_is_no_yaml_says_where() {
    let found = faults("a: [1, 2\nb: 3\n");
    assert!(found.len() == 1 && found[0].contains("no YAML"), "{found:?}");
}
