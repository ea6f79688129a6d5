//! The key file from the command line: a round trip, and who loses when two change it at once.

use super::*;
use tidegate_core::clock::ManualClock;

fn new(path: &Path, principal: &str, expires: Option<Duration>) -> New {
    New {
        principal: principal.parse().unwrap(),
        tenant: "web".parse().unwrap(),
        roles: vec![Role::Infer, Role::Read],
        routes: vec!["smollm2".parse().unwrap()],
        expires,
        tags: vec![("team".to_owned(), "a b".to_owned())],
        file: KeyFile { keys_file: Some(path.to_owned()), config: None },
    }
}

fn add(path: &Path, principal: &str) -> (Secret, KeyRecord) {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let (secret, record) = new(path, principal, Some(Duration::from_secs(3600))).make(&clock).unwrap();
    let kept = record.clone();
    let is_added = keys::change(path, |records| {
        records.push(record);
        true
    });
    assert!(is_added.unwrap());
    (secret, kept)
}

#[test]
fn a_key_survives_its_file_and_the_secret_is_not_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let (secret, record) = add(&path, "ann");
    assert_eq!(secret.expose().len(), 3 + 64);
    assert_eq!(record.digest, Digest::of(secret.expose().as_bytes()));
    assert_eq!(read(&path).unwrap(), [record]);
    assert!(!std::fs::read_to_string(&path).unwrap().contains(&secret.expose()[3..]));
}

#[test]
fn secrets_and_ids_do_not_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let (one, two) = (add(&path, "a"), add(&path, "b"));
    assert_ne!(one.0.expose(), two.0.expose());
    assert_ne!(one.1.id, two.1.id);
}

#[test]
fn a_revoked_key_is_gone_and_an_unknown_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let (_, kept) = add(&path, "ann");
    let (_, gone) = add(&path, "bob");
    let file = || KeyFile { keys_file: Some(path.clone()), config: None };
    Key::Revoke { id: gone.id.clone(), file: file() }.run().unwrap();
    assert_eq!(read(&path).unwrap(), [kept]);
    let fault = Key::Revoke { id: gone.id, file: file() }.run().unwrap_err().to_string();
    assert!(fault.contains("there is no key"), "{fault}");
}

#[test]
fn none_is_lost_when_many_are_made_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    std::thread::scope(|scope| {
        for i in 0..8 {
            let path = &path;
            scope.spawn(move || add(path, &format!("p{i}")));
        }
    });
    assert_eq!(read(&path).unwrap().len(), 8);
}

#[test]
fn the_table_marks_what_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (_, record) = add(&folder.path().join("keys.yaml"), "ann");
    let text = table(std::slice::from_ref(&record), SystemTime::UNIX_EPOCH, Style::plain());
    assert!(
        text.contains("ann              web              infer,read               2027-01-15 09:00 smollm2"),
        "{text}"
    );
    assert_eq!(shown(&[record])[0]["expires"], 1_800_003_600);
}
