//! A component that somebody sends to be looked at: loaded as `tidegate plugin inspect` does, described and thrown away.
//! Owns what its faults are to a caller.

use super::uses;
use super::workshop::Workshop;
use serde_json::{Value, json};
use tidegate_core::{Fault, FaultKind, PluginName};
use tidegate_host::{Bounds, Host, Kind, Limits, Outside};

/// The longest component that is taken.
pub(super) fn largest() -> usize {
    Limits::default().component_bytes
}

/// Why a component is not what it should be.
#[derive(Debug)]
pub(super) enum Refused {
    /// As a fault of the request.
    Fault(Fault),
    /// It came well, and it is no plugin.
    Unfit(String),
}

/// Loads it in a host of its own, so that it takes no place of those that serve, and says what it is. Takes as long as
/// compiling does.
pub(super) fn tried(workshop: &Workshop, name: &PluginName, bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.is_empty() {
        let says = "the body is empty: send the bytes of a component";
        return Err(Refused::Fault(Fault::new(FaultKind::InvalidRequest, says)));
    }
    let host = Host::new(Limits::default(), Outside::default()).map_err(|fault| refused(&fault))?;
    let plugin = workshop.try_out(&host, bytes, Bounds::default()).map_err(|fault| refused(&fault))?;
    let about = plugin.about();
    let mut shown = serde_json::to_value(about).map_err(|e| Refused::Fault(Fault::internal(e)))?;
    shown["object"] = json!("plugin.trial");
    shown["as"] = json!(name);
    shown["looks_at"] = json!(uses::names(about.looks_at));
    shown["installed"] = json!(false);
    Ok(shown)
}

fn refused(fault: &tidegate_host::Fault) -> Refused {
    let says = format!("{} ({})", fault.says, fault.kind);
    match fault.kind {
        Kind::TooLarge => Refused::Fault(Fault::new(FaultKind::TooLarge, says)),
        Kind::NotAComponent => Refused::Fault(Fault::new(FaultKind::UnsupportedMedia, says)),
        Kind::Host => Refused::Fault(Fault::internal(says)),
        Kind::Busy => Refused::Fault(Fault::new(FaultKind::Overloaded, says)),
        Kind::Damaged
        | Kind::WrongWorld
        | Kind::Import
        | Kind::Tripped
        | Kind::Deadline
        | Kind::Memory
        | Kind::Stack
        | Kind::Trap
        | Kind::HostCalls
        | Kind::Refused(_)
        | Kind::BadOutput
        | Kind::BadInput => Refused::Unfit(says),
    }
}
