//! End to end: the built program over loopback, in front of a mock upstream that does as it is told. One test binary, a
//! file a theme; `harness` starts things and reads what they say. Nothing here sleeps to let time pass: it waits for
//! what it is told, or asks again until it is so.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod adapters;
#[cfg(test)]
mod admin_models;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod baselines;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod breast_cancer;
#[cfg(test)]
mod cascade;
#[cfg(test)]
mod classic;
#[cfg(test)]
mod classic_batches;
#[cfg(test)]
mod classic_contracts;
#[cfg(test)]
mod classic_experiments;
#[cfg(test)]
mod classic_explained;
#[cfg(test)]
mod classic_followed;
#[cfg(test)]
mod classic_grpc;
#[cfg(test)]
mod classic_grpc_upstream;
#[cfg(test)]
mod classic_malformed;
#[cfg(test)]
mod classic_malformed_grpc;
#[cfg(test)]
#[cfg(feature = "host")]
mod classic_watched;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod contextual;
#[cfg(test)]
mod contracts_elsewhere;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod experiments;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod features;
#[cfg(test)]
mod feedback;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod finetune;
#[cfg(test)]
mod folders;
#[cfg(test)]
mod footprint;
#[cfg(test)]
mod governance;
#[cfg(test)]
mod graphs;
#[cfg(test)]
mod graphs_beside;
#[cfg(test)]
mod graphs_explained;
#[cfg(test)]
mod hedging;
#[cfg(test)]
#[cfg(feature = "host")]
mod hostile;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod load;
#[cfg(test)]
mod local_queue;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod multipart;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
#[cfg(feature = "host")]
mod plugin_web;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod prompt_kills;
#[cfg(test)]
mod prompts;
#[cfg(test)]
mod quickstart;
#[cfg(test)]
mod rag;
#[cfg(test)]
mod records;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod rollouts;
#[cfg(test)]
mod router_plugins;
mod routing;
#[cfg(test)]
mod serving;
mod shadows;
mod shared;
mod shared_learning;
mod shared_monitors;
mod shared_rollouts;
#[cfg(test)]
mod sleeping;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod steering;
#[cfg(test)]
mod sticky;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod sureness;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
