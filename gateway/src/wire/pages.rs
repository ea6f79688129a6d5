//! Huge pages, on or off for the whole process. The allocator asks for them for all that it takes from the system, which
//! doubles what a gateway holds and speeds nothing up; weights and caches of a local model are worth them.

/// Does without huge pages, from here on.
pub(crate) fn small() {
    huge(false);
}

/// Lets the system give huge pages, from here on.
#[cfg(feature = "engine")]
pub(crate) fn allow_huge() {
    huge(true);
}

#[cfg(target_os = "linux")]
fn huge(are_wanted: bool) {
    if let Err(fault) = rustix::thread::disable_transparent_huge_pages(!are_wanted) {
        tracing::debug!(%fault, "the system does not say how large pages shall be");
    }
}

#[cfg(not(target_os = "linux"))]
const fn huge(_are_wanted: bool) {}
