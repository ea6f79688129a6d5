//! Panes of parts make the pane of the whole, in any order, whatever is in them; what is written down is read again; and no
//! input takes more memory than is foreseen.

#[cfg(test)]
mod adds_up {
    use proptest::prelude::*;
    use std::borrow::Cow;
    use std::sync::Arc;
    use tidegate_core::InferenceId;
    use tidegate_core::dice::mix;
    use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec};
    use tidegate_watch::table::Data;
    use tidegate_watch::{Gathering, Keep, Packed, Pane, Plan, Reference, Shape, Unlike, Value};

    const KINDS: [Option<FieldKind>; 5] =
        [Some(FieldKind::Number), Some(FieldKind::Category), Some(FieldKind::Text), Some(FieldKind::Vector), None];
    const KEEP: Keep = Keep { rows: 20, bytes: 4_000, seed: 7 };

    fn shape() -> Shape {
        let field = |(at, kind): (usize, &Option<FieldKind>)| FieldSpec {
            name: format!("c{at}"),
            from: FieldFrom::Request(format!("/c{at}")),
            kind: *kind,
        };
        Shape::of(&KINDS.iter().enumerate().map(field).collect::<Vec<_>>())
    }

    type Call = (u64, Vec<Value<'static>>);

    /// Whatever a caller may send.
    fn value() -> impl Strategy<Value = Value<'static>> {
        let odd = prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e308,
            -1e308,
            1e140,
            -1e140,
            -0.0,
            0.0,
            f64::MIN_POSITIVE,
            5e-324,
            1.0,
        ]);
        let text = prop_oneof![
            Just(String::new()),
            Just(" ".to_owned()),
            Just("__other__".to_owned()),
            Just("3.5".to_owned()),
            Just("NaN".to_owned()),
            Just("é".repeat(200)),
            "[a-c]{1,2}",
            any::<String>(),
        ];
        prop_oneof![
            1 => Just(Value::Missing),
            2 => odd.prop_map(Value::Number),
            4 => (-5.0..5.0f64).prop_map(Value::Number),
            4 => text.prop_map(|text| Value::Text(Cow::Owned(text))),
            1 => prop::collection::vec(any::<f32>(), 0..4).prop_map(|all| Value::Vector(Cow::Owned(all))),
        ]
    }

    fn calls(most: usize) -> impl Strategy<Value = Vec<Call>> {
        let row = prop::collection::vec(value(), 0..=KINDS.len() + 1);
        prop::collection::vec(row, 0..most).prop_map(|rows| (0..).zip(rows).collect())
    }

    fn reference(shape: &Shape, calls: &[Call]) -> Reference {
        let mut gathering = Gathering::new(shape, calls.len().max(1) as u64, KEEP);
        for (number, row) in calls {
            gathering.take(shape, id(*number), *number, row);
        }
        let json = serde_json::to_string(&gathering).unwrap();
        assert_eq!(serde_json::from_str::<Gathering>(&json).unwrap(), gathering);
        gathering.finish(shape)
    }

    fn plan(first: Option<&[Call]>) -> Arc<Plan> {
        let shape = shape();
        let reference = first.map(|calls| Arc::new(reference(&shape, calls)));
        Arc::new(Plan::new(shape, reference, KEEP).unwrap())
    }

    fn id(number: u64) -> InferenceId {
        InferenceId::from_parts(number, mix(number), mix(!number))
    }

    fn pane<'a>(plan: &Arc<Plan>, calls: impl IntoIterator<Item = &'a Call>) -> Pane {
        let mut pane = Pane::new(plan);
        calls.into_iter().for_each(|(number, row)| pane.take(id(*number), *number, row));
        pane
    }

    fn merged(plan: &Arc<Plan>, panes: &[Pane]) -> Pane {
        let mut merged = Pane::new(plan);
        panes.iter().for_each(|pane| merged.merge(pane).unwrap());
        merged
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_make_the_whole(
            first in prop::option::of(calls(40)), calls in calls(80), parts in 1u64..6, seed in any::<u64>(),
        ) {
            let plan = plan(first.as_deref());
            let whole = pane(&plan, &calls);
            // Each call goes to some replica, and none keeps their order.
            let mut panes: Vec<Pane> = (0..parts)
                .map(|part| pane(&plan, calls.iter().rev().filter(|(number, _)| mix(seed ^ number) % parts == part)))
                .collect();
            prop_assert_eq!(&merged(&plan, &panes), &whole);
            panes.reverse();
            // As they go through another place, and two by two.
            let pairs: Vec<Pane> = panes.chunks(2).map(|pair| {
                let json = serde_json::to_string(&merged(&plan, pair).packed()).unwrap();
                serde_json::from_str::<Packed>(&json).unwrap().open(&plan).unwrap()
            }).collect();
            prop_assert_eq!(&merged(&plan, &pairs), &whole);
            prop_assert_eq!(whole.table(u32::MAX), merged(&plan, &pairs).table(u32::MAX));
        }

        #[test]
        fn what_is_written_down_is_read_again(first in prop::option::of(calls(40)), calls in calls(60)) {
            let plan = plan(first.as_deref());
            let pane = pane(&plan, &calls);
            let packed = serde_json::from_str::<Packed>(&serde_json::to_string(&pane.packed()).unwrap()).unwrap();
            prop_assert_eq!(packed.open(&plan).unwrap(), pane);
            if let Some(reference) = plan.reference() {
                let json = serde_json::to_string(reference).unwrap();
                let again: Reference = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(again.id(), reference.id());
                prop_assert_eq!(&again, &**reference);
            }
        }

        #[test]
        fn tables_are_whole(first in prop::option::of(calls(40)), calls in calls(80), most in 1u32..100) {
            let plan = plan(first.as_deref());
            let pane = pane(&plan, &calls);
            let mut tables = vec![pane.table(most), pane.joint()];
            if let Some(reference) = plan.reference() {
                tables.extend([reference.table(plan.shape(), most), reference.joint(plan.shape())]);
            }
            for table in tables {
                for column in &table.columns {
                    let (n, is_level) = match &column.data {
                        Data::Numbers(numbers) => (numbers.len(), numbers.iter().all(|x| x.is_finite())),
                        Data::Categories { codes, levels } => {
                            let gap = |row: usize| column.missing.contains(&u32::try_from(row).unwrap());
                            let known = |(row, code): (usize, &u32)| gap(row) || (*code as usize) < levels.len();
                            (codes.len(), codes.iter().enumerate().all(known))
                        }
                        Data::Texts(texts) => (texts.len(), true),
                    };
                    prop_assert_eq!(n, table.rows as usize, "{}", &column.name);
                    prop_assert!(is_level, "{}", &column.name);
                    prop_assert!(column.missing.is_sorted_by(|a, b| a < b));
                    prop_assert!(column.missing.last().is_none_or(|last| *last < table.rows));
                }
            }
            prop_assert!(pane.table(most).rows <= most);
        }

        #[test]
        fn counts_are_exact(numbers in prop::collection::vec(-3.0..3.0f64, 1..300), q in 0.0..=1.0f64) {
            let first: Vec<Call> = (0..).zip(&numbers).map(|(at, x)| (at, vec![Value::Number(x / 2.0)])).collect();
            let calls: Vec<Call> = (0..).zip(&numbers).map(|(at, x)| (at, vec![Value::Number(*x)])).collect();
            let plan = plan(Some(&first));
            let pane = pane(&plan, &calls);
            let seen = pane.numbers(0).unwrap();
            prop_assert_eq!((seen.n(), seen.missing()), (numbers.len() as u64, 0));
            prop_assert_eq!(seen.cells().unwrap().counts().iter().map(|n| u64::from(*n)).sum::<u64>(), seen.n());
            let mut sorted = numbers.clone();
            sorted.sort_by(f64::total_cmp);
            prop_assert_eq!(seen.range(), Some((sorted[0], sorted[sorted.len() - 1])));
            // The mean is kept: to half a step of a cell, or of the reference's length.
            let table = pane.table(u32::MAX);
            let Data::Numbers(spread) = &table.columns[0].data else { panic!() };
            prop_assert!((spread.iter().sum::<f64>() - numbers.iter().sum::<f64>()).abs() < 0.01 * numbers.len() as f64);
            prop_assert!(spread.is_sorted());
            let found = pane.quantile(0, q).unwrap();
            prop_assert!((sorted[0]..=sorted[sorted.len() - 1]).contains(&found));
        }
    }

    #[test]
    fn what_was_made_for_something_else_is_refused() {
        let row = |x: f64| vec![Value::Number(x); 5];
        let (one, two) = (plan(Some(&[(1, row(1.0))])), plan(Some(&[(1, row(2.0))])));
        let mut pane = Pane::new(&one);
        assert_eq!(pane.merge(&Pane::new(&two)), Err(Unlike::Reference));
        assert_eq!(pane.merge(&Pane::new(&plan(None))), Err(Unlike::Reference));
        assert_eq!(Pane::new(&two).packed().open(&one), Err(Unlike::Reference));
        let narrow = Arc::new(Plan::new(Shape::of(&[]), None, KEEP).unwrap());
        assert_eq!(Pane::new(&narrow).packed().open(&plan(None)), Err(Unlike::Columns));
        assert_eq!(pane.merge(&Pane::new(&narrow)), Err(Unlike::Columns));
        assert_eq!(Plan::new(Shape::of(&[]), one.reference().cloned(), KEEP), Err(Unlike::Columns));
        // The same reference, read elsewhere, is the same.
        let json = serde_json::to_string(one.reference().unwrap()).unwrap();
        let again = Arc::new(Plan::new(shape(), Some(serde_json::from_str(&json).unwrap()), KEEP).unwrap());
        assert_eq!(pane.merge(&Pane::new(&again)), Ok(()));
        let mut text = serde_json::to_string(&Pane::new(&one).packed()).unwrap();
        text = text.replace("\"counts\":\"", "\"counts\":\"AA");
        assert_eq!(serde_json::from_str::<Packed>(&text).unwrap().open(&one), Err(Unlike::Broken));
        let form = text.replace("\"pane\":1", "\"pane\":2");
        assert_eq!(serde_json::from_str::<Packed>(&form).unwrap().open(&one), Err(Unlike::Form));
    }

    #[test]
    fn a_window_of_thirty_features_is_small_whatever_is_in_it() {
        let field = |at| FieldSpec {
            name: format!("x{at}"),
            from: FieldFrom::Request(format!("/x{at}")),
            kind: Some(FieldKind::Number),
        };
        let shape = Shape::of(&(0..30).map(field).collect::<Vec<_>>());
        let row = |number: u64, spread: f64| -> Vec<Value<'static>> {
            let x = |at: u64| spread * tidegate_core::dice::unit(mix(31 * number + at));
            (0..30).map(|at| Value::Number(x(at))).collect()
        };
        let mut gathering = Gathering::new(&shape, 5_000, Keep::NONE);
        (0..5_000).for_each(|number| gathering.take(&shape, id(number), number, &row(number, 1.0)));
        let reference = Arc::new(gathering.finish(&shape));
        let plan = Arc::new(Plan::new(shape, Some(reference), Keep::NONE).unwrap());
        let mut pane = Pane::new(&plan);
        (0..1_000).for_each(|number| pane.take(id(number), number, &row(10_000 + number, 1.0)));
        let (bytes, packed) = (pane.bytes(), serde_json::to_string(&pane.packed()).unwrap().len());
        println!("figure: 30 features: {bytes} bytes a window, {packed} bytes packed after 1,000 calls");
        assert!(bytes <= 200_000, "{bytes}");
        assert!(packed <= 30_000, "{packed}");
        // Numbers of all magnitudes, all outside of the reference.
        for number in 0..10_000u64 {
            let x = |at: u64| {
                let bits = mix(31 * number + at);
                f64::from_bits(bits) * if bits.is_multiple_of(2) { 1.0 } else { 1e-200 }
            };
            pane.take(id(number), number, &(0..30).map(|at| Value::Number(x(at))).collect::<Vec<_>>());
        }
        let most = bytes + 30 * 2 * 2_048 * 32;
        assert!(pane.bytes() <= most, "{} of {most}", pane.bytes());
    }

    #[test]
    fn categories_without_end_and_long_rows_take_bounded_memory() {
        let plan = plan(None);
        let mut pane = Pane::new(&plan);
        for number in 0..20_000u64 {
            let text =
                Value::Text(Cow::Owned(format!("{number}{}", "x".repeat(usize::try_from(number % 300).unwrap()))));
            pane.take(id(number), number, &[Value::Missing, text.clone(), text.clone(), Value::Missing, text]);
        }
        let categories = pane.categories(1).unwrap();
        let named: u64 = categories.unseen().iter().map(|(_, count)| count).sum();
        assert_eq!((categories.n(), named + categories.other()), (20_000, 20_000));
        assert_eq!(categories.unseen().len(), 1_000);
        assert!(pane.kept().len() <= KEEP.rows);
        let most = KEEP.bytes + 2 * 1_000 * (64 + 256) + 4_096;
        assert!(pane.bytes() <= most, "{} of {most}", pane.bytes());
    }
}
