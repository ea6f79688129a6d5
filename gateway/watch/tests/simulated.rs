//! What windows say by their sketches against what they would say by the values themselves, and how often they raise an alarm
//! where nothing changed, counted over many windows. The seed is that of `TIDEGATE_SEED`, or a fixed one, and is printed
//! with the figures.

#[cfg(test)]
mod draws {
    //! Draws, and the distributions that they are of.

    use tidegate_core::Dice as _;
    use tidegate_core::dice::{SplitMix, mix};

    /// Where all streams begin.
    pub(crate) fn base() -> u64 {
        std::env::var("TIDEGATE_SEED").ok().map_or(20_261_129, |seed| seed.parse().expect("TIDEGATE_SEED is a number"))
    }

    /// One stream of them.
    pub(crate) struct Draws(SplitMix);

    impl Draws {
        /// A stream of its own for each run of a simulation.
        pub(crate) fn of(simulation: u64, run: u64) -> Self {
            Self(SplitMix::seeded(mix(base() ^ mix(simulation << 32 | run))))
        }

        /// Between 0 and 1.
        pub(crate) fn unit(&self) -> f64 {
            self.0.unit()
        }

        /// From `low` to `high`.
        pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
            low + self.0.next_u64() % (high - low + 1)
        }

        /// Of the standard normal distribution (Box, Muller 1958).
        pub(crate) fn normal(&self) -> f64 {
            (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (2.0 * std::f64::consts::PI * self.unit()).cos()
        }
    }

    /// What numbers are drawn of.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Family {
        Normal,
        LogNormal,
        Exponential,
        Uniform,
        Discrete,
    }

    impl Family {
        pub(crate) const ALL: [Self; 5] =
            [Self::Normal, Self::LogNormal, Self::Exponential, Self::Uniform, Self::Discrete];

        pub(crate) fn draw(self, draws: &Draws) -> f64 {
            match self {
                Self::Normal => draws.normal(),
                Self::LogNormal => draws.normal().exp(),
                Self::Exponential => -(1.0 - draws.unit()).ln(),
                Self::Uniform => draws.unit(),
                Self::Discrete => (12.0 * draws.unit() * draws.unit()).floor(),
            }
        }

        /// Its standard deviation, about.
        pub(crate) const fn deviation(self) -> f64 {
            match self {
                Self::Normal | Self::Exponential => 1.0,
                Self::LogNormal => 2.161,
                Self::Uniform => 0.289,
                Self::Discrete => 2.65,
            }
        }
    }
}

#[cfg(test)]
mod seen {
    //! Panes and references of numbers, and the values that their tables have.

    use std::sync::Arc;
    use tidegate_core::InferenceId;
    use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec};
    use tidegate_watch::table::Data;
    use tidegate_watch::{Gathering, Keep, Pane, Plan, Reference, Shape, Table, Value};

    /// So many columns of numbers.
    pub(crate) fn shape(columns: usize) -> Shape {
        let field = |at| FieldSpec {
            name: format!("x{at}"),
            from: FieldFrom::Request(format!("/x{at}")),
            kind: Some(FieldKind::Number),
        };
        Shape::of(&(0..columns).map(field).collect::<Vec<_>>())
    }

    pub(crate) fn id(number: u64) -> InferenceId {
        InferenceId::from_u128(number.into())
    }

    /// A plan against so many rows, of which `row` fills each.
    pub(crate) fn against(columns: usize, rows: u64, mut row: impl FnMut(&mut [Value<'static>])) -> Arc<Plan> {
        let shape = shape(columns);
        let mut gathering = Gathering::new(&shape, rows, Keep::NONE);
        let mut values = vec![Value::Missing; columns];
        for number in 0..rows {
            row(&mut values);
            gathering.take(&shape, id(number), number, &values);
        }
        plan(&shape, gathering.finish(&shape))
    }

    pub(crate) fn plan(shape: &Shape, reference: Reference) -> Arc<Plan> {
        Arc::new(Plan::new(shape.clone(), Some(Arc::new(reference)), Keep::NONE).expect("they fit"))
    }

    /// A pane of one column.
    pub(crate) fn pane(plan: &Arc<Plan>, values: &[f64]) -> Pane {
        let mut pane = Pane::new(plan);
        (0..).zip(values).for_each(|(number, x)| pane.take(id(number), number, &[Value::Number(*x)]));
        pane
    }

    /// The numbers of a column.
    pub(crate) fn numbers(table: &Table, at: usize) -> &[f64] {
        let column = &table.columns[at];
        let Data::Numbers(numbers) = &column.data else { panic!("{} has no numbers", column.name) };
        &numbers[..numbers.len() - column.missing.len()]
    }
}

#[cfg(test)]
mod batch {
    //! What the values themselves say.

    fn sorted(values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    fn float(n: usize) -> f64 {
        u32::try_from(n).map(f64::from).expect("samples are small")
    }

    /// Both distribution functions at each value of either, and the value that follows.
    fn steps(a: &[f64], b: &[f64], mut each: impl FnMut(f64, f64)) {
        let (a, b) = (sorted(a), sorted(b));
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let next = |i: usize, j: usize| match (a.get(i), b.get(j)) {
                (Some(x), Some(y)) => Some(x.min(*y)),
                (one, two) => one.or(two).copied(),
            };
            let Some(here) = next(i, j) else { return };
            while a.get(i).is_some_and(|x| *x <= here) {
                i += 1;
            }
            while b.get(j).is_some_and(|x| *x <= here) {
                j += 1;
            }
            each(float(i) / float(a.len()) - float(j) / float(b.len()), next(i, j).map_or(0.0, |next| next - here));
        }
    }

    /// The largest distance of the distribution functions (Kolmogorov, Smirnov).
    pub(crate) fn ks(a: &[f64], b: &[f64]) -> f64 {
        let mut apart = 0.0f64;
        steps(a, b, |difference, _| apart = apart.max(difference.abs()));
        apart
    }

    /// How probable such a distance is between samples of one distribution: by Kolmogorov's limit, corrected for finite
    /// samples (Stephens 1970), which is within 1 % of the exact one here.
    pub(crate) fn p(distance: f64, n: usize, m: usize) -> f64 {
        let root = (float(n) * float(m) / (float(n) + float(m))).sqrt();
        let scaled = (root + 0.12 + 0.11 / root) * distance;
        if scaled < 0.3 {
            return 1.0;
        }
        let term = |k: u32| {
            let k = f64::from(k);
            (-2.0 * k * k * scaled * scaled).exp()
        };
        (2.0 * (1..=100).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum::<f64>()).clamp(0.0, 1.0)
    }

    /// The first Wasserstein distance (Vallender 1974), in standard deviations of the first sample.
    pub(crate) fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
        let mut area = 0.0;
        steps(a, b, |difference, width| area += difference.abs() * width);
        let mean = a.iter().sum::<f64>() / float(a.len());
        let variance = a.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / float(a.len());
        area / variance.sqrt()
    }

    #[test]
    fn it_says_what_scipy_says() {
        // ks_2samp([1, 2, 3, 4], [2.5, 2.5, 5]); wasserstein_distance([0, 1, 3], [5, 6, 8]); kstwobign.sf(1.3581) = 0.05
        assert!((ks(&[1.0, 2.0, 3.0, 4.0], &[2.5, 2.5, 5.0]) - 0.5).abs() < 1e-15);
        assert!((wasserstein(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]) - 5.0 / (14.0f64 / 9.0).sqrt()).abs() < 1e-12);
        let (n, root) = (2_000_000, 1_000.0);
        assert!((p(1.3581 / (root + 0.12), n, n) - 0.05).abs() < 1e-4);
    }
}

#[cfg(test)]
mod streaming {
    use crate::batch::{ks, p, wasserstein};
    use crate::draws::{Draws, Family, base};
    use crate::seen::{against, numbers, pane, plan, shape};
    use serde_json::json;
    use tidegate_watch::{Reference, Value};

    const PANES: u64 = 1_000;
    const ALPHA: f64 = 0.05;
    /// The bound of the Kolmogorov-Smirnov statistic.
    const KS: f64 = 1.0 / 256.0;

    /// A reference and a window; in half of all pairs the window is shifted, in a quarter stretched as well.
    fn pair(run: u64) -> (Family, Vec<f64>, Vec<f64>) {
        let draws = Draws::of(1, run);
        let family = Family::ALL[usize::try_from(run % 5).expect("small")];
        let (n, m) = (draws.between(200, 5_000), draws.between(200, 5_000));
        let (mut shift, mut stretch) = (0.0, 1.0);
        if run / 5 % 2 == 1 {
            shift = 0.5 * draws.unit() * family.deviation();
            stretch = if run / 10 % 2 == 1 { 0.8 + 0.4 * draws.unit() } else { 1.0 };
            if family == Family::Discrete {
                (shift, stretch) = (shift.round(), 1.0);
            }
        }
        let reference = (0..n).map(|_| family.draw(&draws)).collect();
        let window = (0..m).map(|_| family.draw(&draws) * stretch + shift).collect();
        (family, reference, window)
    }

    /// How far off what is said is.
    #[derive(Default)]
    struct Off {
        ks: f64,
        wasserstein: [f64; 2],
        flips: u32,
    }

    impl Off {
        fn take(&mut self, family: Family, [a, b]: [&[f64]; 2], [x, y]: [&[f64]; 2]) {
            let (exact, streamed) = (ks(a, b), ks(x, y));
            self.ks = self.ks.max((exact - streamed).abs());
            let heavy = &mut self.wasserstein[usize::from(family == Family::LogNormal)];
            *heavy = heavy.max((wasserstein(a, b) - wasserstein(x, y)).abs());
            let drifted = |distance: f64| p(distance, a.len(), b.len()) <= ALPHA;
            self.flips += u32::from(drifted(exact) != drifted(streamed));
        }

        fn judge(&self, what: &str) {
            let Self { ks, wasserstein: [light, heavy], flips } = self;
            println!(
                "figure: {what} against batch, {PANES} panes: KS off by {ks:.5} at most, normed Wasserstein by {light:.5} \
                 (heavy tails {heavy:.5}), {flips} verdicts of KS at {ALPHA} are others (seed {})",
                base()
            );
            assert!(*ks < KS, "KS is off by {ks}");
            assert!(*light <= 0.01 && *heavy <= 0.03, "Wasserstein is off by {light}, {heavy}");
            assert!(u64::from(*flips) * 50 <= PANES, "{flips} verdicts are others");
        }
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn what_is_counted_says_what_the_values_say() {
        let mut off = Off::default();
        for run in 0..PANES {
            let (family, reference, window) = pair(run);
            let mut coming = reference.iter();
            let plan = against(1, reference.len() as u64, |row| {
                row[0] = coming.next().map_or(Value::Missing, |x| Value::Number(*x));
            });
            let known = plan.reference().expect("there is one").table(plan.shape(), u32::MAX);
            let seen = pane(&plan, &window).table(u32::MAX);
            assert_eq!((known.rows as usize, seen.rows as usize), (reference.len(), window.len()));
            off.take(family, [&reference, &window], [numbers(&known, 0), numbers(&seen, 0)]);
        }
        off.judge("streaming");
    }

    /// What the registry keeps of these values.
    fn baseline(values: &[f64]) -> serde_json::Value {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (n, b) = (sorted.len(), sorted.len().min(256));
        let mut ends: Vec<f64> = (1..=b).map(|i| sorted[(i * n).div_ceil(b) - 1]).collect();
        ends.dedup();
        let mut begin = 0;
        let mut bin = |to: f64| {
            let end = sorted.partition_point(|x| *x <= to);
            let of = &sorted[begin..end];
            begin = end;
            json!({"to": to, "count": of.len(), "sum": of.iter().sum::<f64>()})
        };
        let bins: Vec<serde_json::Value> = ends.into_iter().map(&mut bin).collect();
        let numeric = json!({"min": sorted[0], "max": sorted[n - 1], "mean": 0.0, "m2": 0.0, "bins": bins});
        let column = json!({"name": "x0", "count": n, "missing": 0, "numeric": numeric});
        json!({"baseline": 1, "rows": n, "columns": [column], "sample": []})
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn a_baseline_of_the_registry_is_as_good_a_reference() {
        let mut off = Off::default();
        for run in 0..PANES {
            let (family, reference, window) = pair(run);
            let shape = shape(1);
            let known = Reference::from_baseline(&shape, &baseline(&reference)).expect("it is whole");
            let plan = plan(&shape, known.clone());
            let (known, seen) = (known.table(&shape, u32::MAX), pane(&plan, &window).table(u32::MAX));
            assert_eq!(known.rows as usize, reference.len());
            off.take(family, [&reference, &window], [numbers(&known, 0), numbers(&seen, 0)]);
        }
        off.judge("a baseline, streaming");
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn jumps_that_lie_beside_each_other_are_told_apart() {
        let mut worst = 0.0f64;
        for run in 0..300 {
            let draws = Draws::of(6, run);
            // Half of all numbers are a few, and those of the window lie a little beside those of the reference.
            let sample = |n: u64, beside: f64| -> Vec<f64> {
                let one = |_| match draws.between(0, 3) {
                    0 | 1 => (draws.unit() * draws.unit() * 6.0).floor() + beside,
                    2 => draws.unit() * 6.0,
                    _ => draws.normal(),
                };
                (0..n).map(one).collect()
            };
            let reference = sample(draws.between(300, 3_000), 0.0);
            let beside = [0.0, 1e-9, -1e-9, 1e-3, -1e-3][usize::try_from(run % 5).expect("small")];
            let window = sample(draws.between(300, 3_000), beside);
            let shape = shape(1);
            let mut coming = reference.iter();
            let first = against(1, reference.len() as u64, |row| {
                row[0] = coming.next().map_or(Value::Missing, |x| Value::Number(*x));
            });
            let registry = Reference::from_baseline(&shape, &baseline(&reference)).expect("it is whole");
            for plan in [first, plan(&shape, registry)] {
                let known = plan.reference().expect("there is one").table(&shape, u32::MAX);
                let seen = pane(&plan, &window).table(u32::MAX);
                let streamed = ks(numbers(&known, 0), numbers(&seen, 0));
                worst = worst.max((ks(&reference, &window) - streamed).abs());
            }
        }
        println!("figure: atoms beside each other: KS off by {worst:.5} at most (seed {})", base());
        assert!(worst < KS, "{worst}");
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn thinned_rows_say_nearly_the_same() {
        // 1 / (2 r) for each side.
        let (most, mut worst) = (500, 0.0f64);
        for run in 0..100 {
            let (_, reference, window) = pair(run);
            let mut coming = reference.iter();
            let plan = against(1, reference.len() as u64, |row| {
                row[0] = coming.next().map_or(Value::Missing, |x| Value::Number(*x));
            });
            let known = plan.reference().expect("there is one").table(plan.shape(), most);
            let seen = pane(&plan, &window).table(most);
            let thin = ks(numbers(&known, 0), numbers(&seen, 0));
            worst = worst.max((ks(&reference, &window) - thin).abs());
        }
        println!("figure: thinned to {most} rows: KS off by {worst:.5} at most (seed {})", base());
        assert!(worst < KS + 1.0 / f64::from(most), "{worst}");
    }
}

#[cfg(test)]
mod alarms {
    //! Traffic that does not change, and traffic of which one column in 30 does a little.

    use crate::batch;
    use crate::draws::{Draws, Family, base};
    use crate::seen::{against, id, numbers};
    use std::sync::Arc;
    use tidegate_core::port::alerts::Measured;
    use tidegate_core::spec::AlarmSpec;
    use tidegate_experiment::multiplicity::{Correction, adjusted};
    use tidegate_watch::{Judge, Pane, Plan, Value};

    const COLUMNS: usize = 30;
    const ALPHA: f64 = 0.05;
    const REFERENCE: u64 = 20_000;
    const RUNS: u64 = 4;
    const PANES: u64 = 1_000;
    const CALLS: u64 = 1_000;
    const BOTH: [Correction; 2] = [Correction::Bonferroni, Correction::BenjaminiHochberg];

    fn family(column: usize) -> Family {
        Family::ALL[column % Family::ALL.len()]
    }

    fn row(draws: &Draws, row: &mut [Value<'static>]) {
        row.iter_mut().enumerate().for_each(|(column, value)| *value = Value::Number(family(column).draw(draws)));
    }

    fn reference(simulation: u64) -> Arc<Plan> {
        let draws = Draws::of(simulation, 0);
        against(COLUMNS, REFERENCE, |values| row(&draws, values))
    }

    /// The reference's numbers by column.
    fn known(plan: &Plan) -> Vec<Vec<f64>> {
        let table = plan.reference().expect("there is one").table(plan.shape(), u32::MAX);
        (0..COLUMNS).map(|at| numbers(&table, at).to_vec()).collect()
    }

    /// Which columns drifted, by their p-values and a correction for all of them.
    fn drifted(known: &[Vec<f64>], pane: &Pane) -> [Vec<bool>; 2] {
        let table = pane.table(u32::MAX);
        let p = |(at, known): (usize, &Vec<f64>)| {
            let seen = numbers(&table, at);
            batch::p(batch::ks(known, seen), known.len(), seen.len())
        };
        let ps: Vec<f64> = known.iter().enumerate().map(p).collect();
        BOTH.map(|correction| adjusted(&ps, correction).into_iter().map(|p| p <= ALPHA).collect())
    }

    /// How many panes of so many calls have any alarm, and how many end with an alarm at 2 of 3, by both corrections: a
    /// million calls against a reference of their own.
    fn unchanged(run: u64) -> [[u32; 2]; 2] {
        let plan = reference(100 + run);
        let known = known(&plan);
        let two_of_three = AlarmSpec { breaches: 2, of: 3 };
        let mut judges = [Judge::new(), Judge::new()];
        let (mut breached, mut alarms) = ([0u32; 2], [0u32; 2]);
        let mut values = vec![Value::Missing; COLUMNS];
        for number in 0..PANES {
            let draws = Draws::of(200 + run, number);
            let mut pane = Pane::new(&plan);
            for call in 0..CALLS {
                row(&draws, &mut values);
                pane.take(id(number * CALLS + call), call, &values);
            }
            for (at, drifted) in drifted(&known, &pane).into_iter().enumerate() {
                let any = drifted.contains(&true);
                let out_of_bounds = if any { vec![measured()] } else { Vec::new() };
                judges[at].hear(two_of_three, number, &out_of_bounds);
                breached[at] += u32::from(any);
                alarms[at] += u32::from(judges[at].firing());
            }
        }
        println!(
            "figure: A/A {run}, {PANES} panes of {CALLS} calls and {COLUMNS} features: {} have any alarm by Bonferroni, {} \
             by Benjamini-Hochberg; with 2 of 3 panes {} and {} (seed {})",
            breached[0],
            breached[1],
            alarms[0],
            alarms[1],
            base()
        );
        [breached, alarms]
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn traffic_that_does_not_change_raises_few_alarms() {
        let runs = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..RUNS).map(|run| scope.spawn(move || unchanged(run))).collect();
            runs.into_iter().map(|run| run.join().expect("it ends")).collect::<Vec<_>>()
        });
        // 5 %, and two standard deviations of what 1,000 panes show of it: 50 + 2 √(1,000 · 0.05 · 0.95).
        assert!(runs.iter().all(|[breached, _]| breached.iter().all(|panes| *panes <= 63)), "{runs:?}");
        // 1 %, of all together: a few alarms are no share, and two panes after each other are often the same one.
        let most = PANES * RUNS / 100;
        let alarms = |at: usize| runs.iter().map(|[_, alarms]| u64::from(alarms[at])).sum::<u64>();
        assert!([alarms(0), alarms(1)].into_iter().all(|panes| panes <= most), "{runs:?}");
    }

    fn measured() -> Measured {
        Measured { name: "any".to_owned(), value: 1.0, threshold: None, labels: std::collections::BTreeMap::new() }
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "needs a release build")]
    fn a_fifth_of_a_deviation_in_one_column_is_found() {
        const ROWS: u64 = 5_000;
        let plan = reference(4);
        let known = known(&plan);
        let mut values = vec![Value::Missing; COLUMNS];
        for column in 0..COLUMNS {
            // Whole numbers are shifted by whole ones; that is more.
            let shift = if family(column) == Family::Discrete { 1.0 } else { 0.2 * family(column).deviation() };
            let draws = Draws::of(5, column as u64);
            let mut pane = Pane::new(&plan);
            for call in 0..ROWS {
                row(&draws, &mut values);
                if let Value::Number(x) = &mut values[column] {
                    *x += shift;
                }
                pane.take(id(call), call, &values);
            }
            for (found, correction) in drifted(&known, &pane).into_iter().zip(BOTH) {
                assert!(found[column], "column {column} ({:?}) by {correction:?}", family(column));
            }
        }
    }
}
