//! What a gateway with a real model has in memory beside the model's weights and its cache, after a load of long prompts.
//!
//! What counts: anonymous memory, which is all that a model and its calls make the process take. Weights are read into it,
//! repacked, and no file of theirs is mapped; so the pages of files that the process has are its own program's (29 MB of the
//! release), which it shares with all others that run it and which the figure shows apart.

use crate::harness::events::Counts;
use crate::harness::home::{BASE, models};
use crate::harness::{Client, Home, eventually, may_be_left_out};
use crate::quickstart::ask;
use serde_json::json;

/// What there may be beside, in bytes.
const BESIDE: f64 = 45e6;

/// What a process has in memory, in bytes: all of it, what is anonymous, and pages of files.
fn resident(pid: u32) -> [f64; 3] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    ["VmRSS:", "RssAnon:", "RssFile:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
        line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") * 1024.0
    })
}

/// A prompt of some 1,300 tokens that begins unlike all others, so that it fills blocks of its own.
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
async fn beside_weights_and_cache_a_gateway_has_no_more_than_forty_five_megabytes() {
    let test = "beside_weights_and_cache_a_gateway_has_no_more_than_forty_five_megabytes";
    if models().is_none() && may_be_left_out(test, "the small model: set TIDEGATE_TEST_MODELS to the folder of models")
    {
        return;
    }
    let home = Home::new();
    home.write(
        "config.yaml",
        &format!(
            "{BASE}providers: {{here: {{local: {{kv_cache: 64MiB}}}}}}\nmodels: {{smol: {{provider: here, source: smollm2}}}}\n\
             routes: {{smollm2: {{model: smol, timeouts: {{first_token: 300s, total: 600s}}}}}}\n"
        ),
    );
    let key = home.key(&["infer"]);
    let gateway = home.serve().await;
    let (client, admin) = (gateway.client().with_key(&key), gateway.admin());
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
    let of = |part: &str| counts.series(&format!("tidegate_engine_memory_bytes{{model=\"smol\",part=\"{part}\"}}"));
    let blocks = |state: &str| counts.series(&format!("tidegate_engine_kv_blocks{{model=\"smol\",state=\"{state}\"}}"));
    let (weights, cache) = (of("weights"), of("cache"));
    assert!(weights > 80e6 && blocks("free") < 0.1 * (blocks("cached") + blocks("held")), "the cache was filled");
    let is_small = eventually("what was freed is given back", async || {
        let found = resident(gateway.pid());
        (found[1] <= weights + cache + BESIDE).then_some(found)
    });
    let [all, anonymous, file] = is_small.await.map(|bytes| bytes / 1e6);
    let (weights, cache) = (weights / 1e6, cache / 1e6);
    let beside = anonymous - weights - cache;
    println!(
        "figure: {all:.1} MB resident, {file:.1} of them the program's own pages; anonymous {anonymous:.1}: weights {weights:.1}, \
         cache {cache:.1}, {beside:.1} beside"
    );
}
