//! What is read from repositories: numbers that stay, labels that follow, hostile ones that harm nothing.

use crate::testing::{Bare, options, text, yaml};
use crate::{PromptFault, PromptStore};
use gix::objs::tree::EntryKind;
use serde_json::{Map, json};
use tidegate_core::port::prompts::{Prompts, Reach};
use tidegate_core::{FaultKind, PromptRef};

fn at(reference: &str) -> PromptRef {
    reference.parse().unwrap()
}

fn rendered(store: &PromptStore, reference: &str) -> String {
    let rendered = store.rendered(&at(reference), &Map::new(), Reach::Afar).unwrap();
    format!("{} {}", rendered.stamp.n, rendered.messages[0].content)
}

#[test]
fn versions_are_the_commits_that_changed_the_folder() {
    let bare = Bare::new();
    let first = bare.push("a", "one");
    bare.push("b", "else");
    bare.commit(&[("README.md", Some("x"))]);
    bare.push("a", "two");
    let store = bare.open();
    let book = store.book();
    assert_eq!(book.entry(&"a".parse().unwrap()).unwrap().versions.len(), 2);
    assert_eq!(rendered(&store, "a"), "2 two");
    assert_eq!(rendered(&store, "a/1"), "1 one");
    assert_eq!(rendered(&store, &format!("a@{first}")), "1 one");
    assert_eq!(rendered(&store, &format!("a@{}", &first.to_string()[..9])), "1 one");
    assert_eq!(rendered(&store, "b"), "1 else");
    let fault = store.render(&at("a@nowhere"), &Map::new(), Reach::Afar).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

#[test]
fn a_push_is_seen_and_nothing_is_read_where_nothing_changed() {
    let bare = Bare::new();
    let store = bare.open();
    assert_eq!(store.book().prompts().count(), 0);
    bare.push("a", "one");
    assert!(store.refresh().unwrap());
    assert_eq!(rendered(&store, "a"), "1 one");
    assert!(!store.refresh().unwrap());
    bare.push("a", "two");
    assert!(store.refresh().unwrap());
    assert_eq!(rendered(&store, "a"), "2 two");
    bare.point("refs/tidegate/labels/a/blue", bare.head().unwrap());
    assert!(store.refresh().unwrap());
    assert_eq!(rendered(&store, "a@blue"), "2 two");
}

#[test]
fn a_rewritten_history_renumbers_nothing() {
    let bare = Bare::new();
    let first = bare.push("a", "one");
    let second = bare.push("a", "two");
    let store = bare.open();
    let other = bare.commit_on(Some(first), &[("prompts/a/prompt.yaml", Some(&yaml("other")))], &[]);
    bare.point(&bare.branch(), other);
    store.refresh().unwrap();
    assert_eq!(rendered(&store, "a"), "3 other");
    assert_eq!(rendered(&store, "a/2"), "2 two");
    assert!(bare.path().join(format!("refs/tidegate/kept/{second}")).exists(), "git would throw it away");
    bare.point(&bare.branch(), second);
    store.refresh().unwrap();
    assert_eq!(rendered(&store, "a"), "2 two");
    bare.point(&bare.branch(), other);
    drop(store);
    let store = bare.open();
    assert_eq!(rendered(&store, "a"), "3 other");
    assert_eq!(store.book().entry(&"a".parse().unwrap()).unwrap().versions.len(), 3);
}

#[test]
fn a_prompt_that_is_deleted_keeps_its_versions_and_its_numbers_go_on() {
    let bare = Bare::new();
    bare.push("a", "one");
    let store = bare.open();
    bare.commit(&[("prompts/a/prompt.yaml", None)]);
    store.refresh().unwrap();
    assert_eq!(store.book().prompts().count(), 0);
    assert_eq!(rendered(&store, "a/1"), "1 one");
    assert!(matches!(store.rendered(&at("a"), &Map::new(), Reach::Afar), Err(PromptFault::NotFound(_))));
    bare.push("a", "again");
    store.refresh().unwrap();
    assert_eq!(rendered(&store, "a"), "2 again");
}

#[test]
fn merges_count_by_their_first_parent() {
    let bare = Bare::new();
    let base = bare.push("a", "one");
    let side = bare.commit_on(Some(base), &[("prompts/a/prompt.yaml", Some(&yaml("side")))], &[]);
    let side = bare.commit_on(Some(side), &[("prompts/a/prompt.yaml", Some(&yaml("side 2")))], &[]);
    let merge = bare.merge(&[base, side], side);
    bare.point(&bare.branch(), merge);
    let store = bare.open();
    assert_eq!(rendered(&store, "a"), "2 side 2");
}

#[test]
fn a_label_means_the_version_in_force_at_its_commit() {
    let bare = Bare::new();
    let one = bare.push("a", "one");
    let later = bare.commit(&[("README.md", Some("x"))]);
    bare.push("a", "two");
    bare.point("refs/tags/prompts/a/production", later);
    let aside = bare.commit_on(Some(one), &[("prompts/a/prompt.yaml", Some(&yaml("aside")))], &[]);
    bare.point("refs/tidegate/labels/a/trial", aside);
    let store = bare.open();
    assert_eq!(rendered(&store, "a@production"), "1 one");
    assert_eq!(rendered(&store, "a@trial"), "3 aside");
    assert_eq!(rendered(&store, "a"), "2 two");
    // A forced move of the tag.
    bare.point("refs/tags/prompts/a/production", bare.head().unwrap());
    store.refresh().unwrap();
    assert_eq!(rendered(&store, "a@production"), "2 two");
}

#[test]
fn a_broken_version_is_told_and_harms_no_other() {
    let bare = Bare::new();
    bare.push("a", "good");
    bare.commit(&[("prompts/a/prompt.yaml", Some("text: {contnt: x}\n"))]);
    bare.commit(&[("prompts/b/notes.md", Some("no prompt.yaml"))]);
    let store = bare.open();
    let fault = store.ready(&at("a")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.says.contains("prompt.yaml:1"), "{fault}");
    assert!(store.ready(&at("b")).unwrap_err().says.contains("no such file"));
    assert_eq!(rendered(&store, "a/1"), "1 good");
}

#[test]
fn a_hostile_repository_harms_nothing() {
    let bare = Bare::new();
    let secret = bare.path().parent().unwrap().join("secret.md");
    let link = bare.blob("../../../../etc/passwd");
    let yaml_link = bare.blob(&yaml("x"));
    let elsewhere = bare.commit_on(None, &[("x", Some("y"))], &[]);
    let huge = bare.blob(&"x".repeat(300 << 10));
    let base = bare.commit_on(
        None,
        &[("prompts/good/prompt.yaml", Some("text: {file: t.md}\n")), ("prompts/good/t.md", Some("fine"))],
        &[
            ("prompts/linked", EntryKind::Link, link),
            ("prompts/sub", EntryKind::Commit, elsewhere),
            ("prompts/inner/prompt.yaml", EntryKind::Link, yaml_link),
            ("prompts/huge/prompt.yaml", EntryKind::Blob, huge),
            ("prompts/module/lib", EntryKind::Commit, elsewhere),
            (
                ".gitmodules",
                EntryKind::Blob,
                bare.blob("[submodule \"x\"]\n path = prompts/sub\n url = ext::sh -c id\n"),
            ),
        ],
    );
    // Names that no git program would write.
    let good = bare.tree_at(base, "prompts/good");
    let folder = bare.raw_tree(&[
        ("40000", "..", good),
        ("40000", ".git", good),
        ("40000", "a\nb", good),
        ("40000", "bad name", good),
        ("40000", "good", good),
        ("120000", "linked", link),
        ("160000", "sub", elsewhere),
    ]);
    let root = bare.raw_tree(&[("40000", "prompts", folder)]);
    let commit = bare.commit_of(Some(base), root);
    bare.point(&bare.branch(), commit);
    std::fs::create_dir_all(bare.path().join("hooks")).unwrap();
    for hook in ["post-commit", "reference-transaction", "update"] {
        std::fs::write(bare.path().join("hooks").join(hook), "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\n").unwrap();
    }
    let config = bare.path().join("config");
    let mut text_of = std::fs::read_to_string(&config).unwrap();
    text_of.push_str(
        "[include]\n path = ../secret.md\n[core]\n fsmonitor = touch ran\n worktree = /etc\n hooksPath = hooks\n",
    );
    std::fs::write(&config, text_of).unwrap();
    std::fs::write(&secret, "[user]\n name = stolen\n").unwrap();

    let store = bare.open();
    let names: Vec<String> = store.book().prompts().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(rendered(&store, "good"), "1 fine");
    let said: Vec<String> = store.book().skipped().iter().map(|s| format!("{} {}", s.path, s.why)).collect();
    for part in ["..", ".git", "a\\nb", "bad name", "linked is a link", "sub is a submodule"] {
        assert!(said.iter().any(|s| s.contains(part)), "{part}: {said:?}");
    }
    assert!(store.ready(&at("inner/1")).unwrap_err().says.contains("link"));
    assert!(store.ready(&at("huge/1")).unwrap_err().says.contains("larger"));
    let by = crate::testing::by();
    store.register(&"new".parse().unwrap(), &text("x"), &by, "").unwrap();
    assert!(!bare.path().join("hooks/ran").exists());
    drop(std::fs::remove_file(secret));
}

#[test]
fn tricky_refs_are_skipped() {
    let bare = Bare::new();
    let commit = bare.push("a", "one");
    let blob = bare.blob("no commit");
    for name in ["a/dev", "a/deep/er", "alone", "a/1234567", "zzz/blue", "b@x/y"] {
        drop(std::fs::create_dir_all(bare.path().join("refs/tidegate/labels").join(name).parent().unwrap()));
        std::fs::write(bare.path().join("refs/tidegate/labels").join(name), format!("{commit}\n")).unwrap();
    }
    bare.point("refs/tags/prompts/a/blob", blob);
    std::fs::write(bare.path().join("refs/tidegate/labels/a/junk"), "ref: ../../../etc/passwd\n").unwrap();
    bare.point("refs/tidegate/labels/a/good", commit);
    let store = bare.open();
    let book = store.book();
    let labels: Vec<_> = book.entry(&"a".parse().unwrap()).unwrap().labels.keys().map(ToString::to_string).collect();
    assert_eq!(labels, ["good"]);
    assert!(book.skipped().len() >= 6, "{:?}", book.skipped());
}

#[test]
fn links_in_the_git_folder_lead_no_write_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    let bare = Bare::new();
    bare.push("a", "one");
    std::os::unix::fs::symlink(outside.path(), bare.path().join("tidegate")).unwrap();
    assert!(matches!(PromptStore::open(bare.path(), options()), Err(PromptFault::Forbidden(_))));
    std::fs::remove_file(bare.path().join("tidegate")).unwrap();
    let store = bare.open();
    std::os::unix::fs::symlink(outside.path(), bare.path().join("refs/tidegate")).unwrap();
    let (name, label) = ("a".parse().unwrap(), "blue".parse().unwrap());
    let moved = store.set_label(&name, &label, &at("a/1").pick, (&crate::testing::by(), ""), None);
    assert!(matches!(moved, Err(PromptFault::Forbidden(_))), "{moved:?}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn the_work_tree_is_dev_on_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(gix::init(folder.path()).unwrap());
    let prompt = folder.path().join("prompts/a");
    std::fs::create_dir_all(&prompt).unwrap();
    std::fs::write(prompt.join("prompt.yaml"), "text: {file: t.md}\n").unwrap();
    std::fs::write(prompt.join("t.md"), "draft {{ x }}").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", prompt.join("passwd.md")).unwrap();
    let store = PromptStore::open(folder.path(), crate::Options { has_dev: true, ..options() }).unwrap();
    let given = serde_json::from_value(json!({"x": 1})).unwrap();
    let rendered = store.rendered(&at("a@dev"), &given, Reach::Loopback).unwrap();
    assert_eq!((rendered.messages[0].content.as_str(), rendered.stamp.n), ("draft 1", 0));
    assert!(matches!(store.rendered(&at("a@dev"), &given, Reach::Afar), Err(PromptFault::Forbidden(_))));
    std::fs::write(prompt.join("prompt.yaml"), "text: {file: passwd.md}\n").unwrap();
    let fault = store.rendered(&at("a@dev"), &given, Reach::Loopback).unwrap_err();
    assert!(fault.to_string().contains("link"), "{fault}");
}
