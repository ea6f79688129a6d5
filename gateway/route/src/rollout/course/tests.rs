//! Replicas that run one rollout.

use super::*;
use crate::rollout::Reach;
use crate::rollout::evidence::Seen;
use crate::rollout::stage::Order;
use crate::rollout::tests::{calls, canary, errors};
use tidegate_core::dice::SplitMix;
use tidegate_core::port::verdicts::NoVerdicts;

/// Replicas that begin at different times, agreed on the beginning of the first.
fn replicas() -> [Rollout; 2] {
    let spec = canary(vec![errors()]);
    let [mut a, mut b] = [10, 20].map(|now| Rollout::begun(spec.clone(), 2, now));
    a.share_out();
    b.join(a.course());
    [a, b]
}

fn tell(from: &Rollout, to: &mut Rollout) {
    let said = serde_json::to_string(&from.sight()).unwrap();
    to.hear([serde_json::from_str(&said).unwrap()]);
}

#[test]
fn what_all_saw_counts_as_if_one_had_seen_it() {
    let [mut a, mut b] = replicas();
    let mut one = Rollout::resumed(canary(vec![errors()]), 2, a.standing().clone());
    let shares = one.shares();
    let dice = SplitMix::seeded(3);
    for nth in 0..3_000 {
        let arm = crate::share::at(&shares, tidegate_core::Dice::unit(&dice));
        let is_failed = arm == 1 && nth % 3 == 0;
        let seen = Seen { is_failed, latency: (!is_failed).then_some(0.1), first_token: None };
        one.see(arm, &shares, &seen);
        if nth % 2 == 0 { &mut a } else { &mut b }.see(arm, &shares, &seen);
    }
    // Told twice, it counts once.
    tell(&b, &mut a);
    tell(&b, &mut a);
    assert_eq!(a.seen(), one.seen());
    let (turn, same) = (a.look(10_000, &NoVerdicts), one.look(10_000, &NoVerdicts));
    assert!(turn.is_some());
    assert_eq!(turn, same);
    assert_eq!(a.findings(), one.findings());
    b.join(a.course());
    assert_eq!((b.shares(), b.standing().turns.len()), (vec![1.0, 0.0], 1));
}

#[test]
fn who_joins_begins_the_stage_anew_and_what_was_seen_of_another_one_says_nothing() {
    let [mut a, mut b] = replicas();
    let dice = SplitMix::seeded(4);
    calls(&mut b, 50, [0.0; 2], &dice);
    let old = b.sight();
    a.order(Order::Promote, "ann", "", 30).unwrap();
    b.join(a.course());
    assert_eq!((b.course(), b.seen().1.calls), (a.course(), 0));
    a.hear([old]);
    assert_eq!(a.seen().0.calls + a.seen().1.calls, 0);
    // A pause is no other stage.
    calls(&mut b, 50, [0.0; 2], &dice);
    a.order(Order::Pause, "ann", "", 40).unwrap();
    b.join(a.course());
    assert_eq!((b.seen().0.calls + b.seen().1.calls, b.standing().paused.as_deref()), (50, Some("ann")));
}

#[test]
fn who_is_cut_off_goes_back_but_not_on_and_tells_it_afterwards() {
    let dice = SplitMix::seeded(5);
    let [mut a, mut b] = replicas();
    calls(&mut b, 4_000, [0.0; 2], &dice);
    b.weigh(&NoVerdicts);
    assert_eq!(b.decide(1_000_000, Reach::Back), None, "others may have seen what is not known here");
    calls(&mut b, 4_000, [0.0, 0.4], &dice);
    b.weigh(&NoVerdicts);
    let back = b.decide(1_000_001, Reach::Back).expect("it is certain");
    b.run_ahead();
    // The others went on meanwhile: it goes back behind them, and they follow.
    a.order(Order::Promote, "ann", "", 30).unwrap();
    b.join(a.course());
    assert_eq!((b.standing().stage, b.standing().is_ahead, b.standing().version), (Stage::RolledBack, true, 3));
    let turns: Vec<&str> = b.standing().turns.iter().map(|turn| turn.by.as_str()).collect();
    assert_eq!((turns, &b.standing().turns[1].why), (vec!["ann", "tidegate"], &back.why));
    a.join(b.course());
    assert_eq!((a.shares(), a.standing().is_ahead), (vec![1.0, 0.0], false));
    // What is over stays over.
    let [mut a, mut b] = replicas();
    b.order(Order::Abort, "bob", "", 5).unwrap();
    b.run_ahead();
    a.order(Order::PromoteFully, "ann", "", 6).unwrap();
    b.join(a.course());
    assert_eq!((b.course(), b.standing().is_ahead), (a.course(), false));
}

#[test]
fn a_replica_that_was_killed_recalls_what_it_had_told() {
    let [mut a, _] = replicas();
    let kept = a.standing().clone();
    calls(&mut a, 100, [0.0; 2], &SplitMix::seeded(6));
    let told = a.sight();
    let mut again = Rollout::resumed(canary(vec![errors()]), 2, kept);
    again.recall(told.clone());
    assert_eq!(again.sight(), told);
    calls(&mut again, 10, [0.0; 2], &SplitMix::seeded(7));
    again.recall(told);
    assert_eq!(again.seen().0.calls + again.seen().1.calls, 110, "what is older changes nothing");
}
