//! Tests of references.

use super::*;
use crate::tree;

fn filled(text: &str) -> Result<String, String> {
    let (mut notes, mut sources) = (Notes::default(), Sources::of("x", text));
    let mut node = tree::parse(0, text, &mut notes);
    let env = |name: &str| (name == "PORT").then(|| "80".to_owned()).or_else(|| (name == "EMPTY").then(String::new));
    Answers { env: &env, base: Path::new("/nowhere"), sources: &mut sources, notes: &mut notes }.fill(&mut node);
    match node.kind {
        Kind::Scalar(scalar) => Ok(scalar.value),
        _ => Err(notes.settle(&sources).0.findings.remove(0).message),
    }
}

#[test]
fn references_are_put_in() {
    for (text, value) in [
        ("127.0.0.1:${env:PORT}", "127.0.0.1:80"),
        ("${env:PORT}${env:PORT}", "8080"),
        ("${env:NONE:-http://a:1/v1}", "http://a:1/v1"),
        ("${env:EMPTY:-x}", "x"),
        ("${env:NONE:-}", ""),
        ("$${env:PORT}", "${env:PORT}"),
        ("$PORT", "$PORT"),
    ] {
        assert_eq!(filled(text).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn what_has_no_answer_is_said() {
    for (text, message) in [
        ("${env:NONE}", "the environment variable `NONE` is not set"),
        ("${env:A-B}", "`A-B` is no name of an environment variable"),
        ("${NONE}", "`${NONE}` is no reference"),
        ("${env:PORT", "`${env:PORT` has no closing brace"),
    ] {
        assert_eq!(filled(text), Err(message.to_owned()), "{text}");
    }
    assert!(filled("${file:missing}").unwrap_err().starts_with("the file of `${file:missing}` cannot be read"));
}

#[test]
fn a_file_is_read_without_its_last_line_end_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    let (mut notes, mut sources) = (Notes::default(), Sources::default());
    let mut node = tree::parse(0, "${file:secret}", &mut notes);
    Answers { env: &|_| None, base: folder.path(), sources: &mut sources, notes: &mut notes }.fill(&mut node);
    assert!(matches!(&node.kind, Kind::Scalar(scalar) if scalar.value == "s3cret" && scalar.is_referred), "{node:?}");
    assert_eq!(sources.paths(), [folder.path().join("secret")]);
}
