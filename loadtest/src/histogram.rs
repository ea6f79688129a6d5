//! Latencies as counts in buckets of a constant relative width, so that a million of them take a few kilobytes. Owns no
//! time: it is given microseconds.

/// Buckets for each doubling: an error of at most 1/64 of the value.
const FINE: usize = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// Counts of values by size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    greatest: u64,
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn add(&mut self, us: u64) {
        let bucket = bucket_of(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.greatest = self.greatest.max(us);
    }

    /// How many were counted.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The greatest of them.
    pub(crate) const fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The value that a share `q` of all does not exceed; 0 where there is none.
    pub(crate) fn quantile(&self, q: f64) -> u64 {
        let wanted = ((self.total as f64) * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_of(bucket).min(self.greatest);
            }
        }
        self.greatest
    }
}

fn bucket_of(us: u64) -> usize {
    if us < FINE as u64 {
        return us as usize;
    }
    let doubling = us.ilog2() - FINE_BITS;
    (doubling as usize + 1) * FINE + ((us >> doubling) as usize - FINE)
}

/// The greatest value that falls into a bucket.
fn upper_of(bucket: usize) -> u64 {
    if bucket < FINE {
        return bucket as u64;
    }
    let doubling = bucket / FINE - 1;
    let lower = ((FINE + bucket % FINE) as u64) << doubling;
    lower + ((1u64 << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_holds_it_closely() {
        for us in (0..100_000).chain([1 << 20, (1 << 40) + 12_345, u64::MAX >> 1]) {
            let upper = upper_of(bucket_of(us));
            assert!(upper >= us && upper - us <= us / FINE as u64, "{us} in a bucket up to {upper}");
            assert!(bucket_of(us) == 0 || upper_of(bucket_of(us) - 1) < us, "{us} fits the bucket below");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        for us in 1..=60 {
            histogram.add(us);
        }
        assert_eq!([histogram.quantile(0.5), histogram.quantile(0.9), histogram.quantile(1.0)], [30, 54, 60]);
        histogram.add(1_000_000);
        assert_eq!(histogram.quantile(1.0), 1_000_000);
        assert_eq!((histogram.total(), histogram.greatest()), (61, 1_000_000));
    }
}
