//! Tensors of core and tract's, both ways. Owns which datatypes are which, and what a call may send where a model takes
//! another one.

use crate::Refused;
use tidegate_core::{Datatype, Tensor, TensorMeta};
use tract_onnx::prelude::{
    Datum as _, DatumType, IntoTValue, OutletId, TDim, TValue, TVec, Tensor as Tract, TractResult, TypedModel, tvec,
};
use tract_onnx::tract_hir::internal::{bail, format_err};

/// What a model says of some of its outlets. Their names are the file's: tract makes others where two are alike.
pub(super) fn metas(model: &TypedModel, outlets: &[OutletId], names: &[&str]) -> TractResult<Vec<TensorMeta>> {
    if outlets.len() != names.len() {
        bail!("a graph of {} inputs or outputs that has names for {}", outlets.len(), names.len());
    }
    let meta = |(outlet, name): (&OutletId, &&str)| {
        let (fact, name) = (model.outlet_fact(*outlet)?, (*name).to_owned());
        let datatype = datatype(fact.datum_type)
            .ok_or_else(|| format_err!("tensors of {:?}, of which `{name}` is", fact.datum_type))?;
        let shape = fact.shape.iter().map(|size| size.to_i64().ok().and_then(|size| u64::try_from(size).ok()));
        Ok(TensorMeta { name, datatype, shape: shape.collect() })
    };
    outlets.iter().zip(names).map(meta).collect()
}

fn datatype(datum_type: DatumType) -> Option<Datatype> {
    Some(match datum_type {
        DatumType::Bool => Datatype::Bool,
        DatumType::U8 => Datatype::Uint8,
        DatumType::U16 => Datatype::Uint16,
        DatumType::U32 => Datatype::Uint32,
        DatumType::U64 => Datatype::Uint64,
        DatumType::I8 => Datatype::Int8,
        DatumType::I16 => Datatype::Int16,
        DatumType::I32 => Datatype::Int32,
        // Sizes are given as numbers.
        DatumType::I64 | DatumType::TDim => Datatype::Int64,
        DatumType::F16 => Datatype::Fp16,
        DatumType::F32 => Datatype::Fp32,
        DatumType::F64 => Datatype::Fp64,
        DatumType::String => Datatype::Bytes,
        _ => return None,
    })
}

fn datum_type(datatype: Datatype) -> Option<DatumType> {
    Some(match datatype {
        Datatype::Bool => DatumType::Bool,
        Datatype::Uint8 => DatumType::U8,
        Datatype::Uint16 => DatumType::U16,
        Datatype::Uint32 => DatumType::U32,
        Datatype::Uint64 => DatumType::U64,
        Datatype::Int8 => DatumType::I8,
        Datatype::Int16 => DatumType::I16,
        Datatype::Int32 => DatumType::I32,
        Datatype::Int64 => DatumType::I64,
        Datatype::Fp16 => DatumType::F16,
        Datatype::Fp32 => DatumType::F32,
        Datatype::Fp64 => DatumType::F64,
        Datatype::Bytes => DatumType::String,
        Datatype::Bf16 => return None,
    })
}

/// An input as the model takes it. Numbers may come in another datatype, where they keep their meaning.
pub(super) fn to_tract(tensor: &Tensor, meta: &TensorMeta) -> Result<TValue, Refused> {
    let shape = shape(tensor, meta)?;
    let (given, taken) = (tensor.datatype(), meta.datatype);
    let other =
        || Refused::Input(format!("`{}` is of {given}, but the model takes `{}` as {taken}", tensor.name(), meta.name));
    let failed = |error: tract_onnx::prelude::TractError| Refused::Failed(format!("{error:#}"));
    if given == Datatype::Bytes && taken == Datatype::Bytes {
        let texts = tensor.texts().into_iter().flatten().map(|text| String::from_utf8_lossy(text).into_owned());
        let texts: Vec<String> = texts.collect();
        return tract_onnx::prelude::tensor1(&texts).into_shape(&shape).map(IntoTValue::into_tvalue).map_err(failed);
    }
    if given == taken || (given.is_integer() && taken.is_integer()) {
        let datum_type = datum_type(given).ok_or_else(other)?;
        let mut whole = Tract::zero_dt(datum_type, &shape).map_err(failed)?;
        whole.as_bytes_mut().copy_from_slice(tensor.data());
        let taken = self::datum_type(taken).ok_or_else(other)?;
        return Ok(whole.cast_to_dt(taken).map_err(failed)?.into_owned().into_tvalue());
    }
    if !taken.is_float() || given == Datatype::Bytes {
        return Err(other());
    }
    let values = tensor.to_f32().ok_or_else(other)?;
    let whole = Tract::from_shape(&shape, &values).map_err(failed)?;
    let taken = self::datum_type(taken).ok_or_else(other)?;
    Ok(whole.cast_to_dt(taken).map_err(failed)?.into_owned().into_tvalue())
}

/// The shape as the model counts it: a list is one row.
fn shape(tensor: &Tensor, meta: &TensorMeta) -> Result<Vec<usize>, Refused> {
    let given = match (tensor.shape(), &meta.shape[..]) {
        ([columns], [None, Some(wanted)]) if columns == wanted => vec![1, *columns],
        (given, _) => given.to_vec(),
    };
    let fits = given.len() == meta.shape.len()
        && meta.shape.iter().zip(&given).all(|(wanted, given)| wanted.is_none_or(|wanted| wanted == *given));
    if !fits {
        let wanted: Vec<String> =
            meta.shape.iter().map(|size| size.map_or_else(|| "-1".to_owned(), |size| size.to_string())).collect();
        let wanted = wanted.join(", ");
        let shape = tensor.shape();
        return Err(Refused::Input(format!(
            "`{}` has the shape {shape:?}, but the model takes [{wanted}]",
            tensor.name()
        )));
    }
    Ok(given.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect())
}

/// Whole rows for a model that takes each column by itself.
pub(super) fn columns(rows: &Tensor, metas: &[TensorMeta]) -> Result<TVec<TValue>, Refused> {
    let [count, columns] = rows.shape() else {
        return Err(Refused::Input(format!("`{}` must have two dimensions, rows × {}", rows.name(), metas.len())));
    };
    if *columns != metas.len() as u64 {
        let given = usize::try_from(*columns).unwrap_or(usize::MAX);
        return Err(Refused::Width { wanted: metas.len(), given });
    }
    let number =
        |place: usize| rows.numbers().map(|numbers| numbers.skip(place).step_by(metas.len()).collect::<Vec<_>>());
    let mut values = tvec!();
    for (place, meta) in metas.iter().enumerate() {
        let column = number(place).ok_or_else(|| Refused::Input(format!("`{}` is of no numbers", rows.name())))?;
        let column = if meta.datatype.is_integer() {
            let whole: Vec<i64> = column.iter().map(|number| *number as i64).collect();
            Tensor::of_i64(&meta.name, vec![*count, 1], &whole)
        } else {
            Tensor::of_f64(&meta.name, vec![*count, 1], &column)
        };
        values.push(to_tract(&column.map_err(|fault| Refused::Failed(fault.to_string()))?, meta)?);
    }
    Ok(values)
}

/// An output as callers get it.
pub(super) fn of_tract(name: &str, value: &Tract) -> Result<Tensor, Refused> {
    let made = || -> TractResult<Tensor> {
        let shape = value.shape().iter().map(|size| *size as u64).collect();
        if value.datum_type() == DatumType::String {
            let texts = value.try_as_plain_ram()?.as_slice::<String>()?;
            return Ok(Tensor::of_texts(name, shape, texts)?);
        }
        let value = if value.datum_type() == TDim::datum_type() {
            value.cast_to::<i64>()?
        } else {
            std::borrow::Cow::Borrowed(value)
        };
        let Some(datatype) = datatype(value.datum_type()) else { bail!("`{name}` is of {:?}", value.datum_type()) };
        let data = value.try_as_plain_ram()?.as_bytes().to_vec();
        Ok(Tensor::new(name, datatype, shape, data.into())?)
    };
    made().map_err(|error| Refused::Failed(format!("{error:#}")))
}
