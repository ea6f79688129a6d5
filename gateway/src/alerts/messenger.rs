//! One try: the request is made, sent no longer than its deadline, and what came of it judged. No redirect is followed, so
//! that a secret goes to nobody but who is named.

use super::errand::{Errand, Telling};
use super::verdict::Verdict;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::alerts::Alarm;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::spec::{AdminSpec, AlertSpec};
use tidegate_core::{Clock, Fault, FaultKind};

/// Until when an answer must be there.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends what tells of alarms.
#[derive(Debug, Clone)]
pub(crate) struct Messenger {
    outbound: Arc<dyn Outbound>,
    clock: Arc<dyn Clock>,
    console: Option<String>,
}

impl Messenger {
    /// A messenger whose requests go by `outbound`. Links lead to the admin interface, where there is one.
    #[must_use]
    pub(crate) fn new(outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>, admin: Option<&AdminSpec>) -> Self {
        Self { outbound, clock, console: admin.and_then(console) }
    }

    /// Tells of it once; nothing where this alert has no use for it.
    pub(crate) async fn tell(&self, spec: &AlertSpec, alarm: &Alarm, delivery: &str) -> Option<Verdict> {
        let now_ms = self.clock.unix_ms();
        let telling = Telling { alert: &spec.name, alarm, now_ms, delivery, console: self.console.as_deref() };
        let errand = match Errand::of(spec, &telling) {
            Ok(errand) => errand?,
            Err(why) => return Some(Verdict::Refused(why)),
        };
        // Whom the configuration names is whom its owner trusts, wherever that is.
        let sent = self.outbound.send(errand.request(), Reach::Any);
        let answered = tokio::time::timeout(DEADLINE, sent).await.unwrap_or_else(|_| {
            Err(Fault::new(FaultKind::UpstreamTimeout, format!("there was no answer within {}s", DEADLINE.as_secs())))
        });
        Some(Verdict::of(spec, &answered, self.clock.unix_ms()))
    }
}

/// Where the admin interface is, as far as its address tells: one that stands for all addresses leads nowhere.
fn console(admin: &AdminSpec) -> Option<String> {
    let address = admin.address;
    (!address.ip().is_unspecified() && address.port() != 0).then(|| format!("http://{address}/admin/v1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_an_address_that_is_one() {
        let of = |address: &str| console(&AdminSpec { address: address.parse().unwrap(), token: None });
        assert_eq!(of("127.0.0.1:8081").as_deref(), Some("http://127.0.0.1:8081/admin/v1"));
        assert_eq!(of("[::1]:8081").as_deref(), Some("http://[::1]:8081/admin/v1"));
        assert_eq!((of("0.0.0.0:8081"), of("127.0.0.1:0")), (None, None));
    }
}
