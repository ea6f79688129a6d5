//! Fine-tuning: LoRA factors trained on a quantised base in this process. The base is frozen as its file has it
//! (`base`, `frozen`); a layer is a graph of candle's with operations of our own (`norm`, `turned`, `attention`, `gated`),
//! one layer at a time (`network`); what is learnt is rows of text (`lesson`), how is `trainer`'s, `adamw`'s and
//! `schedule`'s; what is left is an adapter as PEFT writes it (`written`). Serving it is `adapter`'s.

mod adamw;
mod attention;
mod base;
mod factors;
mod fault;
mod frozen;
mod gated;
mod kept;
mod layer;
mod lesson;
mod loss;
mod network;
mod norm;
mod options;
mod order;
mod room;
mod run;
mod schedule;
mod trainer;
mod turned;
mod written;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use fault::TuneFault;
pub use options::{TuneLength, TuneOptions, TuneSettings};
pub use room::TuneRoom;
pub use run::{TuneEvent, Tuned, finetune};
pub use schedule::TuneSchedule;

use candle_core::{CpuStorage, Layout, Result};

/// The numbers of an argument that lie one after another.
fn plain<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((first, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the argument of an operation does not lie in one piece");
    };
    Ok(&storage.as_slice::<f32>()?[first..end])
}
