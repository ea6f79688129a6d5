//! Features join the call, where its route looks them up. Owns what of that goes into the record; the look-up is behind the port
//! `Enrich`.

use crate::path::permit::Admitted;
use crate::snapshot::Snapshot;
use tidegate_core::spec::ContentPolicy;
use tidegate_core::{Fault, Ledger};

/// Looks up what the route wants for this call, and has its models get it. What was served is recorded, whatever comes of it; whose
/// it is only where contents are kept.
///
/// # Errors
/// A join key is missing, or a feature that has no default.
pub(crate) async fn join(admitted: &mut Admitted, snapshot: &Snapshot, ledger: &mut Ledger) -> Result<(), Fault> {
    let (Some(features), Some(asked)) = (&admitted.route.features, &admitted.arrived.predict) else { return Ok(()) };
    let enriched = features.enrich(&asked.request).await;
    let mut served = enriched.served;
    if snapshot.content != ContentPolicy::Full {
        served.iter_mut().flat_map(|view| &mut view.served).for_each(|row| row.key.clear());
    }
    ledger.note(|event| event.features = served);
    asked.enrich(enriched.request?);
    if !admitted.arrived.bytes.is_empty() {
        admitted.arrived.bytes = asked.as_json();
    }
    Ok(())
}
