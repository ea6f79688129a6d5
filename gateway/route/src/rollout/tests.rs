//! Rollouts that go on, back and wait.

use super::analysis::Judgement;
use super::*;
use std::time::Duration;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::verdicts::{NoVerdicts, Verdict};
use tidegate_core::spec::{Goal, Measure, RewardKind, RewardLevel, RewardSpec, Timing, Watched};
use tidegate_core::{Dice, MonitorName};

const MINUTE: u64 = 60_000;

pub(super) fn canary(analysis: Vec<Measure>) -> RolloutSpec {
    let analysis = analysis.into_iter().map(|measure| AnalysisSpec { measure, confidence: 0.95 }).collect();
    RolloutSpec {
        kind: RolloutKind::Canary,
        from: 0,
        to: 1,
        steps: vec![0.05, 0.25, 1.0],
        every: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        min_samples: 100,
        analysis,
    }
}

pub(super) fn errors() -> Measure {
    Measure::ErrorRate { worse_by: 0.01 }
}

fn seen(is_failed: bool, latency: f64) -> Seen {
    Seen { is_failed, latency: (!is_failed).then_some(latency), first_token: None }
}

/// So many calls, drawn as the rollout says now; the arms fail as often as `fails` says.
pub(super) fn calls(rollout: &mut Rollout, count: usize, fails: [f64; 2], dice: &SplitMix) {
    let shares = rollout.shares();
    for _ in 0..count {
        let arm = crate::share::at(&shares, dice.unit());
        let is_failed = dice.unit() < fails[arm];
        let latency = 0.1 + dice.unit() * 0.1;
        rollout.see(arm, &shares, &seen(is_failed, latency));
    }
}

#[test]
fn a_good_arm_gets_all_calls_step_by_step() {
    let dice = SplitMix::seeded(1);
    let latency = Measure::Quantile { of: Timing::Latency, quantile: 0.95, worse_by: 0.1 };
    let mut rollout = Rollout::begun(canary(vec![errors(), latency]), 3, 0);
    assert_eq!(rollout.shares(), [0.95, 0.05, 0.0]);
    let mut at = Vec::new();
    for minute in 1..=5 {
        calls(&mut rollout, 4_000, [0.0, 0.0], &dice);
        assert!(rollout.look(minute * MINUTE - 1, &NoVerdicts).is_none(), "a step has its time");
        if let Some(turn) = rollout.look(minute * MINUTE, &NoVerdicts) {
            at.push((turn.to, rollout.share()));
        }
    }
    assert_eq!(at, [(Stage::Step(1), 0.25), (Stage::Step(2), 1.0), (Stage::Done, 1.0)]);
    assert!(rollout.look(99 * MINUTE, &NoVerdicts).is_none());
    assert_eq!((rollout.shares(), rollout.waits_for(0)), (vec![0.0, 1.0, 0.0], None));
}

#[test]
fn an_arm_that_fails_is_rolled_back_at_the_first_look() {
    let dice = SplitMix::seeded(2);
    let mut rollout = Rollout::begun(canary(vec![errors()]), 2, 0);
    calls(&mut rollout, 2_000, [0.0, 0.2], &dice);
    let turn = rollout.look(10_000, &NoVerdicts).expect("it is certain");
    assert_eq!((turn.from, turn.to, turn.by.as_str()), (Stage::Step(0), Stage::RolledBack, "tidegate"));
    assert!(turn.why.starts_with("error_rate: worse than allowed: "), "{}", turn.why);
    assert_eq!(rollout.shares(), [1.0, 0.0]);
    assert!(rollout.look(99 * MINUTE, &NoVerdicts).is_none(), "it stays");
}

#[test]
fn equal_arms_are_seldom_rolled_back_however_often_one_looks() {
    let spec = canary(vec![Measure::ErrorRate { worse_by: 0.0 }]);
    let back = (0..300).filter(|seed| {
        let dice = SplitMix::seeded(1000 + seed);
        let mut rollout = Rollout::begun(RolloutSpec { steps: vec![0.5, 1.0], ..spec.clone() }, 2, 0);
        (0..400).any(|_| {
            calls(&mut rollout, 2, [0.1, 0.1], &dice);
            rollout.look(1, &NoVerdicts).is_some_and(|turn| turn.to == Stage::RolledBack)
        })
    });
    let back = back.count();
    assert!(back <= 24, "{back} of 300, 15 are allowed on average");
}

#[test]
fn slower_answers_and_worse_rewards_are_found() {
    let reward = |goal| RewardSpec {
        name: "good".parse().unwrap(),
        kind: RewardKind::Boolean,
        goal,
        level: RewardLevel::Inference,
        window: Duration::from_secs(1),
    };
    let slow = Measure::Quantile { of: Timing::Latency, quantile: 0.9, worse_by: 0.1 };
    let mut rollout = Rollout::begun(canary(vec![slow]), 2, 0);
    let shares = rollout.shares();
    for nth in 0..400u32 {
        let latency = f64::from(nth % 100) / 1000.0 + 0.1;
        rollout.see(0, &shares, &seen(false, latency));
        rollout.see(1, &shares, &seen(false, latency * 1.6));
    }
    let why = rollout.look(1, &NoVerdicts).expect("it is slower").why;
    assert!(why.starts_with("latency p90: worse than allowed: 30"), "{why}");

    for (goal, values) in [(Goal::Maximize, [0.9, 0.4]), (Goal::Minimize, [0.1, 0.6])] {
        let dice = SplitMix::seeded(3);
        let mut rollout = Rollout::begun(canary(vec![Measure::Reward { reward: reward(goal), worse_by: 0.05 }]), 2, 0);
        for _ in 0..200 {
            for (arm, good) in values.into_iter().enumerate() {
                rollout.judge(arm, &"good".parse().unwrap(), f64::from(u8::from(dice.unit() < good)));
            }
        }
        let turn = rollout.look(1, &NoVerdicts).expect("it is worse");
        assert_eq!(turn.to, Stage::RolledBack, "{}", turn.why);
        let finding = &rollout.findings()[0];
        assert!((finding.from.unwrap() - values[0]).abs() < 0.1 && (finding.to.unwrap() - values[1]).abs() < 0.1);
    }
}

#[test]
fn rewards_that_are_numbers_are_compared_by_their_difference() {
    let stars = RewardSpec {
        name: "stars".parse().unwrap(),
        kind: RewardKind::Float(None),
        goal: Goal::Maximize,
        level: RewardLevel::Inference,
        window: Duration::from_secs(1),
    };
    let name = stars.name.clone();
    let spec = canary(vec![Measure::Reward { reward: stars, worse_by: 0.1 }]);
    // The new arm is worse by 0.3 of what scatters by 1; or it is no worse.
    for (worse, expected) in [(0.3, Judgement::Worse), (0.0, Judgement::Within)] {
        let dice = SplitMix::seeded(11);
        let mut rollout = Rollout::begun(spec.clone(), 2, 0);
        let value = |mean: f64| mean + (dice.unit() + dice.unit() + dice.unit() - 1.5) * 2.0;
        for nth in 0..4_000 {
            rollout.judge(0, &name, value(4.0));
            rollout.judge(1, &name, value(4.0 - worse));
            if nth == 50 {
                assert!(rollout.look(1, &NoVerdicts).is_none(), "too little to tell");
                assert_eq!(rollout.findings()[0].judgement, Judgement::Unclear);
            }
        }
        let turn = rollout.look(1, &NoVerdicts);
        assert_eq!((rollout.findings()[0].judgement, turn.is_some()), (expected, worse > 0.0));
    }
}

#[derive(Debug)]
struct Alarm(Verdict);

impl Verdicts for Alarm {
    fn verdict(&self, monitor: &MonitorName) -> Verdict {
        assert_eq!(monitor.as_str(), "drift");
        self.0.clone()
    }

    fn verdict_of(&self, _: &MonitorName, _: &Watched) -> Verdict {
        unreachable!("a rollout asks of all versions")
    }
}

#[test]
fn a_monitor_has_a_say() {
    let spec = canary(vec![Measure::Monitor("drift".parse().unwrap())]);
    let mut rollout = Rollout::begun(spec, 2, 0);
    calls(&mut rollout, 4_000, [0.0; 2], &SplitMix::seeded(4));
    assert!(rollout.look(2 * MINUTE, &Alarm(Verdict::Unknown)).is_none());
    assert_eq!(rollout.findings()[0].judgement, Judgement::Unclear);
    assert!(rollout.waits_for(2 * MINUTE).unwrap().contains("nothing to say yet"));
    assert_eq!(rollout.look(2 * MINUTE, &Alarm(Verdict::Well)).unwrap().to, Stage::Step(1));
    let back = rollout.look(2 * MINUTE, &Alarm(Verdict::Alarm("the ages drift".to_owned()))).unwrap();
    assert_eq!((back.to, back.why.as_str()), (Stage::RolledBack, "monitor drift: the ages drift"));
}

#[test]
fn blue_and_green_change_places_at_once_and_back() {
    let dice = SplitMix::seeded(5);
    let spec = RolloutSpec { kind: RolloutKind::BlueGreen, steps: vec![1.0], ..canary(vec![errors()]) };
    let mut rollout = Rollout::begun(spec, 2, 0);
    assert_eq!(rollout.shares(), [1.0, 0.0]);
    assert!(rollout.look(1, &NoVerdicts).is_none());
    calls(&mut rollout, 150, [0.0; 2], &dice);
    assert_eq!(rollout.look(2, &NoVerdicts).unwrap().to, Stage::Step(0));
    assert_eq!(rollout.shares(), [0.0, 1.0]);
    calls(&mut rollout, 200, [0.0, 0.3], &dice);
    assert_eq!(rollout.look(3, &NoVerdicts).unwrap().to, Stage::RolledBack);
    assert_eq!(rollout.shares(), [1.0, 0.0]);
}

#[test]
fn people_may_order_and_what_cannot_be_is_refused() {
    let mut rollout = Rollout::begun(canary(Vec::new()), 2, 0);
    let dice = SplitMix::seeded(6);
    assert!(rollout.order(Order::Resume, "ann", "", 1).is_err());
    assert_eq!(rollout.order(Order::Pause, "ann", "lunch", 1).unwrap().why, "lunch");
    calls(&mut rollout, 4_000, [0.0; 2], &dice);
    assert!(rollout.look(9 * MINUTE, &NoVerdicts).is_none());
    assert_eq!(rollout.waits_for(1).unwrap(), "paused by ann: `tidegate rollout resume`");
    rollout.order(Order::Resume, "ann", "", 2).unwrap();
    assert_eq!(rollout.look(9 * MINUTE, &NoVerdicts).unwrap().to, Stage::Step(1));
    assert_eq!(rollout.order(Order::Promote, "ann", "", 3).unwrap().to, Stage::Step(2));
    assert_eq!(rollout.order(Order::Abort, "bob", "no", 4).unwrap().to, Stage::Aborted);
    assert!(rollout.order(Order::Pause, "ann", "", 5).unwrap_err().to_string().contains("begins it anew"));
    assert_eq!(rollout.order(Order::Restart, "ann", "", 6).unwrap().to, Stage::Step(0));
    assert_eq!(rollout.order(Order::PromoteFully, "ann", "", 7).unwrap().to, Stage::Done);
    let says: Vec<&str> = rollout.standing().turns.iter().map(|turn| turn.by.as_str()).collect();
    assert_eq!(says, ["ann", "ann", "tidegate", "ann", "bob", "ann", "ann"]);
}

#[test]
fn a_restart_of_the_program_goes_on_with_what_was_seen() {
    let dice = SplitMix::seeded(7);
    let mut rollout = Rollout::begun(canary(vec![errors()]), 2, 0);
    calls(&mut rollout, 1_200, [0.0, 0.2], &dice);
    let kept = serde_json::to_string(rollout.standing()).unwrap();
    let mut again = Rollout::resumed(canary(vec![errors()]), 2, serde_json::from_str(&kept).unwrap());
    assert_eq!(again.standing(), rollout.standing());
    assert_eq!(again.look(1, &NoVerdicts), rollout.look(1, &NoVerdicts));
    // Calls of another step say nothing of this one.
    let mut rollout = Rollout::begun(canary(vec![errors()]), 2, 0);
    rollout.see(1, &[0.75, 0.25], &seen(true, 0.1));
    assert_eq!(rollout.standing().to.calls, 0);
    // A configuration with fewer steps begins anew.
    let mut standing = rollout.standing().clone();
    standing.stage = Stage::Step(7);
    assert_eq!(Rollout::resumed(canary(Vec::new()), 2, standing).standing().stage, Stage::Step(0));
}
