//! The component step: a core module with the contract's metadata, as wit-bindgen leaves it, becomes a component. Owns nothing
//! else; with it authors need only rustup.

use crate::fault::{Fault, Kind};
use wit_component::ComponentEncoder;

/// Makes a component of a core module.
///
/// # Errors
/// It is no core module, or it was not built against the contract.
pub fn pack(module: &[u8]) -> Result<Vec<u8>, Fault> {
    if !module.starts_with(b"\0asm\x01\0\0\0") {
        let says = if module.starts_with(b"\0asm\x0d\0\x01\0") {
            "it is a component already: nothing is left to do"
        } else {
            "it is no core WebAssembly module: build the plugin for wasm32-unknown-unknown first"
        };
        return Err(Fault::new(Kind::NotAComponent, says));
    }
    let encoded = || ComponentEncoder::default().validate(true).module(module)?.encode();
    encoded().map_err(|error| Fault::new(Kind::Damaged, format!("no component can be made of it: {error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_said() {
        assert!(pack(b"\0asm\x0d\0\x01\0").unwrap_err().says.contains("already"));
        assert!(pack(b"(module)").unwrap_err().says.contains("no core"));
        assert_eq!(pack(b"\0asm\x01\0\0\0\x01").unwrap_err().kind, Kind::Damaged);
    }
}
