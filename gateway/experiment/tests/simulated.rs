//! How often what may be looked at after every event errs, counted over many experiments. The seed is that of
//! `TIDEGATE_SEED`, or a fixed one, and is printed with the figures.

#[cfg(test)]
mod draws {
    //! Draws of a `SplitMix64` (Steele, Lea, Flood 2014).

    /// One stream of them.
    pub(crate) struct Draws(u64);

    impl Draws {
        /// A stream of its own for each experiment.
        pub(crate) fn of(simulation: u64, run: u64) -> Self {
            let mut mixed = Self(base() ^ (simulation << 32));
            let start = mixed.word();
            Self(start ^ Self(run).word())
        }

        fn word(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }

        /// Between 0 and 1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        pub(crate) fn unit(&mut self) -> f64 {
            (self.word() >> 11) as f64 / (1u64 << 53) as f64
        }

        /// 1 with the probability `p`, else 0.
        pub(crate) fn yes(&mut self, p: f64) -> f64 {
            f64::from(u8::from(self.unit() < p))
        }

        /// Below `n`.
        pub(crate) fn below(&mut self, n: u64) -> u64 {
            self.word() % n
        }

        /// Of the standard normal distribution (Box, Muller 1958).
        pub(crate) fn normal(&mut self) -> f64 {
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            radius * (2.0 * std::f64::consts::PI * self.unit()).cos()
        }
    }

    /// Where all streams begin.
    pub(crate) fn base() -> u64 {
        std::env::var("TIDEGATE_SEED").ok().map_or(20_261_124, |seed| seed.parse().expect("TIDEGATE_SEED is a number"))
    }
}

#[cfg(test)]
mod arms {
    //! A treatment that is no better than its control, looked at after every event.

    use crate::draws::{Draws, base};
    use tidegate_experiment::guardrail::{Goal, Guarded, Guardrail};
    use tidegate_experiment::power::{Baseline, Change, needed_n_at_every_look};
    use tidegate_experiment::{Alpha, Design, Estimate, Moments, Pair, Units, asymptotic};

    const RUNS: u64 = 2_000;
    /// 6.2 %: what 5 % are seen as with a probability of 99.3 %.
    const MOST: usize = 124;
    const USERS: u64 = 300;

    fn pair(arms: &[Moments; 2]) -> Option<Pair> {
        Some(Pair { control: Estimate::of(&arms[0])?, treatment: Estimate::of(&arms[1])? })
    }

    fn differs(pair: Pair, design: Design) -> bool {
        !pair.compare(design).interval.has(0.0)
    }

    /// What an event brings, given its arm.
    type Value = fn(&mut Draws, usize) -> f64;

    /// Whether a difference is ever seen among so many events, of which each is a unit; the treatment gets this share.
    fn ever(draws: &mut Draws, events: u32, share: f64, design: Design, value: Value) -> bool {
        let mut arms = [Moments::default(); 2];
        (0..events).any(|_| {
            let arm = usize::from(draws.unit() < share);
            arms[arm].add(value(draws, arm));
            pair(&arms).is_some_and(|pair| differs(pair, design))
        })
    }

    #[test]
    fn a_treatment_that_is_no_other_is_seldom_called_one() {
        let values: [(&str, f64, Value); 7] = [
            ("even yes and no", 0.5, |draws, _| draws.yes(0.5)),
            ("a yes in 20", 0.5, |draws, _| draws.yes(0.05)),
            ("normal", 0.5, |draws, _| 1e6 + draws.normal()),
            ("log-normal", 0.5, |draws, _| draws.normal().exp()),
            // Of rare and of large values a small arm has seen none for long.
            ("normal, share 10 %", 0.1, |draws, _| draws.normal()),
            ("a yes in 100, share 10 %", 0.1, |draws, _| draws.yes(0.01)),
            ("log-normal of 1.5, share 10 %", 0.1, |draws, _| (1.5 * draws.normal()).exp()),
        ];
        let design = Design::new(Alpha::FIVE_PERCENT);
        for (at, (name, share, value)) in (1..).zip(values) {
            let wrong = (0..RUNS).filter(|run| ever(&mut Draws::of(at, *run), 3_000, share, design, value)).count();
            println!(
                "figure: A/A, {name}: {wrong} of {RUNS} runs of 3,000 events are called different (seed {})",
                base()
            );
            assert!(wrong <= MOST, "{name}: {wrong}");
        }
    }

    /// Users with 20 calls each that are alike: whether a difference is ever seen, by users and by calls.
    fn clustered(draws: &mut Draws, next: impl Fn(&mut Draws, u64) -> u64) -> [bool; 2] {
        let design = Design::new(Alpha::FIVE_PERCENT);
        let users: Vec<(usize, f64)> = (0..USERS).map(|_| (usize::from(draws.unit() < 0.5), draws.normal())).collect();
        let (mut units, mut calls, mut seen) = (Units::among(2), [Moments::default(); 2], [false; 2]);
        for call in 0..USERS * 20 {
            let user = next(draws, call);
            let Some((arm, leaning)) = usize::try_from(user).ok().and_then(|user| users.get(user)) else { continue };
            let value = leaning + draws.normal();
            units.add(*arm, user, value);
            calls[*arm].add(value);
            if let (Some(control), Some(treatment)) = (units.estimate(0), units.estimate(1)) {
                seen[0] |= differs(Pair { control, treatment }, design);
            }
            seen[1] |= !seen[1] && pair(&calls).is_some_and(|pair| differs(pair, design));
        }
        seen
    }

    #[test]
    fn calls_of_a_user_that_are_alike_are_not_taken_for_many() {
        type Next = fn(&mut Draws, u64) -> u64;
        let orders: [(&str, Next); 3] = [
            ("all users at once", |draws, _| draws.below(USERS)),
            // A tenth of them makes 6 of 10 calls.
            ("users of whom some call far more often", |draws, _| {
                draws.below(USERS) * draws.below(USERS) * draws.below(USERS) / (USERS * USERS)
            }),
            // 50 users at a time.
            ("users that come and go", |draws, call| call / 20 / 50 * 50 + draws.below(50)),
        ];
        for (at, (name, next)) in (11..).zip(orders) {
            let runs = (0..RUNS).map(|run| clustered(&mut Draws::of(at, run), next));
            let wrong = runs.fold([0; 2], |sum, seen| [sum[0] + usize::from(seen[0]), sum[1] + usize::from(seen[1])]);
            println!(
                "figure: A/A, {name}, {USERS} of 20 calls: {} of {RUNS} are called different by users, {} by calls (seed {})",
                wrong[0],
                wrong[1],
                base()
            );
            assert!(wrong[0] <= MOST, "{name}: {wrong:?}");
            assert!(wrong[1] > 2 * MOST, "{name}: calls that are counted as units would show: {wrong:?}");
        }
    }

    #[test]
    fn the_mean_of_skewed_numbers_is_seldom_missed() {
        let values: [(&str, f64, Value); 2] = [
            ("log-normal", 0.5f64.exp(), |draws, _| draws.normal().exp()),
            ("log-normal of 1.5", 1.125f64.exp(), |draws, _| (1.5 * draws.normal()).exp()),
        ];
        for (at, (name, mean, value)) in (71..).zip(values) {
            let wrong = (0..RUNS).filter(|run| {
                let (mut draws, mut seen) = (Draws::of(at, *run), Vec::new());
                (0..3_000).any(|n| {
                    seen.push(value(&mut draws, 0));
                    n % 25 == 24 && !asymptotic::sequence_of(&seen, Alpha::FIVE_PERCENT).has(mean)
                })
            });
            let wrong = wrong.count();
            println!("figure: the mean of {name}: missed in {wrong} of {RUNS} series of 3,000 (seed {})", base());
            assert!(wrong <= MOST, "{name}: {wrong}");
        }
    }

    #[test]
    fn a_guardrail_at_its_edge_is_seldom_judged() {
        let design = Design::new(Alpha::FIVE_PERCENT);
        for (at, worse_by) in (21..).zip([Change::Absolute(0.2), Change::Relative(0.1)]) {
            let guardrail = Guardrail { goal: Goal::Minimize, worse_by };
            let mut wrong = [0; 2];
            for run in 0..RUNS {
                let (mut draws, mut arms, mut seen) = (Draws::of(at, run), [Moments::default(); 2], [false; 2]);
                for _ in 0..3_000 {
                    let arm = usize::from(draws.unit() < 0.5);
                    // The control's mean is 2, the treatment's 2.2: just what is allowed.
                    arms[arm].add(if arm == 1 { 2.2 } else { 2.0 } + draws.normal());
                    let judged = pair(&arms).map(|pair| guardrail.judge(&pair, design));
                    seen[0] |= judged == Some(Guarded::Broken);
                    seen[1] |= judged == Some(Guarded::Held);
                }
                wrong = [wrong[0] + usize::from(seen[0]), wrong[1] + usize::from(seen[1])];
            }
            println!(
                "figure: guardrail at its edge, {worse_by:?}: {} of {RUNS} broken, {} held (seed {})",
                wrong[0],
                wrong[1],
                base()
            );
            assert!(wrong[0] <= MOST && wrong[1] <= MOST, "{worse_by:?}: {wrong:?}");
        }
    }

    #[test]
    fn a_difference_that_matters_is_seen_with_the_units_that_were_asked_for() {
        let design = Design::new(Alpha::FIVE_PERCENT);
        let baseline = Baseline { mean: 0.45, variance: 0.25 };
        let needs = needed_n_at_every_look(baseline, Change::Absolute(0.1), design, 0.8).expect("a number");
        let by = |arm: usize| if arm == 1 { 0.55 } else { 0.45 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let events = 2 * needs as u32;
        let value = |draws: &mut Draws, arm: usize| draws.yes(if arm == 1 { 0.55 } else { 0.45 });
        let seen = (0..1_000).filter(|run| ever(&mut Draws::of(31, *run), events, 0.5, design, value)).count();
        println!(
            "figure: {:.2} against {:.2}: {seen} of 1,000 seen within {needs} units of each arm (seed {})",
            by(1),
            by(0),
            base()
        );
        assert!(seen >= 765, "{seen} of 1,000, and 800 were asked for");
    }
}

#[cfg(test)]
mod ratio {
    //! The alarm about who gets the calls.

    use crate::draws::{Draws, base};
    use tidegate_experiment::Alpha;
    use tidegate_experiment::sample_ratio::{Alarm, SampleRatio};

    #[test]
    fn a_fair_split_seldom_raises_it() {
        let splits: [&[f64]; 2] = [&[0.5, 0.5], &[0.95, 0.05]];
        for (at, shares) in (41..).zip(splits) {
            let raised = (0..2_000).filter(|run| {
                let (mut draws, mut ratio) = (Draws::of(at, *run), SampleRatio::among(shares.len()));
                let mut alarm = Alarm::at(Alpha::FIVE_PERCENT);
                (0..2_000).any(|_| {
                    ratio.add(drawn(&mut draws, shares), shares).expect("a draw");
                    alarm.look(&ratio)
                })
            });
            let raised = raised.count();
            println!(
                "figure: {shares:?}, fair: {raised} of 2,000 runs of 2,000 draws raise the alarm at 5 % (seed {})",
                base()
            );
            assert!(raised <= 124, "{shares:?}: {raised}");
        }
    }

    #[test]
    fn a_learner_that_moves_its_shares_seldom_raises_it() {
        let raised =
            (0..2_000).filter(|run| learning(&mut Draws::of(51, *run), 2_000, Alpha::FIVE_PERCENT, 0.0).is_some());
        let raised = raised.count();
        println!(
            "figure: a learner's shares: {raised} of 2,000 runs of 2,000 draws raise the alarm at 5 % (seed {})",
            base()
        );
        assert!(raised <= 124, "{raised}");
        let seen: Vec<u32> = (0..100)
            .filter_map(|run| learning(&mut Draws::of(52, run), 20_000, Alpha::ONE_IN_A_THOUSAND, 0.1))
            .collect();
        let median = median(&seen);
        println!(
            "figure: a learner of whose best arm 10 % are lost: {} of 100 raise it, half of them by {median} draws (seed {})",
            seen.len(),
            base()
        );
        assert!(seen.len() >= 90, "{}", seen.len());
    }

    /// Three arms, of which the last earns most, and shares that follow what was earned; a share of the last one's records
    /// is lost. At which draw the alarm is raised.
    fn learning(draws: &mut Draws, n: u32, at: Alpha, lost: f64) -> Option<u32> {
        let (mut ratio, mut alarm) = (SampleRatio::among(3), Alarm::at(at));
        let mut earned = [(1.0_f64, 2.0_f64); 3];
        (0..n).find(|_| {
            let odds = earned.map(|(won, of)| (6.0 * won / of).exp());
            let sum: f64 = odds.iter().sum();
            let shares = odds.map(|odds| 0.05 + 0.85 * odds / sum);
            let arm = drawn(draws, &shares);
            if arm == 2 && draws.unit() < lost {
                return false;
            }
            let reward = draws.yes([0.2, 0.3, 0.6][arm]);
            earned[arm] = (earned[arm].0 + reward, earned[arm].1 + 1.0);
            ratio.add(arm, &shares).expect("a draw");
            alarm.look(&ratio)
        })
    }

    #[test]
    fn a_split_of_52_to_48_raises_it() {
        let seen: Vec<u32> = (0..200)
            .filter_map(|run| {
                let (mut draws, mut ratio, mut alarm) = (Draws::of(61, run), SampleRatio::among(2), Alarm::default());
                (0..50_000u32).find(|_| {
                    ratio.add(drawn(&mut draws, &[0.52, 0.48]), &[0.5, 0.5]).expect("a draw");
                    alarm.look(&ratio)
                })
            })
            .collect();
        println!(
            "figure: 52/48 said to be 50/50: {} of 200 raise the alarm (1 in 1,000) within 50,000 draws, half of them by {} (seed {})",
            seen.len(),
            median(&seen),
            base()
        );
        assert_eq!(seen.len(), 200);
    }

    fn median(of: &[u32]) -> u32 {
        let mut sorted = of.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    fn drawn(draws: &mut Draws, shares: &[f64]) -> usize {
        let mut left = draws.unit();
        let at = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        at.unwrap_or(shares.len() - 1)
    }
}
