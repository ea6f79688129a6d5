//! Rows of the audit log changed behind the registry's back: each way must show, and putting things right must mend it.

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tidegate_core::digest::Digest;
use tidegate_core::spec::DatabaseSpec;
use tidegate_registry::Registry;
use tidegate_registry::audit::{Erasure, Tampering};

/// Whether what was found is what this tampering must show as.
type Shows = fn(&Tampering) -> bool;

pub(crate) async fn check(registry: &Registry, database: &DatabaseSpec) {
    sqlx::any::install_default_drivers();
    let url = match database {
        DatabaseSpec::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseSpec::Postgres(url) => url.expose().to_owned(),
    };
    let mut db = AnyConnection::connect(&url).await.unwrap();
    let copy = "INSERT INTO audit SELECT * FROM kept WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.seq = kept.seq)";
    db.execute("CREATE TABLE kept AS SELECT * FROM audit").await.unwrap();
    let ways: [(&str, Shows); 8] = [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 3", |found| *found == Tampering::Changed(3)),
        ("UPDATE audit SET subject = 'models:/x' WHERE seq = 5", |found| *found == Tampering::Changed(5)),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", |found| *found == Tampering::Changed(1)),
        ("UPDATE audit SET detail = '{}' WHERE seq = 2", |found| *found == Tampering::Detail(2)),
        ("UPDATE audit SET hash = 'x' WHERE seq = 4", |found| *found == Tampering::Changed(4)),
        ("DELETE FROM audit WHERE seq = 3", |found| *found == Tampering::Order { expected: 3, found: 4 }),
        ("DELETE FROM audit WHERE seq >= 4", |found| *found == Tampering::Cut { head: 5, found: 3 }),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 103 ELSE 102 END WHERE seq IN (2, 3)", |found| {
            matches!(found, Tampering::Order { .. })
        }),
    ];
    for (way, expected) in ways {
        db.execute(AssertSqlSafe(way)).await.unwrap();
        let found = registry.verify_audit(&[]).await.unwrap().unwrap_err();
        assert!(expected(&found), "{way}: {found:?}");
        db.execute("DELETE FROM audit").await.unwrap();
        db.execute(copy).await.unwrap();
        registry.verify_audit(&[]).await.unwrap().unwrap();
    }
    // A log written anew from some entry on is whole in itself: an anchor shows it.
    let third = registry.audit(2, 1).await.unwrap().remove(0).hash;
    registry.verify_audit(&[(3, third)]).await.unwrap().unwrap();
    let other = registry.verify_audit(&[(3, Digest::of(b"x"))]).await.unwrap();
    assert_eq!(other, Err(Tampering::Anchor(3)));
    assert_eq!(registry.verify_audit(&[(9, third)]).await.unwrap(), Err(Tampering::Cut { head: 9, found: 5 }));
    // Particulars that somebody took away show; those that were erased do not.
    db.execute("UPDATE audit SET detail = NULL, salt = NULL WHERE seq = 3").await.unwrap();
    assert_eq!(registry.verify_audit(&[]).await.unwrap(), Err(Tampering::Erased(3)));
    db.execute("DELETE FROM audit").await.unwrap();
    db.execute(copy).await.unwrap();
    let subject = registry.audit(2, 1).await.unwrap().remove(0).subject;
    let erased = registry.erase("ann", &Erasure::Subject(subject)).await.unwrap();
    assert!(erased >= 1);
    registry.verify_audit(&[(3, third)]).await.unwrap().unwrap();
    assert_eq!(registry.audit(2, 1).await.unwrap().remove(0).detail, None);
    let newest = registry.audit(5, 10).await.unwrap();
    assert_eq!((newest.len(), &*newest[0].action), (1, "audit.erase"));
    // Nothing is left that the same could mean, so nothing is written.
    assert_eq!(registry.erase("ann", &Erasure::Mentions("nobody".into())).await.unwrap(), 0);
    assert_eq!(registry.erase("ann", &Erasure::Before(i64::MAX)).await.unwrap(), 5 - erased);
    assert_eq!(registry.erase("ann", &Erasure::Before(i64::MAX)).await.unwrap(), 0);
    registry.verify_audit(&[]).await.unwrap().unwrap();
    db.close().await.unwrap();
}
