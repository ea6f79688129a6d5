//! What the layer around a filter costs: a request with 12 headers and a text of 1 KB passes, by a warm filter and by the bare
//! typed function of wasmtime on one reused instance, in turns on one thread. Bounds, as ratios of medians: one filter at most
//! 2.5 times the bare call, five filters at most 5.5 times one. The process fails beyond them.
//!
//! `cargo bench -p tidegate-host`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program, run by hand")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::port::filter::{Filter, Message, Part, PartKind, Seen};
use tidegate_core::{Api, InferenceId, RouteName};
use tidegate_host::{Bounds, Host, Limits, Outside, WarmFilter};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

mod bound {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package bench:bare;
            world bare { export tidegate:plugin/request-filter@0.1.0; export tidegate:plugin/drift@0.1.0; }
        ",
        world: "bench:bare/bare",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bound::exports::tidegate::plugin::request_filter::{Guest, GuestIndices};
use bound::tidegate::plugin::{types, view};

const ROUNDS: usize = 401;
const CALLS: u32 = 200;
const ONE: f64 = 2.5;
const FIVE: f64 = 5.5;

fn main() -> ExitCode {
    let component = component();
    let text = "x".repeat(1024);
    let names: Vec<String> = (0..12).map(|at| format!("x-header-number-{at}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a value of some length")).collect();
    let route: RouteName = "support".parse().unwrap();
    let call = Seen {
        id: InferenceId::from_u128(7),
        route: &route,
        tenant: None,
        api: Api::ChatCompletions,
        model: Some("large"),
        prompt_version: None,
        headers: &headers,
    };
    let part = Part { kind: PartKind::Text, text: text.as_str().into(), is_untrusted: true };
    let messages = [Message { role: "user".into(), parts: vec![part] }];

    let mut bare = Bare::new(&component);
    let host = Host::new(Limits::default(), Outside::default()).unwrap();
    let plugin = Arc::new(
        host.load(&component, Bounds { deadline: Some(Duration::from_secs(1)), ..Bounds::default() }).unwrap(),
    );
    let filters: Vec<WarmFilter> =
        (0..5).map(|at| plugin.filter(format!("f{at}").parse().unwrap(), "{}").unwrap()).collect();
    let pass = |filters: &[WarmFilter]| {
        for filter in filters {
            black_box(filter.request(black_box(&call), black_box(&messages)).unwrap());
        }
    };

    let mut taken = [const { Vec::new() }; 3];
    for round in 0..ROUNDS + 20 {
        let times = [
            timed(|| bare.pass(black_box(&headers), black_box(&text))),
            timed(|| pass(&filters[..1])),
            timed(|| pass(&filters)),
        ];
        if round >= 20 {
            taken.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
    }
    let [bare, one, five] = taken.map(median);
    println!("bare typed call   {:8.3} µs", bare * 1e6);
    println!("one warm filter   {:8.3} µs, {:.2} of the bare call, {ONE} at most", one * 1e6, one / bare);
    println!("five warm filters {:8.3} µs, {:.2} of one filter, {FIVE} at most", five * 1e6, five / one);
    if one > ONE * bare || five > FIVE * one { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Seconds a call.
fn timed(mut does: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..CALLS).for_each(|_| does());
    began.elapsed().as_secs_f64() / f64::from(CALLS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The function alone: an engine like the host's, one instance, no clock that ends calls.
struct Bare {
    store: Store<()>,
    guest: Guest,
}

impl Bare {
    fn new(component: &[u8]) -> Self {
        let mut config = Config::new();
        config.wasm_component_model(true).epoch_interruption(true).cranelift_nan_canonicalization(true);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(4).max_memory_size(16 << 20);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::from_binary(&engine, component).unwrap();
        let pre = Linker::<()>::new(&engine).instantiate_pre(&component).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1 << 40);
        let instance = pre.instantiate(&mut store).unwrap();
        let guest = GuestIndices::new(&pre).unwrap().load(&mut store, &instance).unwrap();
        Self { store, guest }
    }

    fn pass(&mut self, headers: &[(&str, &str)], text: &str) {
        let context = types::RequestContext {
            request_id: "00000000-0000-0000-0000-000000000007",
            route: "support",
            tenant: None,
            api_kind: types::ApiKind::Chat,
            model: Some("large"),
            affinity: 0,
            prompt_version: None,
            deadline_ms: 1000,
        };
        let parts = [view::Part { kind: view::PartKind::Text, text, untrusted: true }];
        let messages = [view::Message { role: "user", parts: &parts }];
        let said = self.guest.call_on_request(&mut self.store, context, headers, &messages).unwrap();
        assert!(matches!(black_box(said).unwrap().action, view::Action::Pass));
    }
}

/// A filter that reads every byte of the texts, as one that looks for something does, and passes.
fn component() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 4096))
        (data (i32.const 0) "made") (data (i32.const 8) "1.2.3") (data (i32.const 16) "{}")
        (data (i32.const 64) "\00\00\00\00\04\00\00\00\08\00\00\00\05\00\00\00\10\00\00\00\02\00\00\00")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
          (global.set $next (i32.add (local.get $at) (local.get 3))) (local.get $at))
        (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
        (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 96))
        (func (export "tidegate:plugin/request-filter@0.1.0#on-request") (param i32) (result i32)
          (local $at i32) (local $end i32) (local $found i32)
          (global.set $next (i32.const 4096))
          (local.set $at (i32.load offset=4 (i32.load offset=8 (i32.load offset=80 (local.get 0)))))
          (local.set $end (i32.add (local.get $at)
            (i32.load offset=8 (i32.load offset=8 (i32.load offset=80 (local.get 0))))))
          (loop $more
            (local.set $found (i32.or (local.get $found) (i32.eq (i32.load8_u (local.get $at)) (i32.const 64))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
          (i32.store (i32.const 1000) (local.get $found))
          (i32.const 128)))"#;
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("request-filter-plugin")).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
    tidegate_host::pack(&module).unwrap()
}
