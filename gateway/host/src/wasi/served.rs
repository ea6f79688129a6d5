//! The functions of WASI that do something: clocks and chance are the contract's own, what is written goes to the log, and
//! waiting is over at once. Owns these and the resources; each call counts against the budget of the instance. Their types are
//! WASI's: a component that has others is refused when it is linked.

use super::written::Stream;
use crate::cell::Cell;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType};

/// How much is taken at once, as a stream says it.
const WRITTEN_BYTES: u64 = 64 << 10;
/// How much chance is given at once.
const RANDOM_BYTES: u64 = 64 << 10;

/// The resources. None has anything behind it: a number says which it is.
enum Input {}
enum Output {}
enum Pollable {}
enum Failure {}
/// One of which there is none to be had.
enum Other {}

/// The instance did what ends it, such as leaving by `exit`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stopped(pub(crate) String);

impl Stopped {
    pub(super) fn of(says: String) -> wasmtime::Error {
        wasmtime::Error::from(Self(says))
    }
}

/// Why a stream has nothing, as WASI says it.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

/// A moment of the wall's clock.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// What a stream answers.
type Streamed<T> = Result<T, StreamError>;
type Store<'a> = StoreContextMut<'a, Cell>;

/// Defines a resource. Giving one back does nothing, since nothing was behind it.
pub(super) fn resource(into: &mut LinkerInstance<'_, Cell>, name: &str) -> wasmtime::Result<()> {
    let kind = match name {
        "input-stream" => ResourceType::host::<Input>(),
        "output-stream" => ResourceType::host::<Output>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<Failure>(),
        _ => ResourceType::host::<Other>(),
    };
    into.resource(name, kind, |_, _| Ok(()))
}

/// Defines a function, if it is one of these.
pub(super) fn function(into: &mut LinkerInstance<'_, Cell>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    match interface {
        "cli/exit" | "cli/stdin" | "cli/stdout" | "cli/stderr" => process(into, interface, name),
        "clocks/monotonic-clock" | "clocks/wall-clock" => clock(into, interface, name),
        "random/random" | "random/insecure" | "random/insecure-seed" => random(into, name),
        "io/error" | "io/poll" => poll(into, name),
        "io/streams" => stream(into, name),
        "sockets/instance-network" => network(into, name),
        _ => Ok(false),
    }
}

/// Defines a function that counts as a call to the host.
macro_rules! define {
    ($into:expr, $name:expr, |$store:ident, $given:tt: $types:ty| $answer:expr) => {{
        $into.func_wrap($name, |mut $store: Store<'_>, $given: $types| {
            $store.data_mut().count_call()?;
            $answer
        })?;
        Ok(true)
    }};
}

fn process(into: &mut LinkerInstance<'_, Cell>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    const STDOUT: u32 = Stream::Out as u32;
    const STDERR: u32 = Stream::Error as u32;
    match (interface, name) {
        ("cli/exit", "exit") => define!(into, name, |store, (status,): (Result<(), ()>,)| {
            let how = if status.is_ok() { "well" } else { "with a failure" };
            Err::<(), _>(Stopped::of(format!("ended itself {how} by `wasi:cli/exit`")))
        }),
        ("cli/exit", "exit-with-code") => define!(into, name, |store, (code,): (u8,)| {
            Err::<(), _>(Stopped::of(format!("ended itself with the status {code} by `wasi:cli/exit`")))
        }),
        (_, "get-stdin") => define!(into, name, |store, (): ()| Ok((Resource::<Input>::new_own(0),))),
        (_, "get-stdout") => define!(into, name, |store, (): ()| Ok((Resource::<Output>::new_own(STDOUT),))),
        (_, "get-stderr") => define!(into, name, |store, (): ()| Ok((Resource::<Output>::new_own(STDERR),))),
        _ => Ok(false),
    }
}

fn clock(into: &mut LinkerInstance<'_, Cell>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("clocks/monotonic-clock", "now") => define!(into, name, |store, (): ()| Ok((store.data().lived_ns(),))),
        ("clocks/monotonic-clock", "resolution") => define!(into, name, |store, (): ()| Ok((1_u64,))),
        (_, "subscribe-instant" | "subscribe-duration") => {
            define!(into, name, |store, (_,): (u64,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        (_, "now") => define!(into, name, |store, (): ()| {
            let now = store.data().outside.clock.unix_ms();
            let nanoseconds = u32::try_from(now % 1000).unwrap_or_default() * 1_000_000;
            Ok((Datetime { seconds: now / 1000, nanoseconds },))
        }),
        (_, "resolution") => {
            define!(into, name, |store, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },)))
        }
        _ => Ok(false),
    }
}

fn random(into: &mut LinkerInstance<'_, Cell>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => define!(into, name, |store, (wanted,): (u64,)| {
            if wanted > RANDOM_BYTES {
                let says = format!("asked for {wanted} random bytes at once, of which {RANDOM_BYTES} are the most");
                return Err(Stopped::of(says));
            }
            let length = usize::try_from(wanted).unwrap_or_default();
            let dice = &store.data().outside.dice;
            let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| dice.next_u64().to_le_bytes()).collect();
            bytes.truncate(length);
            Ok((bytes,))
        }),
        "get-random-u64" | "get-insecure-random-u64" => {
            define!(into, name, |store, (): ()| Ok((store.data().outside.dice.next_u64(),)))
        }
        "insecure-seed" => define!(into, name, |store, (): ()| {
            let dice = &store.data().outside.dice;
            Ok(((dice.next_u64(), dice.next_u64()),))
        }),
        _ => Ok(false),
    }
}

fn poll(into: &mut LinkerInstance<'_, Cell>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "[method]error.to-debug-string" => {
            define!(into, name, |store, (_,): (Resource<Failure>,)| Ok(("there is nothing to be had".to_owned(),)))
        }
        "[method]pollable.ready" => define!(into, name, |store, (_,): (Resource<Pollable>,)| Ok((true,))),
        "[method]pollable.block" => define!(into, name, |store, (_,): (Resource<Pollable>,)| Ok(())),
        "poll" => define!(into, name, |store, (all,): (Vec<Resource<Pollable>>,)| {
            let ready: Vec<u32> = (0..).zip(&all).map(|(at, _)| at).collect();
            Ok((ready,))
        }),
        _ => Ok(false),
    }
}

fn stream(into: &mut LinkerInstance<'_, Cell>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "[method]input-stream.subscribe" => {
            define!(into, name, |store, (_,): (Resource<Input>,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.subscribe" => {
            define!(into, name, |store, (_,): (Resource<Output>,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.check-write" => {
            define!(into, name, |store, (_,): (Resource<Output>,)| Ok((Streamed::Ok(WRITTEN_BYTES),)))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            define!(into, name, |store, (to, bytes): (Resource<Output>, Vec<u8>)| {
                let stream = if to.rep() == Stream::Error as u32 { Stream::Error } else { Stream::Out };
                store.data_mut().write(stream, &bytes);
                Ok((Streamed::Ok(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            define!(into, name, |store, (_,): (Resource<Output>,)| Ok((Streamed::Ok(()),)))
        }
        _ => Ok(false),
    }
}

/// The network's handle is given, since whoever asks for a socket needs one; what is asked of it is refused.
fn network(into: &mut LinkerInstance<'_, Cell>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "instance-network" => define!(into, name, |store, (): ()| Ok((Resource::<Other>::new_own(0),))),
        _ => Ok(false),
    }
}
