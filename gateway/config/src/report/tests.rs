//! Tests of the looks of a report.

use super::*;
use crate::place::Path;

fn place(line: usize, column: usize, width: usize) -> Place {
    Place { source: 0, line, column, width, path: Path::default().key("a") }
}

#[test]
fn findings_are_sorted_and_marked() {
    let sources = Sources::of("x.yaml", "a: 1\nbéta: wrong\n");
    let mut notes = Notes::default();
    notes.fault(&place(2, 7, 5), "this is wrong").remedy("make it right");
    notes.fault(&place(1, 4, 1), "so is this");
    let (report, _) = notes.settle(&sources);
    let expected = "x.yaml:1:4: so is this\n  |\n1 | a: 1\n  |    ^\n\nx.yaml:2:7: this is wrong\n  |\n2 | béta: wrong\n  |       ^^^^^\n  = make it right\n";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn a_secret_on_the_line_is_blotted_out_and_nothing_forges_a_line() {
    let sources = Sources::of("x.yaml", "a: hunter2, b: \u{1b}[31m\n");
    let mut notes = Notes::default();
    notes.conceal(&place(1, 4, 7));
    notes.fault(&place(1, 13, 1), "bad\nx.yaml:9:9: forged");
    let text = notes.settle(&sources).0.to_string();
    assert!(!text.contains("hunter2") && !text.contains('\u{1b}') && text.lines().count() == 4, "{text}");
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let line = format!("{}wrong{}", "a".repeat(5000), "b".repeat(5000));
    let sources = Sources::of("x.yaml", &line);
    let mut notes = Notes::default();
    notes.fault(&place(1, 5001, 5), "far out");
    let text = notes.settle(&sources).0.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let column = |line: &str, of: char| line.chars().position(|c| c == of);
    assert!(lines[2].chars().count() < 130, "{text}");
    assert_eq!(column(lines[2], 'w'), column(lines[3], '^'), "{text}");
}
