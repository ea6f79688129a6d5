//! Huge pages for what is filled while they are allowed. Owns the switch, which is the whole process's: a program whose
//! allocator asks for huge pages for everything does well to have them off, and weights are still worth them.

/// Lets the system give huge pages until it is dropped; then it is as it was. What has them keeps them.
#[derive(Debug)]
pub(crate) struct HugePages {
    were_off: bool,
}

impl HugePages {
    #[cfg(target_os = "linux")]
    pub(crate) fn allow() -> Self {
        let were_off = rustix::thread::transparent_huge_pages_are_disabled().unwrap_or(false);
        if were_off {
            switch(true);
        }
        Self { were_off }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) const fn allow() -> Self {
        Self { were_off: false }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if self.were_off {
            switch(false);
        }
    }
}

#[cfg(target_os = "linux")]
fn switch(are_on: bool) {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!are_on) {
        tracing::debug!(%error, "the system does not say how large pages shall be");
    }
}

#[cfg(not(target_os = "linux"))]
const fn switch(_are_on: bool) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_afterwards_as_it_was() {
        let are_off = || rustix::thread::transparent_huge_pages_are_disabled().unwrap();
        for off in [true, false] {
            switch(!off);
            let allowed = HugePages::allow();
            assert!(!are_off());
            drop(allowed);
            assert_eq!(are_off(), off);
        }
    }
}
