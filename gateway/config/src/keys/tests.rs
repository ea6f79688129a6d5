//! Tests of the key file: what is written is read back, and what is wrong is said.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

fn faults(text: &str) -> Vec<String> {
    let report = parse(text, Path::new("keys.yaml")).map(|keys| format!("{keys:?}")).unwrap_err();
    report.findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
}

fn key(id: &str, fill: &str) -> String {
    format!("- {{id: {id}, sha256: {}, principal: p, tenant: t, roles: [infer]}}\n", fill.repeat(32))
}

#[test]
fn a_key_is_read_with_all_its_fields() {
    let text = format!(
        "- id: a\n  sha256: {}\n  principal: p\n  tenant: t\n  roles: [infer, admin]\n  routes: [r]\n  expires: 2027-01-31T00:00:00Z\n  tags: {{team: x}}\n",
        "ab".repeat(32)
    );
    let keys = parse(&text, Path::new("keys.yaml")).unwrap();
    assert_eq!(keys[0].roles, BTreeSet::from([Role::Infer, Role::Admin]));
    assert_eq!(keys[0].expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_801_353_600)));
    assert_eq!((keys[0].tags["team"].as_str(), keys[0].routes.as_ref().map(BTreeSet::len)), ("x", Some(1)));
}

#[test]
fn ids_and_secrets_stand_once() {
    let text = key("a", "ab") + &key("a", "cd") + &key("b", "ab");
    assert_eq!(faults(&text), ["2: this id is in line 1 already", "3: this secret is in line 1 already"]);
}

#[test]
fn every_fault_of_every_key_is_said() {
    let found = faults("- {id: a b, sha256: x, principal: p, tenant: t, roles: [inferr]}\n- {id: c, role: [infer]}\n");
    assert_eq!(found.len(), 3 + 5, "{found:#?}");
    assert!(faults("a: 1")[0].contains("expected a list"));
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("keys.yaml");
    fs::create_dir(&target).unwrap();
    assert!(write(&target, &[]).is_err());
    let left: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [target]);
}

#[cfg(unix)]
#[test]
fn changes_at_once_lose_none_and_no_change_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    assert!(!change(&path, |_| false).unwrap());
    assert!(!path.exists());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for n in 0..8 {
                    let made = parse(&key(&format!("k{thread}-{n}"), &format!("{thread}{n}")), path).unwrap();
                    assert!(change(path, |keys| made.into_iter().map(|key| keys.push(key)).count() == 1).unwrap());
                }
            });
        }
    });
    assert_eq!(read(&path).unwrap().len(), 32);
    fs::write(&path, "- nonsense").unwrap();
    assert!(matches!(change(&path, |_| true), Err(ChangeFault::Malformed(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "- nonsense");
}

#[test]
fn the_file_is_for_its_owners_eyes() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    write(&path, &[]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&path).unwrap(), []);
}

fn records() -> impl Strategy<Value = Vec<KeyRecord>> {
    let name = "[a-zA-Z0-9][a-zA-Z0-9._:@-]{0,12}";
    let roles = proptest::collection::btree_set(proptest::sample::select(&Role::ALL[..]), 1..4);
    let routes =
        proptest::option::of(proptest::collection::btree_set(name.prop_map(|name| name.parse().unwrap()), 1..3));
    let tags = proptest::collection::btree_map("[^\\s]\\PC{0,8}", "\\PC{0,8}[^\\s]", 0..3);
    let expires =
        proptest::option::of((0u64..253_402_300_800).prop_map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s)));
    let record = (any::<[u8; 32]>(), name, name, roles, routes, expires, tags);
    proptest::collection::vec(record, 0..4).prop_map(|records| {
        let record = |(i, (digest, principal, tenant, roles, routes, expires, tags)): (
            usize,
            ([u8; 32], String, String, _, _, _, _),
        )| KeyRecord {
            id: format!("key-{i}").parse().unwrap(),
            digest: Digest::from_bytes(digest),
            principal: principal.parse().unwrap(),
            tenant: tenant.parse().unwrap(),
            roles,
            routes,
            expires,
            tags,
        };
        records.into_iter().enumerate().map(record).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(keys in records()) {
        let text = shown(&keys);
        prop_assert_eq!(parse(&text, Path::new("keys.yaml")).map_err(|report| TestCaseError::fail(report.to_string()))?, keys);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,64}") {
        if let Err(report) = parse(&text, Path::new("keys.yaml")) {
            prop_assert!(!report.findings.is_empty(), "a refusal says why");
        }
    }
}
