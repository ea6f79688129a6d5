//! Tensors are checked where they are made.

use super::*;
use proptest::prelude::*;

fn tensor(datatype: Datatype, shape: &[u64], data: &'static [u8]) -> Result<Tensor, TensorFault> {
    Tensor::new("x", datatype, shape.to_vec(), Bytes::from_static(data))
}

#[test]
fn data_must_fit_their_shape() {
    assert!(tensor(Datatype::Fp32, &[1, 2], &[0; 8]).is_ok());
    assert!(tensor(Datatype::Fp32, &[], &[0; 4]).is_ok());
    for empty in [&[0, 5][..], &[0, 1 << 40], &[MAX_HOLLOW, 0], &[256, 256, 0, 1 << 20]] {
        assert!(tensor(Datatype::Int64, empty, &[]).is_ok(), "{empty:?}");
    }
    for (datatype, shape, data, says) in [
        (Datatype::Fp32, &[1u64, 3][..], &[0; 8][..], "are of 8 bytes, but its shape of FP32 takes 12"),
        (Datatype::Int64, &[], &[0; 4], "are of 4 bytes, but its shape of INT64 takes 8"),
        (Datatype::Int8, &[u64::MAX, 2], &[], "more elements than can be counted"),
        (Datatype::Int8, &[0, u64::MAX, 2], &[], "more elements than can be counted"),
        (Datatype::Fp64, &[1 << 62], &[], "more elements than can be counted"),
        (Datatype::Fp64, &[MAX_HOLLOW + 1, 0], &[], "no elements in 65537 rows"),
        (Datatype::Bytes, &[256, 257, 0], &[], "no elements in 65792 rows"),
        (Datatype::Int8, &[1 << 40, 0, 2], &[], "give each row a value"),
        (Datatype::Bool, &[2], &[1, 2], "byte 1 is neither 0 nor 1"),
        (Datatype::Uint8, &[1; 17], &[0], "17 dimensions"),
        (Datatype::Bytes, &[1], &[3, 0, 0, 0, b'a'], "element 0 says a length"),
        (Datatype::Bytes, &[1], &[0, 0, 0], "element 0 says a length"),
        (Datatype::Bytes, &[1], &[255, 255, 255, 255, b'a'], "element 0 says a length"),
        (Datatype::Bytes, &[3], &[0, 0, 0, 0, 1, 0, 0, 0, b'a'], "is of 3 elements, but its data are of 2"),
        (Datatype::Bytes, &[1], &[0, 0, 0, 0, 1, 0, 0, 0, b'a'], "is of 1 elements, but its data are of 2"),
    ] {
        let fault = tensor(datatype, shape, data).unwrap_err().to_string();
        assert!(fault.contains(says) && fault.contains("`x`"), "{fault}");
    }
}

#[test]
fn datatypes_are_known_by_their_names_alone() {
    for datatype in Datatype::ALL {
        assert_eq!(datatype.name().parse(), Ok(datatype));
    }
    for name in ["fp32", "FP32 ", "FP99", "", "STRING"] {
        assert_eq!(name.parse::<Datatype>(), Err(UnknownDatatype), "{name}");
    }
}

#[test]
fn elements_are_read_as_numbers_or_as_texts() {
    let numbers = |datatype, data| tensor(datatype, &[1], data).unwrap().numbers().unwrap().collect::<Vec<_>>();
    assert_eq!(numbers(Datatype::Int8, &[0xff]), [-1.0]);
    assert_eq!(numbers(Datatype::Uint8, &[0xff]), [255.0]);
    assert_eq!(numbers(Datatype::Uint16, &[0, 1]), [256.0]);
    assert_eq!(numbers(Datatype::Fp16, &[0, 0x3c]), [1.0]);
    assert_eq!(numbers(Datatype::Bf16, &[0x80, 0x3f]), [1.0]);
    assert_eq!(numbers(Datatype::Int64, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), [-2.0]);
    let floats = Tensor::of_f32("x", vec![2, 1], &[1.5, -2.0]).unwrap();
    assert_eq!((floats.to_f32().unwrap(), floats.rows(), floats.elements()), (vec![1.5, -2.0], 2, 2));
    assert!(floats.texts().is_none());
    let texts = Tensor::of_texts("x", vec![3], &["a", "", "\u{e9}"]).unwrap();
    assert_eq!(texts.texts().unwrap().collect::<Vec<_>>(), [&b"a"[..], b"", "\u{e9}".as_bytes()]);
    assert!(texts.numbers().is_none() && texts.to_f32().is_none());
}

proptest! {
    #[test]
    fn texts_come_back(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
        let tensor = Tensor::of_texts("x", vec![texts.len() as u64], &texts).unwrap();
        prop_assert_eq!(tensor.texts().unwrap().map(<[u8]>::to_vec).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn no_bytes_bring_it_down(data in prop::collection::vec(any::<u8>(), 0..64), shape in prop::collection::vec(any::<u64>(), 0..4), nth in 0..Datatype::ALL.len()) {
        if let Ok(tensor) = Tensor::new("x", Datatype::ALL[nth], shape, Bytes::from(data)) {
            let elements = tensor.elements();
            prop_assert!(tensor.texts().is_none_or(|texts| texts.count() == elements));
            prop_assert!(tensor.numbers().is_none_or(|numbers| numbers.count() == elements));
        }
    }
}
