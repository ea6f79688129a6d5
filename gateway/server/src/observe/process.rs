//! Figures of the process itself, from `/proc`. Owns their reading, at a scrape and never on the path; where the
//! system has no `/proc`, they are absent.

use super::exposition::Exposition;

/// Ticks per second in `/proc`; the kernel's interface fixes it for all common machines (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Adds the families that Prometheus' client libraries have for every process.
pub(super) fn write(page: &mut Exposition) {
    if let Some(kib) = field("/proc/self/status", "VmRSS:") {
        page.gauge("process_resident_memory_bytes", "Resident memory.").series(&[], kib * 1024);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the folder being read.
        page.gauge("process_open_fds", "Open descriptors.").series(&[], open.count().saturating_sub(1));
    }
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    let Some(times) = Times::of(&stat) else { return };
    page.counter("process_cpu_seconds_total", "User and system time.").series(&[], times.cpu_ticks / TICKS);
    if let Some(boot) = field("/proc/stat", "btime") {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let boot = boot as f64;
        page.gauge("process_start_time_seconds", "When it began, in Unix time.")
            .series(&[], boot + times.start_ticks / TICKS);
    }
}

/// The number behind `key` in a file of such lines.
fn field(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next()?.parse().ok()
}

#[derive(Debug, PartialEq)]
struct Times {
    cpu_ticks: f64,
    start_ticks: f64,
}

impl Times {
    /// From `/proc/self/stat`. The program's name is in it and may hold anything, so counting begins behind it.
    fn of(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |nth: usize| fields.get(nth)?.parse::<f64>().ok();
        Some(Self { cpu_ticks: number(11)? + number(12)?, start_ticks: number(19)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_wild_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 9 0 12345 1000 200";
        assert_eq!(Times::of(stat), Some(Times { cpu_ticks: 200.0, start_ticks: 12345.0 }));
        assert_eq!(Times::of("7 (a"), None);
    }
}
