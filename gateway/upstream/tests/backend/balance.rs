//! Calls over several endpoints: spreading, avoidance, health, seats.

use crate::mock::*;
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_core::FaultKind;
use tidegate_core::port::backend::{Backend, EndpointState};
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
    assert_eq!(faults(10).await, 5, "every second call meets it");
    assert_eq!(faults(10).await, 0, "after the fifth it is left alone");
    let dead_one = || backend.endpoints().swap_remove(0);
    assert_eq!((dead_one().state, dead_one().ejections), (EndpointState::Open, [1, 0, 0, 0, 0, 0]));
    clock.advance(Duration::from_secs(60));
    assert_eq!(faults(10).await, 0, "no call is risked while nobody is there");
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
    assert_eq!(backend.endpoints()[0].state, EndpointState::Closed, "the last one is not ejected");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_ejected_and_comes_back_by_a_trial() {
    let is_well = Arc::new(AtomicBool::new(false));
    let sick = {
        let is_well = Arc::clone(&is_well);
        Mock::always(move || json(if is_well.load(Ordering::SeqCst) { "200 OK" } else { "500 Oh" }, "{}")).await
    };
    let good = Mock::always(|| json("200 OK", "{}")).await;
    let mut spec = spec("http", &[sick.name(), good.name()]);
    spec.balance = Balance::RoundRobin;
    let clock = clock();
    let backend = build(&spec, clock.clone());
    let states = || backend.endpoints().iter().map(|e| e.state).collect::<Vec<_>>();
    for _ in 0..10 {
        drop(backend.complete(call()).await);
    }
    assert_eq!(states(), [EndpointState::Open, EndpointState::Closed]);
    // The trial fails, and the next comes after twice the time.
    for wait in [1_000, 2_000] {
        let mut failed = 0;
        clock.advance(Duration::from_millis(wait / 2));
        while states()[0] == EndpointState::Open && failed == 0 {
            // The probe runs beside the calls; the clock moves on with each.
            clock.advance(Duration::from_millis(wait / 8));
            failed += usize::from(backend.complete(call()).await.is_err());
        }
        failed += usize::from(states()[0] == EndpointState::HalfOpen && backend.complete(call()).await.is_err());
        assert_eq!((failed, states()[0]), (1, EndpointState::Open), "one call tries it");
    }
    is_well.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(4));
    while states()[0] != EndpointState::Closed {
        backend.complete(call()).await.unwrap();
    }
    let mut again = 0;
    for _ in 0..400 {
        again += usize::from(backend.complete(call()).await.unwrap().endpoint.unwrap().as_str() == sick.name());
    }
    assert!((5..60).contains(&again), "it starts slowly: {again} of 400");
}

#[tokio::test]
async fn a_stream_that_breaks_off_counts_against_its_endpoint() {
    let cut = Mock::always(|| open_stream(&["data: {}\n\n"], Then::Close)).await;
    let good = open().await;
    let mut spec = spec("http", &[cut.name(), good.name()]);
    (spec.balance, spec.outlier_detection.min_calls) = (Balance::RoundRobin, 8);
    let backend = build(&spec, clock());
    for _ in 0..16 {
        let mut frames = backend.stream(call()).await.unwrap();
        if frames.endpoint.as_ref().unwrap().as_str() == cut.name() {
            while let Some(Ok(_)) = frames.frames.next().await {}
        }
    }
    let report = backend.endpoints().swap_remove(0);
    assert_eq!(report.state, EndpointState::Open, "half of what it begins breaks off: {report:?}");
}

#[tokio::test]
async fn nobody_waits_for_an_endpoint_that_is_full() {
    let (a, b) = (open().await, open().await);
    let mut spec = spec("http", &[a.name(), b.name()]);
    spec.max_concurrency = Some(2);
    let backend = build(&spec, clock());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(backend.stream(call()).await.unwrap());
    }
    assert!(backend.loads().all(|(_, load)| load == 2));
    let fault = backend.stream(call()).await.unwrap_err();
    assert_eq!((fault.kind, fault.retry_after), (FaultKind::Overloaded, Some(Duration::from_secs(1))));
    let left = held.swap_remove(0).endpoint.unwrap();
    while backend.loads().any(|(name, load)| *name == left && load == 2) {
        tokio::task::yield_now().await;
    }
    assert_eq!(backend.stream(call()).await.unwrap().endpoint, Some(left), "the one with room takes it");
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
