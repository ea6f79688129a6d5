//! Calls over several endpoints: spreading, avoidance, health, seats.

use crate::mock::*;
use futures_util::StreamExt;
use std::time::Duration;
use tidegate_core::FaultKind;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::provider::Balance;

async fn open() -> Mock {
    Mock::always(|| open_stream(&["data: {}\n\n"], Then::Hang)).await
}

/// The name of an address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn calls_under_way_are_spread_evenly() {
    let (a, b) = (open().await, open().await);
    let backend = backend(&[&a, &b]);
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(backend.stream(call()).await.unwrap());
    }
    let loads: Vec<_> = backend.loads().map(|(_, load)| load).collect();
    assert_eq!(loads, [4, 4]);
    drop(held);
    assert!(backend.loads().all(|(_, load)| load == 0));
}

#[tokio::test]
async fn turns_are_taken_and_an_avoided_endpoint_is_passed_over() {
    let (a, b) = (Mock::always(|| json("200 OK", "{}")).await, Mock::always(|| json("200 OK", "{}")).await);
    let mut spec = spec("http", &[a.name(), b.name()]);
    spec.balance = Balance::RoundRobin;
    let backend = build(&spec, clock());
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(backend.complete(call()).await.unwrap().endpoint.unwrap().to_string());
    }
    assert_eq!(order, [a.name(), b.name(), a.name(), b.name()]);
    for balance in [Balance::RoundRobin, Balance::P2c] {
        spec.balance = balance;
        let backend = build(&spec, clock());
        for _ in 0..6 {
            let mut call = call();
            call.avoid = Some(a.name().parse().unwrap());
            assert_eq!(backend.complete(call).await.unwrap().endpoint.unwrap().as_str(), b.name());
        }
    }
    let mut alone = call();
    alone.avoid = Some(a.name().parse().unwrap());
    crate::mock::backend(&[&a]).complete(alone).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_left_alone_for_a_while() {
    let (dead, good) = (nobody().await, Mock::always(|| json("200 OK", "{}")).await);
    let mut spec = spec("http", &[dead.clone(), good.name()]);
    spec.balance = Balance::RoundRobin;
    let clock = clock();
    let backend = build(&spec, clock.clone());
    let faults = async |calls: usize| {
        let mut faults = 0;
        for _ in 0..calls {
            if let Err(fault) = backend.complete(call()).await {
                assert_eq!((fault.kind, fault.endpoint.unwrap().to_string()), (FaultKind::Unreachable, dead.clone()));
                faults += 1;
            }
        }
        faults
    };
    assert_eq!(faults(6).await, 3, "every second call meets it");
    assert_eq!(faults(10).await, 0, "after the third it is left alone");
    clock.advance(Duration::from_millis(1_001));
    assert_eq!(faults(10).await, 1, "one more try after the pause");
    clock.advance(Duration::from_millis(1_001));
    assert_eq!(faults(10).await, 0, "the second pause is longer");
    assert!(backend.ready());
}

#[tokio::test]
async fn the_last_endpoint_is_tried_although_it_is_not_ready() {
    let dead = nobody().await;
    let clock = clock();
    let backend = build(&spec("http", &[dead]), clock.clone());
    assert!(backend.ready());
    for _ in 0..5 {
        assert_eq!(backend.complete(call()).await.unwrap_err().kind, FaultKind::Unreachable);
    }
    assert!(!backend.ready());
    clock.advance(Duration::from_secs(2));
    assert!(backend.ready());
}

#[tokio::test]
async fn a_call_waits_for_a_seat_no_longer_than_to_connect() {
    let mock = open().await;
    let mut spec = spec("http", &[mock.name()]);
    spec.max_connections = 1;
    let backend = build(&spec, clock());
    let mut first = backend.stream(call()).await.unwrap();
    let mut second = call();
    second.deadlines.connect = Duration::from_millis(30);
    assert_eq!(backend.stream(second).await.unwrap_err().kind, FaultKind::Overloaded);

    first.frames.next().await.unwrap().unwrap();
    let waiting = backend.stream(call());
    let (waited, ()) = tokio::join!(waiting, async { drop(first) });
    waited.unwrap();
    assert_eq!(mock.connected(), 2);
}
