//! Who may do what: every endpoint with every role, and keys made, listed and revoked while the gateway runs.

use crate::harness::{Client, Stage, chat, eventually};
use serde_json::json;
use tidegate_core::Role;
use tidegate_server::router::{Row, Side, TABLE};

fn named(role: Role) -> String {
    serde_json::to_value(role).unwrap().as_str().unwrap().to_owned()
}

async fn asks(client: &Client, row: &Row) -> u16 {
    // A model is asked to do something.
    let deed = match (row.method.as_str(), row.path) {
        ("POST", "/v1/models/{}") => "nothing:predict",
        ("POST", "/v2/models/{}") => "nothing/infer",
        ("POST", "/v2/repository/models/{}") => "nothing/load",
        _ => "nothing",
    };
    let path = row.path.replace("{}", deed);
    client.send(row.method.as_str(), &path, &[], if row.method == "POST" { b"{}" } else { b"" }).await.status()
}

#[tokio::test]
async fn every_endpoint_is_for_those_with_its_role_alone() {
    let stage = Stage::new().await;
    let keys: Vec<(Role, String)> = Role::ALL.iter().map(|role| (*role, stage.home.key(&[&named(*role)]))).collect();
    let (_, newest) = keys.last().unwrap();
    let admin = stage.gateway.admin().with_key(newest);
    eventually("the keys to be known", async || (admin.get("/admin/v1/keys").await.status() != 401).then_some(()))
        .await;
    for row in &TABLE {
        let sides: &[Client] = match row.side {
            Side::Public => &[stage.gateway.client()],
            Side::Admin => &[stage.gateway.admin().without_key()],
            Side::Both => &[stage.gateway.client(), stage.gateway.admin().without_key()],
        };
        for client in sides {
            let what = format!("{} {}", row.method, row.path);
            let Some(needed) = row.role else {
                assert_eq!(asks(client, row).await, 200, "{what} is open");
                continue;
            };
            assert_eq!(asks(client, row).await, 401, "{what} without a key");
            for (role, key) in &keys {
                let status = asks(&client.with_key(key), row).await;
                if *role == needed {
                    assert!(!matches!(status, 401 | 403), "{what} with {role:?}: {status}");
                } else if *role != Role::Admin {
                    assert_eq!(status, 403, "{what} with {role:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_row_of_the_other_listener_is_not_there() {
    let stage = Stage::new().await;
    for row in &TABLE {
        let wrong = match row.side {
            Side::Public => stage.gateway.admin(),
            Side::Admin => stage.client.clone(),
            Side::Both => continue,
        };
        assert_eq!(asks(&wrong, row).await, 404, "{} {}", row.method, row.path);
    }
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked() {
    let stage = Stage::new().await;
    let wanted = json!({"principal": "ann", "tenant": "shop", "roles": ["infer"], "routes": ["mock"]});
    let made = stage.admin.post("/admin/v1/keys", &wanted).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let (id, secret) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["secret"].as_str().unwrap().to_owned());
    let client = stage.gateway.client().with_key(&secret);
    assert_eq!(client.chat(&chat("mock")).await.status(), 200);
    let listed = stage.admin.get("/admin/v1/keys").await;
    assert!(listed.text().contains(&id) && !listed.text().contains(&secret), "{}", listed.text());
    assert!(!stage.home.read("keys.yaml").contains(&secret), "the secret lies on the disk");
    assert_eq!(stage.admin.send("DELETE", &format!("/admin/v1/keys/{id}"), &[], b"").await.status(), 204);
    assert_eq!(client.chat(&chat("mock")).await.status(), 401);
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200, "the other key is still there");
}

#[tokio::test]
async fn a_key_for_some_routes_sees_no_other() {
    let stage = Stage::of_route("routes: {mock: {model: up}, secret: {model: up}}\n").await;
    let made = stage
        .admin
        .post("/admin/v1/keys", &json!({"principal": "ann", "tenant": "shop", "roles": ["infer"], "routes": ["mock"]}))
        .await
        .json();
    let client = stage.gateway.client().with_key(made["secret"].as_str().unwrap());
    assert_eq!(client.models().await, ["mock"]);
    let (forbidden, unknown) = (client.chat(&chat("secret")).await, client.chat(&chat("nought")).await);
    assert_eq!((forbidden.status(), unknown.status()), (404, 404));
    // The same words but for the name: nobody learns which routes there are.
    assert_eq!(forbidden.text().replace("secret", "nought"), unknown.text());
    assert_eq!(stage.client.models().await, ["mock", "secret"]);
}

#[tokio::test]
async fn wrong_keys_are_refused_by_field() {
    let stage = Stage::new().await;
    for wanted in [
        json!({}),
        json!({"principal": "a", "tenant": "b", "roles": ["king"]}),
        json!({"principal": "a b\n", "tenant": "b", "roles": ["infer"]}),
        json!({"principal": "a", "tenant": "b", "roles": ["infer"], "extra": 1}),
    ] {
        let answer = stage.admin.post("/admin/v1/keys", &wanted).await;
        assert_eq!(answer.status(), 400, "{wanted}");
        answer.error();
    }
}

#[tokio::test]
async fn no_secret_is_told_anywhere() {
    let stage = Stage::new().await;
    stage.upstream.then(crate::harness::upstream::failure(401));
    stage.client.chat(&chat("mock")).await;
    let secrets = [crate::harness::home::ADMIN_TOKEN, crate::harness::home::UPSTREAM_KEY];
    let config = stage.admin.get("/admin/v1/config").await;
    assert_eq!(config.status(), 200);
    let mut said =
        vec![config.text(), stage.admin.get("/metrics").await.text(), stage.admin.get("/admin/v1/events").await.text()];
    said.extend(stage.gateway.log());
    for secret in secrets {
        assert!(said.iter().all(|text| !text.contains(secret)), "{secret} is told");
    }
}
