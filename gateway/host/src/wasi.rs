//! WASI for guests that cannot be built without it (Python, JavaScript, Go): `minimal`, which has a clock, chance and standard
//! streams that end in the log, and nothing else. Owns which interfaces there are; `served` does what there is to do, `inert`
//! answers for all the rest by its types.
//!
//! There is no file, socket, variable or argument to be had, and nothing waits: a guest that sleeps goes on at once, and its
//! call's deadline is the only time it is measured by. That is why the crate `wasmtime-wasi` is not here: its functions wait in
//! the host, where no epoch ends them.

mod inert;
mod served;
mod written;

pub(crate) use served::Stopped;
pub(crate) use written::Written;

use crate::cell::Cell;
use crate::fault::{Fault, Kind};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

/// What a plugin is granted of WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wasi {
    /// Nothing: a component that imports any of it is refused.
    #[default]
    None,
    /// What an interpreter needs to start, and what it writes.
    Minimal,
}

/// The packages of WASI that are answered, and their version: the second minor of version 0.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
const VERSION: &str = "0.2.";

impl Wasi {
    /// Those of these imports that are not answered here, for the world to grant.
    pub(crate) fn sifted(self, imports: &[String]) -> Result<Vec<String>, Fault> {
        if self == Self::None {
            return Ok(imports.to_vec());
        }
        let (wasi, others): (Vec<_>, Vec<_>) = imports.iter().cloned().partition(|name| name.starts_with("wasi:"));
        match wasi.iter().find(|name| answered(name).is_none()) {
            None => Ok(others),
            Some(other) => {
                let (last, first) = PACKAGES.split_last().unwrap_or((&"", &[]));
                let says = format!(
                    "it imports `{other}`: `wasi: minimal` has {} and {last} of version {VERSION}x, and nothing else",
                    first.join(", ")
                );
                Err(Fault::new(Kind::Import, says))
            }
        }
    }

    /// Gives a component what it imports of WASI. What it does not import is not there.
    pub(crate) fn link(
        self,
        linker: &mut Linker<Cell>,
        engine: &Engine,
        component: &Component,
    ) -> wasmtime::Result<()> {
        if self == Self::None {
            return Ok(());
        }
        for (import, item) in component.component_type().imports(engine) {
            let (Some(interface), ComponentItem::ComponentInstance(instance)) = (answered(import), item.ty) else {
                continue;
            };
            let mut into = linker.instance(import)?;
            for (name, item) in instance.exports(engine) {
                match item.ty {
                    ComponentItem::Resource(_) => served::resource(&mut into, name)?,
                    ComponentItem::ComponentFunc(_) if !served::function(&mut into, interface, name)? => {
                        inert::function(&mut into, interface, name)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The interface that an import is of, such as `cli/stdout`, if it is one that is answered.
fn answered(import: &str) -> Option<&str> {
    let (interface, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    let (package, _) = interface.split_once('/')?;
    (version.starts_with(VERSION) && PACKAGES.contains(&package)).then_some(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_taken_out_and_the_rest_is_named() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let imports = names(&["wasi:cli/stdout@0.2.9", "tidegate:plugin/log@0.1.0", "wasi:sockets/tcp@0.2.0"]);
        assert_eq!(Wasi::None.sifted(&imports), Ok(imports.clone()));
        assert_eq!(Wasi::Minimal.sifted(&imports), Ok(names(&["tidegate:plugin/log@0.1.0"])));
        for other in ["wasi:http/types@0.2.0", "wasi:cli/stdout@0.3.0", "wasi:cli/stdout", "wasi:keyvalue/store@0.2.0"]
        {
            let fault = Wasi::Minimal.sifted(&names(&[other])).unwrap_err();
            assert!(fault.kind == Kind::Import && fault.says.contains(other), "{}", fault.says);
            assert!(fault.says.contains("random and sockets of version 0.2.x"), "{}", fault.says);
        }
    }
}
