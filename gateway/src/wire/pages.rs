//! Small pages for the whole process. The allocator asks for huge ones for all that it takes from the system, which doubles
//! what a gateway holds and speeds nothing up; the engine allows them while it fills a model's weights, which are worth them.

/// Does without huge pages, from here on.
#[cfg(target_os = "linux")]
pub(crate) fn small() {
    if let Err(fault) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%fault, "the system does not say how large pages shall be");
    }
}

/// Does without huge pages, from here on.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn small() {}
