//! What is written: numbered without a gap, durable, in git's own forms, and nobody's work lost.

use crate::testing::{Bare, by, options, text};
use crate::{Body, Draft, PromptFault, PromptStore};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_core::digest::Digest;
use tidegate_core::once::Once;
use tidegate_core::port::prompts::{PromptRole, Reach};
use tidegate_core::{PromptLabel, PromptName, PromptPick, PromptRef};

fn name(text: &str) -> PromptName {
    text.parse().unwrap()
}

fn label(text: &str) -> PromptLabel {
    text.parse().unwrap()
}

fn shown(store: &PromptStore, reference: &str, variables: Value) -> String {
    let reference: PromptRef = reference.parse().unwrap();
    let variables: Map<String, Value> = serde_json::from_value(variables).unwrap();
    store.rendered(&reference, &variables, Reach::Afar).unwrap().messages[0].content.clone()
}

#[test]
fn a_version_is_a_commit_with_author_and_message() {
    let bare = Bare::new();
    bare.commit(&[("README.md", Some("kept"))]);
    let store = bare.open();
    let one = store.register(&name("a"), &text("Hi {{ who }}"), &by(), "a first try").unwrap();
    let two = store.register(&name("a"), &text("Hello {{ who }}"), &by(), "").unwrap();
    assert_eq!((one.n, two.n), (1, 2));
    assert_eq!(shown(&store, "a", json!({"who": "Bo"})), "Hello Bo");
    let note = store.note(one.sha.unwrap()).unwrap().unwrap();
    assert_eq!(
        (note.author.as_str(), note.email.as_str(), note.message.as_str()),
        ("Ann", "ann@example.com", "a first try")
    );
    assert_eq!(bare.head().unwrap().to_string(), two.sha.unwrap().to_string());
    bare.tree_at(bare.head().unwrap(), "README.md");
    // Another store, as after a restart, says the same.
    assert_eq!(shown(&bare.open(), "a/1", json!({"who": "Bo"})), "Hi Bo");
}

#[test]
fn the_same_again_is_a_version_of_its_own() {
    let bare = Bare::new();
    let store = bare.open();
    for n in 1..=3 {
        assert_eq!(store.register(&name("a"), &text("same"), &by(), "").unwrap().n, n);
    }
    assert_eq!(shown(&store, "a/2", json!({})), "same");
}

#[test]
fn a_wrong_draft_is_refused_and_leaves_nothing() {
    let bare = Bare::new();
    let store = bare.open();
    for bad in ["{{", "{{ self.__class__ }}{{", "{% for i in range(999999999) %}x{% endfor %}", &"x".repeat(300 << 10)]
    {
        let fault = store.register(&name("a"), &text(bad), &by(), "").unwrap_err();
        assert!(matches!(&fault, PromptFault::Invalid { param, .. } if param == "template"), "{fault}");
    }
    assert_eq!(bare.head(), None);
}

#[test]
fn thirty_two_writers_lose_nothing_and_leave_no_gap() {
    let bare = Bare::new();
    // Two stores on one repository are two processes as far as locks go.
    let stores = [bare.open(), bare.open()];
    let stamps: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..32)
            .map(|writer| {
                let store = &stores[writer % 2];
                scope.spawn(move || {
                    let of = name(if writer % 4 < 2 { "even" } else { "odd" });
                    let write = |turn| store.register(&of, &text(&format!("{writer} {turn}")), &by(), "").unwrap();
                    (0..3).map(write).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let after = bare.open();
    for of in ["even", "odd"] {
        let mut numbers: Vec<u32> = stamps.iter().filter(|s| s.name.as_str() == of).map(|s| s.n).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=48).collect::<Vec<_>>());
    }
    for stamp in &stamps {
        let book = after.book();
        let version = book.entry(&stamp.name).unwrap().version(stamp.n).unwrap();
        assert_eq!(Some(version.sha), stamp.sha);
    }
}

#[test]
fn labels_move_with_who_and_why_and_roll_back() {
    let bare = Bare::new();
    let store = bare.open();
    for template in ["one", "two", "three"] {
        store.register(&name("a"), &text(template), &by(), "").unwrap();
    }
    let (a, production) = (name("a"), label("production"));
    for n in [1, 3] {
        store.set_label(&a, &production, &PromptPick::Number(n), (&by(), "better\nanswers"), None).unwrap();
    }
    assert_eq!(shown(&store, "a@production", json!({})), "three");
    assert_eq!(store.rollback(&a, &production, &by(), "worse").unwrap().n, 1);
    assert_eq!(shown(&bare.open(), "a@production", json!({})), "one");
    let moves = store.label_moves(&a, &production).unwrap();
    let told: Vec<_> = moves.iter().map(|m| (m.from, m.to, m.why.as_str())).collect();
    assert_eq!(
        told,
        [
            (None, Some(1), "better answers"),
            (Some(1), Some(3), "better answers"),
            (Some(3), Some(1), "rollback: worse")
        ]
    );
    assert_eq!(moves[0].who, "Ann <ann@example.com>");
    assert!(store.set_label(&a, &production, &PromptPick::Number(9), (&by(), ""), None).is_err());
    store.delete_label(&a, &production, &by(), "done").unwrap();
    assert!(matches!(store.delete_label(&a, &production, &by(), ""), Err(PromptFault::NotFound(_))));
    assert!(bare.open().book().entry(&a).unwrap().labels.is_empty());
}

#[test]
fn a_packed_label_is_deleted_too() {
    let bare = Bare::new();
    let store = bare.open();
    store.register(&name("a"), &text("one"), &by(), "").unwrap();
    let head = bare.head().unwrap();
    let packed = format!(
        "# pack-refs with: peeled fully-peeled sorted \n{head} refs/tidegate/labels/a/blue\n{head} refs/tidegate/labels/a/green\n"
    );
    std::fs::write(bare.path().join("packed-refs"), packed).unwrap();
    store.refresh().unwrap();
    assert_eq!(store.book().entry(&name("a")).unwrap().labels.len(), 2);
    store.delete_label(&name("a"), &label("blue"), &by(), "").unwrap();
    let left: Vec<_> = bare.open().book().entry(&name("a")).unwrap().labels.keys().cloned().collect();
    assert_eq!(left, [label("green")]);
}

#[test]
fn what_a_killed_writer_left_is_no_hindrance_and_gits_own_lock_is_kept() {
    let bare = Bare::new();
    let store = bare.open();
    store.register(&name("a"), &text("one"), &by(), "").unwrap();
    let branch = bare.path().join(format!("{}.lock", bare.branch()));
    let ours = bare.path().join("tidegate");
    // Killed between taking git's lock and moving the branch.
    std::fs::write(ours.join("lock.new"), "x").unwrap();
    std::fs::write(ours.join("lock.intent"), format!("{}.lock", bare.branch())).unwrap();
    std::fs::hard_link(ours.join("lock.new"), &branch).unwrap();
    std::fs::create_dir_all(ours.join("objects/ab")).unwrap();
    std::fs::write(ours.join("objects/ab/torn"), "x").unwrap();
    assert_eq!(store.register(&name("a"), &text("two"), &by(), "").unwrap().n, 2);
    assert!(!branch.exists());
    // Git's own lock is not ours to take, whatever stands beside it.
    std::fs::write(&branch, "").unwrap();
    std::fs::write(ours.join("lock.new"), "").unwrap();
    std::fs::write(ours.join("lock.intent"), format!("{}.lock", bare.branch())).unwrap();
    let fault = store.register(&name("a"), &text("three"), &by(), "").unwrap_err();
    assert!(matches!(fault, PromptFault::Conflict(_)), "{fault}");
    assert!(branch.exists());
}

#[test]
fn a_commit_whose_number_was_not_written_gets_it_at_the_next_start() {
    let bare = Bare::new();
    let journal = bare.path().join("tidegate/prompts.journal");
    let before = {
        let store = bare.open();
        store.register(&name("a"), &text("one"), &by(), "").unwrap();
        let before = std::fs::read(&journal).unwrap();
        store.register(&name("a"), &text("two"), &by(), "").unwrap();
        before
    };
    let whole = std::fs::read(&journal).unwrap();
    for end in before.len()..whole.len() {
        std::fs::write(&journal, &whole[..end]).unwrap();
        assert_eq!(shown(&bare.open(), "a/2", json!({})), "two");
        assert_eq!(bare.open().book().entry(&name("a")).unwrap().versions.len(), 2);
    }
}

/// Run by the next test in a process of its own: writes until it is killed, and says what was acknowledged.
#[test]
fn a_writer_that_is_killed() {
    use std::io::Write;
    let Some(folder) = std::env::var_os("TIDEGATE_TEST_WRITES_TO") else { return };
    let store = PromptStore::open(folder.as_ref(), options()).unwrap();
    let mut out = std::io::stdout();
    for turn in 0.. {
        let stamp = store.register(&name("a"), &text(&format!("turn {turn}")), &by(), "").unwrap();
        let labelled =
            store.set_label(&name("a"), &label("blue"), &PromptPick::Number(stamp.n), (&by(), ""), None).unwrap();
        writeln!(out, "acknowledged {} {} {}", stamp.n, stamp.sha.unwrap(), labelled.n).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged_and_needs_no_repair() {
    use std::io::{BufRead, BufReader};
    let bare = Bare::new();
    let mut acknowledged: Vec<(u32, String)> = Vec::new();
    for round in 0..12 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write::tests::a_writer_that_is_killed", "--nocapture"])
            .env("TIDEGATE_TEST_WRITES_TO", bare.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut take = |line: &str| {
            let Some((_, said)) = line.split_once("acknowledged ") else { return };
            let mut words = said.split(' ');
            let n = words.next().unwrap().parse().unwrap();
            acknowledged.push((n, words.next().unwrap().to_owned()));
        };
        for line in lines.by_ref().take(4 + round) {
            take(&line);
        }
        // At whatever point of the next write it is by now.
        for _ in 0..round * 20_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| take(&line));
        let store = bare.open();
        let book = store.book();
        let entry = book.entry(&name("a")).unwrap();
        for (n, sha) in &acknowledged {
            assert_eq!(entry.version(*n).unwrap().sha.to_string(), *sha);
        }
        let last = acknowledged.last().map_or(0, |(n, _)| *n);
        assert!(entry.labels[&label("blue")] >= last && entry.newest >= last);
        assert!(entry.versions.iter().enumerate().all(|(at, version)| version.n as usize == at + 1));
        assert!(store.register(&name("a"), &text("after"), &by(), "").unwrap().n > last);
    }
    assert!(acknowledged.len() > 24);
}

#[test]
fn what_has_no_place_in_git_is_kept_beside_it() {
    let bare = Bare::new();
    let store = bare.open();
    let tags = BTreeMap::from([("team".to_owned(), "x".to_owned())]);
    store.create(&name("a"), Some("answers"), &tags, None).unwrap();
    assert!(matches!(store.create(&name("a"), None, &tags, None), Err(PromptFault::Conflict(_))));
    assert_eq!(store.book().prompts().count(), 1);
    store.register(&name("a"), &text("one"), &by(), "").unwrap();
    store.register(&name("a"), &text("two"), &by(), "").unwrap();
    store.tag(&name("a"), Some(1), &BTreeMap::from([("k".to_owned(), Some("v".to_owned()))]), None).unwrap();
    store.describe(&name("a"), Some(1), Some("the first"), None).unwrap();
    store.tag(&name("a"), None, &BTreeMap::from([("team".to_owned(), None)]), None).unwrap();
    store.delete_version(&name("a"), 2, None).unwrap();
    let store = bare.open();
    let book = store.book();
    let entry = book.entry(&name("a")).unwrap();
    assert_eq!((entry.description.as_deref(), entry.tags.len(), entry.newest), (Some("answers"), 0, 1));
    assert_eq!(entry.versions[0].tags["k"].as_deref(), Some("v"));
    assert_eq!(entry.versions[0].description.as_deref(), Some("the first"));
    assert!(entry.version(2).is_none());
    assert_eq!(store.register(&name("a"), &text("three"), &by(), "").unwrap().n, 3, "a number is not used again");
    store.set_label(&name("a"), &label("blue"), &PromptPick::Newest, (&by(), ""), None).unwrap();
    store.delete(&name("a"), &by()).unwrap();
    assert!(store.book().entry(&name("a")).is_err());
    store.create(&name("a"), None, &tags, None).unwrap();
    assert_eq!(store.register(&name("a"), &text("four"), &by(), "").unwrap().n, 4);
    assert!(store.book().entry(&name("a")).unwrap().labels.is_empty());
}

#[test]
fn a_mirror_is_not_written() {
    let bare = Bare::new();
    bare.push("a", "one");
    let store = PromptStore::open(bare.path(), crate::Options { is_writable: false, ..options() }).unwrap();
    let fault = store.register(&name("a"), &text("two"), &by(), "").unwrap_err();
    assert!(matches!(&fault, PromptFault::Conflict(why) if why.contains("remote")), "{fault}");
    assert!(store.set_label(&name("a"), &label("x"), &PromptPick::Newest, (&by(), ""), None).is_err());
}

#[test]
fn a_work_tree_follows_where_it_has_no_changes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    drop(gix::init(folder.path()).unwrap());
    let store = PromptStore::open(folder.path(), options()).unwrap();
    store.register(&name("a"), &text("one"), &by(), "").unwrap();
    let file = folder.path().join("prompts/a/template.md");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
    let index = gix::open_opts(folder.path(), gix::open::Options::isolated()).unwrap().open_index().unwrap();
    let staged: Vec<String> = index.entries().iter().map(|entry| entry.path(&index).to_string()).collect();
    assert_eq!(staged, ["prompts/a/prompt.yaml", "prompts/a/template.md"]);
    let chat =
        Draft::of(Body::Chat(vec![(PromptRole::System, "be kind".into()), (PromptRole::User, "{{ q }}".into())]));
    store.register(&name("a"), &chat, &by(), "").unwrap();
    assert!(!file.exists());
    let mine = folder.path().join("prompts/a/1-system.md");
    std::fs::write(&mine, "be rude").unwrap();
    store.register(&name("a"), &text("three"), &by(), "").unwrap();
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "be rude");
    assert_eq!(shown(&store, "a", json!({})), "three");
}

#[test]
fn the_same_request_is_done_once() {
    let bare = Bare::new();
    let store = bare.open();
    let write = |once: Once, template: &str| store.register(&name("a"), &text(template), &by().with(Some(once)), "why");
    let once = Once::new("ann", "k", Digest::of(b"1"));
    let first = write(once, "x").unwrap();
    assert_eq!(write(once, "x").unwrap(), first);
    // Also after others wrote, and by a store that was opened since.
    store.register(&name("a"), &text("y"), &by(), "").unwrap();
    drop(store);
    let store = bare.open();
    let again = store.register(&name("a"), &text("x"), &by().with(Some(once)), "why").unwrap();
    assert_eq!(again, first);
    assert_eq!(store.note(first.sha.unwrap()).unwrap().unwrap().message, "why");
    let other = store.register(&name("a"), &text("z"), &by().with(Some(Once::new("ann", "k", Digest::of(b"2")))), "");
    assert!(matches!(other, Err(PromptFault::Conflict(_))), "{other:?}");
    let else_s =
        store.register(&name("a"), &text("x"), &by().with(Some(Once::new("bob", "k", Digest::of(b"1")))), "").unwrap();
    assert_eq!(else_s.n, 3);
}

#[test]
fn a_request_with_a_key_is_done_once_whatever_it_does() {
    let bare = Bare::new();
    let store = bare.open();
    let (a, production) = (name("a"), label("production"));
    for template in ["one", "two", "three"] {
        store.register(&a, &text(template), &by(), "").unwrap();
    }
    let key = |key: &str| Once::new("ann", key, Digest::of(key.as_bytes()));
    let ann = |of: &str| by().with(Some(key(of)));
    let set = |n: u32, by: &crate::Author| {
        store.set_label(&a, &production, &PromptPick::Number(n), (by, ""), None).unwrap().n
    };
    assert_eq!((set(1, &ann("to 1")), set(2, &by()), set(1, &ann("to 1"))), (1, 2, 1));
    let at = || store.book().entry(&a).unwrap().pick_label(&production).unwrap();
    assert_eq!(at(), 2, "the first request was done before, and another has moved it since");
    let back = |key: &str| store.rollback(&a, &production, &ann(key), "").unwrap().n;
    assert_eq!((back("back"), back("back"), at()), (1, 1, 1));
    let tag = |value: &str, of: Option<&Once>| {
        store.tag(&a, None, &BTreeMap::from([("k".to_owned(), Some(value.to_owned()))]), of).unwrap();
    };
    tag("first", Some(&key("tag")));
    tag("second", None);
    // Also by a store that was opened since.
    drop(bare.open());
    tag("first", Some(&key("tag")));
    assert_eq!(store.book().entry(&a).unwrap().tags["k"], "second");
    for _ in 0..2 {
        store.delete_version(&a, 3, Some(&key("gone"))).unwrap();
    }
    let other = Once::new("ann", "gone", Digest::of(b"other"));
    assert!(matches!(store.delete_version(&a, 2, Some(&other)), Err(PromptFault::Conflict(_))));
    let whys: Vec<String> = store.label_moves(&a, &production).unwrap().into_iter().map(|one| one.why).collect();
    assert_eq!(whys, ["set to version 1", "set to version 2", "rollback from version 2"]);
    for _ in 0..2 {
        store.delete(&a, &ann("all")).unwrap();
    }
    assert!(matches!(bare.open().delete(&a, &by()), Err(PromptFault::NotFound(_))));
}

#[test]
fn a_label_goes_where_it_is_expected_from_and_to_what_can_be_used() {
    let bare = Bare::new();
    let store = bare.open();
    let (a, blue) = (name("a"), label("blue"));
    store.register(&a, &text("one"), &by(), "").unwrap();
    bare.commit(&[("prompts/a/prompt.yaml", Some("text: {content: '{{'}\n"))]);
    store.refresh().unwrap();
    let set = |n: u32, expected: Option<u32>| store.set_label(&a, &blue, &PromptPick::Number(n), (&by(), ""), expected);
    assert!(matches!(set(1, Some(2)), Err(PromptFault::Conflict(_))));
    assert_eq!(set(1, Some(0)).unwrap().n, 1);
    assert!(matches!(set(1, Some(0)), Err(PromptFault::Conflict(_))), "it is there now");
    assert!(set(2, Some(1)).unwrap_err().to_string().contains("version 2 of `a` could not be used"));
}
