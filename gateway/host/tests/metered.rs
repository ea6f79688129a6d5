//! Fuel of the drift plugin that is committed: the same in every run, and more where there is more to do.

#[cfg(test)]
mod fuel {
    use tidegate_host::{Bounds, Column, Data, Frame, Input, Kind, Metered, Window, World};

    fn component() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/drift.wasm")).unwrap()
    }

    fn window(rows: u32) -> Input {
        let numbers = |shift| Data::Numbers((0..rows).map(|row| f64::from(row % 50 + shift)).collect());
        let frame = |shift| Frame::of(vec![Column::full("x", numbers(shift))]).unwrap();
        Input::Drift { window: Window::default(), reference: frame(0), current: frame(20) }
    }

    #[test]
    fn it_is_the_same_in_every_run() {
        let fuel = |rows| {
            Metered::load(&component(), World::Drift, Bounds::default()).unwrap().fuel("{}", &window(rows)).unwrap()
        };
        let once = fuel(500);
        assert_eq!(once, fuel(500));
        assert!(once > 1000 && fuel(1000) > once, "{once}");
        let metered = Metered::load(&component(), World::Drift, Bounds::default()).unwrap();
        assert_eq!([metered.fuel("{}", &window(500)), metered.fuel("{}", &window(500))], [Ok(once), Ok(once)]);
    }

    #[test]
    fn what_gives_no_answer_has_no_fuel() {
        let metered = Metered::load(&component(), World::Drift, Bounds::default()).unwrap();
        assert!(matches!(metered.fuel("{\"alpha\": 7}", &window(10)).unwrap_err().kind, Kind::Refused(_)));
        assert_eq!(Metered::load(&component(), World::Filter, Bounds::default()).unwrap_err().kind, Kind::WrongWorld);
        assert_eq!(Metered::load(&component(), World::Rag, Bounds::default()).unwrap_err().kind, Kind::Host);
    }
}
