//! What a gateway with a real model has in memory beside the model's weights and its cache, after a load of long prompts.

use crate::harness::events::Counts;
use crate::harness::{Client, eventually};
use crate::quickstart::{ask, quickstart_with};
use serde_json::json;

/// What there may be beside, in bytes.
const BESIDE: f64 = 60e6;

/// What a process has in memory, in bytes, and its parts.
fn resident(pid: u32) -> [f64; 3] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    ["VmRSS:", "RssAnon:", "RssFile:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
        line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") * 1024.0
    })
}

/// A prompt of some 1,400 tokens that begins unlike all others, so that it fills blocks of its own.
fn long(number: usize) -> String {
    let line = format!(
        "On day {number} the keeper of the lighthouse wrote down what ships he saw, and what the wind was like. "
    );
    format!("{number}. {}", line.repeat(56))
}

async fn answered(client: &Client, number: usize) {
    let mut body = ask(&format!("{}What did he write?", long(number)), 8);
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(5);
    let answer = client.chat(&body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test]
async fn beside_weights_and_cache_a_gateway_has_no_more_than_sixty_megabytes() {
    let test = "beside_weights_and_cache_a_gateway_has_no_more_than_sixty_megabytes";
    let Some((_home, gateway)) = quickstart_with(test, "local: {}", "local: {kv_cache: 64MiB}").await else { return };
    let (client, admin) = (gateway.client(), gateway.admin());
    // Four at once, so that steps are full; together more than the cache has room for.
    for round in 0..2 {
        let calls: Vec<_> = (0..4)
            .map(|call| {
                let client = client.clone();
                tokio::spawn(async move { answered(&client, round * 4 + call).await })
            })
            .collect();
        for call in calls {
            call.await.expect("an answer");
        }
    }
    let counts = Counts::read(&admin).await;
    let of = |part: &str| counts.series(&format!("tidegate_engine_memory_bytes{{model=\"smollm2\",part=\"{part}\"}}"));
    let blocks =
        |state: &str| counts.series(&format!("tidegate_engine_kv_blocks{{model=\"smollm2\",state=\"{state}\"}}"));
    let (weights, cache) = (of("weights"), of("cache"));
    assert!(weights > 80e6 && blocks("free") < 0.1 * (blocks("cached") + blocks("held")), "the cache was filled");
    println!(
        "right after the load: {:?} MB in all, anonymous and of files",
        resident(gateway.pid()).map(|bytes| bytes / 1e6)
    );
    let is_small = eventually("what was freed is given back", async || {
        let [all, anonymous, file] = resident(gateway.pid());
        (all <= weights + cache + BESIDE).then_some([all, anonymous, file])
    });
    let [all, anonymous, file] = is_small.await.map(|bytes| bytes / 1e6);
    let (weights, cache) = (weights / 1e6, cache / 1e6);
    println!(
        "figure: {all:.0} MB resident ({anonymous:.0} anonymous, {file:.0} of files): weights {weights:.1}, cache {cache:.1}, beside {:.1}",
        all - weights - cache
    );
}
