//! Components that are larger than most: refused with the limit that would have to be raised, and loaded where it is. Room that
//! one plugin asked for is nobody else's.

use super::is;
use super::made::{Core, small, still_works};
use tidegate_host::{Bounds, Host, Kind, Outside};

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// A component with so many core modules more, which do nothing: in a component of their own that stands behind all others.
fn with_modules(component: &[u8], more: usize) -> Vec<u8> {
    let (mut at, mut components) = (8, 0);
    while at < component.len() {
        let (id, mut length, mut shift) = (component[at], 0, 0);
        loop {
            at += 1;
            length |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + length;
        components += usize::from(id == 4);
    }
    let instances = "(core instance (instantiate $m))".repeat(more);
    let inner = wat::parse_str(format!("(component (core module $m) {instances})")).unwrap();
    let instance = [vec![1, 0], leb(components), vec![0]].concat();
    let section = |id: u8, content: &[u8]| [vec![id], leb(content.len()), content.to_vec()].concat();
    [component, &section(4, &inner), &section(5, &instance)].concat()
}

#[test]
fn a_component_of_many_modules_is_loaded_where_that_is_said() {
    let usual = Host::new(small(), Outside::default()).unwrap();
    let good = Core::default().component();
    still_works(&usual.load(&with_modules(&good, 8), Bounds::default()).unwrap());
    let many = with_modules(&good, 40);
    is(&usual.load(&many, Bounds::default()).unwrap_err(), Kind::TooLarge, "raise the limit");
    let asks = Bounds { modules: Some(64), ..Bounds::default() };
    is(&usual.load(&many, asks).unwrap_err(), Kind::TooLarge, "`modules`");

    let roomy = Host::new(small().with_room_for(&[asks]), Outside::default()).unwrap();
    still_works(&roomy.load(&many, asks).unwrap());
    is(&roomy.load(&many, Bounds::default()).unwrap_err(), Kind::TooLarge, "raise `modules`");
    still_works(&roomy.load(&good, Bounds::default()).unwrap());
}

#[test]
fn a_large_table_is_there_where_that_is_said() {
    let large = Core { more: "(table 20000 funcref)", ..Core::default() }.component();
    let usual = Host::new(small(), Outside::default()).unwrap();
    is(&usual.load(&large, Bounds::default()).unwrap_err(), Kind::Memory, "20000");
    let asks = Bounds { table_elements: Some(32_768), ..Bounds::default() };
    let roomy = Host::new(small().with_room_for(&[asks]), Outside::default()).unwrap();
    still_works(&roomy.load(&large, asks).unwrap());
    is(&roomy.load(&large, Bounds::default()).unwrap_err(), Kind::Memory, "a table of 20000 elements");
}

#[test]
fn a_long_component_is_compiled_where_that_is_said() {
    let good = Core::default().component();
    let mut limits = small();
    limits.component_bytes = good.len() - 1;
    let host = Host::new(limits, Outside::default()).unwrap();
    is(&host.load(&good, Bounds::default()).unwrap_err(), Kind::TooLarge, "raise its limit `size`");
    let asks = Bounds { component_bytes: Some(good.len() as u64), ..Bounds::default() };
    still_works(&host.load(&good, asks).unwrap());
}
