//! What replicas hand over makes the windows of one gateway: whoever collects what, in whatever order parcels come, however
//! often each is delivered, and whoever leads when.

#[cfg(test)]
mod handed_over {
    use proptest::prelude::*;
    use std::borrow::Cow;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;
    use tidegate_core::InferenceId;
    use tidegate_core::dice::mix;
    use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec, WindowSpec};
    use tidegate_watch::handed::{Call, FORM, Of, Said};
    use tidegate_watch::{Closed, Handed, Keep, Kept, Marks, Plan, Shape, Value, Windows};

    const MINUTE: u64 = 60_000;
    /// A time at which a minute begins.
    const T: u64 = 28_333_333 * MINUTE;
    const REPLICAS: usize = 3;

    fn shape(has_labels: bool) -> Shape {
        let field = |name: &str, from, kind| FieldSpec { name: name.to_owned(), from, kind };
        let label = field("label", FieldFrom::Label("truth".parse().unwrap()), Some(FieldKind::Category));
        let mut fields = vec![
            field("x", FieldFrom::Request("/x".to_owned()), Some(FieldKind::Number)),
            field("c", FieldFrom::Request("/c".to_owned()), Some(FieldKind::Category)),
            field("any", FieldFrom::Request("/any".to_owned()), None),
        ];
        fields.extend(has_labels.then_some(label));
        Shape::of(&fields)
    }

    fn spec() -> WindowSpec {
        WindowSpec { size: None, every: Some(Duration::from_secs(60)), min: 1, wait: Duration::from_secs(30) }
    }

    fn plan(has_labels: bool) -> Arc<Plan> {
        Arc::new(Plan::new(shape(has_labels), None, Keep { rows: 20, bytes: 8_000, seed: 3 }).unwrap())
    }

    fn judge(plan: &Arc<Plan>) -> Windows {
        Windows::judging(Arc::clone(plan), spec(), Duration::from_secs(5)).unwrap()
    }

    /// A call of a replica, whether it hands over behind it, and where its label is said.
    #[derive(Debug, Clone)]
    struct Step {
        by: usize,
        hands_over: bool,
        row: [Value<'static>; 3],
        label: Option<(usize, &'static str)>,
    }

    fn step() -> impl Strategy<Value = Step> {
        let number = prop_oneof![Just(Value::Missing), (-3i32..3).prop_map(|x| Value::Number(f64::from(x) / 2.0))];
        let text = prop_oneof![Just(Value::Missing), "[a-c]{1,2}".prop_map(|text| Value::Text(Cow::Owned(text)))];
        let any = prop_oneof![number.clone(), text.clone()];
        let label = prop::option::of((0..REPLICAS, prop_oneof![Just("yes"), Just("no")]));
        (0..REPLICAS, prop::bool::weighted(0.2), number, text, any, label)
            .prop_map(|(by, hands_over, x, c, any, label)| Step { by, hands_over, row: [x, c, any], label })
    }

    fn id(n: usize) -> InferenceId {
        let n = n as u64;
        InferenceId::from_parts(T + n * 700, mix(n), mix(!n))
    }

    fn text(label: &'static str) -> Value<'static> {
        Value::Text(Cow::Borrowed(label))
    }

    /// What there is of windows when all is over.
    fn shown(closed: Vec<Closed>) -> BTreeMap<String, tidegate_watch::Packed> {
        closed.into_iter().map(|one| (one.id.clone(), one.pane.packed())).collect()
    }

    fn alone(plan: &Arc<Plan>, steps: &[Step], has_labels: bool) -> Vec<Closed> {
        let mut windows = judge(plan);
        let mut closed = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let at = T + n as u64 * 700;
            closed.extend(windows.take(at, id(n), at, &step.row));
            if let (true, Some((_, label))) = (has_labels, step.label) {
                closed.extend(windows.said(at, id(n), 3, &text(label)));
            }
        }
        closed.extend(windows.tick(T + 60 * MINUTE));
        closed
    }

    /// A replica: what it collects, and how many parcels it has handed over.
    struct Replica {
        windows: Windows,
        rows: Vec<Call>,
        said: Vec<Said>,
        seq: u64,
    }

    impl Replica {
        fn parcel(&mut self, by: usize) -> String {
            self.seq += 1;
            let rows = std::mem::take(&mut self.rows);
            let of = Of { model: "m".parse().unwrap(), version: None, parts: self.windows.drain(), rows };
            let said = std::mem::take(&mut self.said);
            let handed = Handed { handed: FORM, by: format!("r{by}"), seq: self.seq, of: vec![of], said, anew: None };
            serde_json::to_string(&handed).unwrap()
        }
    }

    fn parcels(plan: &Arc<Plan>, steps: &[Step], has_labels: bool) -> Vec<String> {
        let windows = || Windows::collecting(Arc::clone(plan), spec(), Duration::from_secs(5)).unwrap();
        let mut replicas: Vec<Replica> =
            (0..REPLICAS).map(|_| Replica { windows: windows(), rows: Vec::new(), said: Vec::new(), seq: 0 }).collect();
        let mut parcels = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let at = T + n as u64 * 700;
            let replica = &mut replicas[step.by];
            if has_labels {
                let row = step.row.iter().cloned().chain([Value::Missing]).collect();
                replica.rows.push(Call { kept: Kept { call: id(n), unix_ms: at, row }, whose: Some(7) });
                if let Some((by, label)) = step.label {
                    // Said where the call is not known, and then once more.
                    for _ in 0..2 {
                        replicas[by].said.push(Said { call: id(n), at: 3, value: text(label), who: Some(7) });
                    }
                    // A stranger says something else of it.
                    replicas[by].said.insert(0, Said { call: id(n), at: 3, value: text("stranger"), who: Some(8) });
                }
            } else {
                assert!(replica.windows.take(at, id(n), at, &step.row).is_empty());
            }
            if step.hands_over {
                parcels.push(replicas[step.by].parcel(step.by));
            }
        }
        parcels.extend(replicas.iter_mut().enumerate().map(|(by, replica)| replica.parcel(by)));
        parcels
    }

    /// Delivers them in some order, some twice; each now and then another one leads, who knows what was written down.
    fn judged(plan: &Arc<Plan>, parcels: &[String], seed: u64) -> Vec<Closed> {
        let mut order: Vec<&String> = parcels.iter().chain(parcels.iter().skip(1).step_by(2)).collect();
        order.sort_by_key(|parcel| mix(seed ^ parcel.len() as u64 ^ u64::from(parcel.as_bytes()[parcel.len() / 2])));
        order.extend(parcels.iter().take(2));
        let (mut windows, mut marks, mut closed) = (judge(plan), Marks::default(), Vec::new());
        for (n, parcel) in order.into_iter().enumerate() {
            let now = T + 50_000;
            let handed: Handed = serde_json::from_str(parcel).unwrap();
            if !marks.take(now, &handed.by, handed.seq) {
                continue;
            }
            for of in handed.of {
                for part in of.parts {
                    closed.extend(windows.absorb(now + 10 * MINUTE, part).unwrap());
                }
                for Call { kept, whose } in of.rows {
                    closed.extend(windows.take_of(now, (kept.call, whose), kept.unix_ms, &kept.row));
                }
            }
            for said in handed.said {
                closed.extend(windows.said_by(now, (said.call, said.who), said.at, &said.value));
            }
            if mix(seed ^ n as u64).is_multiple_of(3) {
                let state = serde_json::to_string(&(windows.saved_without_reference(), &marks)).unwrap();
                let (saved, known) = serde_json::from_str(&state).unwrap();
                (windows, marks) = (judge(plan), known);
                windows.restore(saved).unwrap();
            }
        }
        closed.extend(windows.tick(T + 60 * MINUTE));
        closed
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parcels_make_the_windows_of_one_gateway(steps in prop::collection::vec(step(), 1..120), seed in any::<u64>()) {
            let plan = plan(false);
            let expected = shown(alone(&plan, &steps, false));
            prop_assert_eq!(shown(judged(&plan, &parcels(&plan, &steps, false), seed)), expected);
        }

        #[test]
        fn a_label_finds_its_call_wherever_it_is_said(steps in prop::collection::vec(step(), 1..70), seed in any::<u64>()) {
            let plan = plan(true);
            let expected = shown(alone(&plan, &steps, true));
            prop_assert_eq!(shown(judged(&plan, &parcels(&plan, &steps, true), seed)), expected);
        }
    }

    #[test]
    fn nothing_is_late_before_a_tick_says_so() {
        let plan = plan(false);
        let mut replica = Windows::collecting(Arc::clone(&plan), spec(), Duration::from_secs(5)).unwrap();
        for n in 0..10 {
            assert!(replica.take(T + n * MINUTE, id(1), T + n * MINUTE, &[]).is_empty());
        }
        // Who cannot hand over lets the oldest windows go, and says of how many calls.
        assert_eq!(replica.let_go(8), 2);
        let mut windows = judge(&plan);
        for part in replica.drain() {
            assert!(windows.absorb(T + 60 * MINUTE, part).unwrap().is_empty());
        }
        assert_eq!((windows.counts().taken, windows.counts().late), (8, 0));
        assert_eq!(windows.tick(T + 60 * MINUTE).len(), 8);
        assert!(replica.take(T + 60 * MINUTE, id(2), T + 59 * MINUTE + 58_000, &[]).is_empty());
        // Now it is.
        for part in replica.drain() {
            assert!(windows.absorb(T + 60 * MINUTE, part).unwrap().is_empty());
        }
        assert_eq!(windows.tick(T + 70 * MINUTE).len(), 1);
        assert!(replica.take(T + 62 * MINUTE, id(3), T + 62 * MINUTE, &[]).is_empty());
        for part in replica.drain() {
            assert!(windows.absorb(T + 70 * MINUTE, part).unwrap().is_empty());
        }
        assert_eq!(windows.counts().late, 1);
    }

    #[test]
    fn a_part_is_bounded_and_its_counts_stay() {
        let shape =
            Shape::of(&[FieldSpec { name: "t".to_owned(), from: FieldFrom::Said, kind: Some(FieldKind::Text) }]);
        let plan = Arc::new(Plan::new(shape, None, Keep { rows: 1_000, bytes: 1 << 20, seed: 0 }).unwrap());
        let mut replica = Windows::collecting(Arc::clone(&plan), spec(), Duration::from_secs(5)).unwrap();
        for n in 0..200 {
            assert!(replica.take(T, id(n), T, &[Value::Text(Cow::Owned("x".repeat(500)))]).is_empty());
        }
        let part = replica.drain_within(20_000).remove(0);
        assert!(serde_json::to_string(&part).unwrap().len() < 25_000);
        let mut windows = judge(&plan);
        assert!(windows.absorb(T, part).unwrap().is_empty());
        let closed = windows.tick(T + 60 * MINUTE);
        assert_eq!(closed[0].pane.rows(), 200);
        assert!((20..40).contains(&closed[0].pane.kept().len()), "{}", closed[0].pane.kept().len());
    }
}
