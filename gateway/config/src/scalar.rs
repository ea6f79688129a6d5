//! Single values with their units. Owns how each is written; where one may stand is `section`'s.

use crate::place::Place;
use crate::report::Notes;
use crate::shape::{Read, mismatch};
use crate::suggest::nearest;
use crate::tree::{Kind, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::spec::Rate;
use tidegate_core::{
    AdapterName, AlertName, KeyId, ModelName, MonitorName, NodeName, PluginName, Principal, PromptRef, ProviderName,
    RewardName, RouteName, Secret, Tenant, VariantName, ViewName,
};

/// What can be read from a text.
pub(crate) trait Scalar: Sized {
    /// What it is, with its article.
    const WHAT: &'static str;

    /// Reads it.
    fn parse(text: &str) -> Result<Self, Flaw>;

    /// What a schema says of it.
    fn schema() -> Schema {
        json_schema!({"type": "string"})
    }
}

/// What is wrong with a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) why: Option<String>,
    pub(crate) remedy: Option<String>,
}

impl Flaw {
    pub(crate) fn why(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), remedy: None }
    }

    pub(crate) fn mend(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// A scalar with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
    /// Whether it comes from the environment or another file.
    pub(crate) is_referred: bool,
}

impl<T: std::fmt::Display> At<T> {
    /// The value as a message may show it: one that was put in may be a secret.
    pub(crate) fn shown(&self) -> String {
        if self.is_referred { "as the reference names".to_owned() } else { format!("`{}`", self.value) }
    }
}

impl<T: Scalar> Read for At<T> {
    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        let Kind::Scalar(scalar) = &node.kind else {
            mismatch(node, T::WHAT, notes);
            return None;
        };
        match T::parse(&scalar.value) {
            Ok(value) => Some(Self { value, at: node.at.clone(), is_referred: scalar.is_referred }),
            Err(Flaw { why, remedy }) => {
                // A value that was put in may be a secret: only what the file says is shown, no detail of it, and no
                // remedy, since that may repeat it.
                let why = why.filter(|_| !scalar.is_referred).map_or_else(String::new, |why| format!(": {why}"));
                let shown = if scalar.is_referred { format!("what {} stands for", node.what()) } else { node.what() };
                let remedy = remedy.filter(|_| !scalar.is_referred).unwrap_or_else(|| format!("write {}", T::WHAT));
                notes.fault(&node.at, format!("{shown} is not {}{why}", T::WHAT)).remedy(remedy);
                None
            }
        }
    }
}

impl<T: Scalar> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::WHAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// A text that is not empty.
#[derive(Debug, Clone)]
pub(crate) struct Text(pub(crate) String);

impl Scalar for Text {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.trim().is_empty() { Err(Flaw::why("it is empty")) } else { Ok(Self(text.to_owned())) }
    }
}

/// A schema of a number that a reference may stand for.
fn number(kind: &str, minimum: f64) -> Schema {
    json_schema!({"anyOf": [{"type": kind, "minimum": minimum}, {"type": "string", "pattern": "^\\$\\{"}]})
}

/// A count of at least 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) u32);

impl Count {
    /// As a size in memory.
    pub(crate) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Scalar for Count {
    const WHAT: &'static str = "a whole number of at least 1";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse()
            .ok()
            .filter(|count| *count > 0)
            .map(Self)
            .ok_or_else(|| Flaw::default().mend("write digits only, such as `16`"))
    }

    fn schema() -> Schema {
        number("integer", 1.0)
    }
}

/// A yes or no.
impl Scalar for bool {
    const WHAT: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|_| Flaw::default())
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

/// An amount of money: no negative one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money(pub(crate) f64);

impl Scalar for Money {
    const WHAT: &'static str = "a price in USD per million tokens";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let number: f64 =
            text.parse().map_err(|_| Flaw::default().mend("write a number without a currency, such as `2.5`"))?;
        if number.is_finite() && number >= 0.0 { Ok(Self(number)) } else { Err(Flaw::why("it is negative or endless")) }
    }

    fn schema() -> Schema {
        number("number", 0.0)
    }
}

/// Any number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) f64);

impl Scalar for Number {
    const WHAT: &'static str = "a number";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self).ok_or_else(Flaw::default)
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

/// A number and the unit behind it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.replace('_', "").parse().ok()?;
    Some((number, unit.trim()))
}

/// What units are also called.
const LONGER: [(&str, &str); 14] = [
    ("sec", "s"),
    ("min", "min"),
    ("min", "m"),
    ("m", "min"),
    ("hour", "h"),
    ("h", "hour"),
    ("day", "d"),
    ("d", "day"),
    ("kib", "KiB"),
    ("mib", "MiB"),
    ("gib", "GiB"),
    ("k", "kB"),
    ("m", "MB"),
    ("g", "GB"),
];

/// Finds a unit in a table, or says which there are.
fn unit(given: &str, units: &[(&'static str, f64)]) -> Result<f64, Flaw> {
    if let Some((_, factor)) = units.iter().find(|(name, _)| *name == given) {
        return Ok(*factor);
    }
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let lower = given.to_ascii_lowercase();
    let longer = LONGER
        .iter()
        .filter(|(long, _)| lower.starts_with(long))
        .find_map(|(_, short)| names.iter().copied().find(|name| name == short));
    let meant = longer.or_else(|| nearest(given, names.iter().copied()));
    let why = if given.is_empty() { "it has no unit".to_owned() } else { format!("`{given}` is no unit of it") };
    let remedy = meant.map_or_else(
        || format!("units are {}", names.join(", ")),
        |meant| format!("did you mean `{meant}`? units are {}", names.join(", ")),
    );
    Err(Flaw::why(why).mend(remedy))
}

/// A time of some length, such as `10s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

const TIMES: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

impl Scalar for Span {
    const WHAT: &'static str = "a duration such as `10s`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let (number, given) = split(text).ok_or_else(|| Flaw::default().mend("units are ms, s, m, h, d"))?;
        let seconds = number * unit(given, &TIMES)?;
        let span = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|span| !span.is_zero() && *span < Duration::from_secs(1 << 36));
        span.map(Self).ok_or_else(|| Flaw::why("it is nothing or longer than anyone waits"))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9._]+ ?(ms|s|m|h|d)|.*\\$\\{.*)$"})
    }
}

/// A size in bytes, such as `16MiB`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

const SIZES: [(&str, f64); 7] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
];

impl Scalar for Size {
    const WHAT: &'static str = "a size such as `16MiB`";

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked just before")]
    fn parse(text: &str) -> Result<Self, Flaw> {
        let (number, given) =
            split(text).ok_or_else(|| Flaw::default().mend("units are B, KiB, MiB, GiB, kB, MB, GB"))?;
        let bytes = number * unit(given, &SIZES)?;
        if !(1.0..1e15).contains(&bytes) {
            return Err(Flaw::why("it is nothing or more than any machine has"));
        }
        Ok(Self(bytes as u64))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9._]+ ?(B|KiB|MiB|GiB|kB|MB|GB)|.*\\$\\{.*)$"})
    }
}

/// A share of a whole: `5%` or `0.05`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share(pub(crate) f64);

impl Scalar for Share {
    const WHAT: &'static str = "a share such as `5%` or `0.05`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
        let share = number.parse::<f64>().map_err(|_| Flaw::default())? / scale;
        match share {
            share if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            share if scale == 1.0 && share > 1.0 && share <= 100.0 => {
                Err(Flaw::why("it is more than the whole").mend(format!("did you mean `{number}%`?")))
            }
            _ => Err(Flaw::why("it is not between 0 and 100 %")),
        }
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "number", "minimum": 0.0, "maximum": 1.0}, {"type": "string", "pattern": "^([0-9.]+ ?%?|.*\\$\\{.*)$"}]})
    }
}

impl Scalar for Rate {
    const WHAT: &'static str = "a rate such as `600/min`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        const TIMES: [(&str, f64); 4] = [("s", 1.0), ("min", 60.0), ("hour", 3600.0), ("day", 86400.0)];
        let form = || Flaw::default().mend("write `NUMBER/UNIT`, the unit being s, min, hour or day");
        let (count, time) = text.split_once('/').ok_or_else(form)?;
        let count: u64 = count.trim().replace('_', "").parse().map_err(|_| form())?;
        let every = Duration::from_secs_f64(unit(time.trim(), &TIMES)?);
        if count == 0 { Err(Flaw::why("nothing would ever pass")) } else { Ok(Self { count, every }) }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9_]+ ?/ ?(s|min|hour|day)|.*\\$\\{.*)$"})
    }
}

impl Scalar for SocketAddr {
    const WHAT: &'static str = "an address such as `127.0.0.1:8080`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|_| {
            let port = text.rsplit_once(':').map_or("8080", |(_, port)| port);
            let port = if port.parse::<u16>().is_ok() { port } else { "8080" };
            let host = if text.starts_with("localhost") { "127.0.0.1" } else { "0.0.0.0" };
            Flaw::default().mend(format!("write an IP address and a port, such as `{host}:{port}`"))
        })
    }
}

impl Scalar for Digest {
    const WHAT: &'static str = "a sha256";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let is_hex = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
        let flaw = || {
            let why = format!("it has {} characters and not 64 hex digits", text.chars().count());
            Flaw::why(why).mend("`sha256sum FILE` prints it")
        };
        if is_hex { text.parse().map_err(|_| flaw()) } else { Err(flaw()) }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"})
    }
}

impl Scalar for Secret {
    const WHAT: &'static str = "a secret";

    fn parse(text: &str) -> Result<Self, Flaw> {
        // No detail: it would say something of the secret.
        if text.trim().is_empty() { Err(Flaw::default().mend("it is empty")) } else { Ok(Self::new(text)) }
    }
}

impl Scalar for PromptRef {
    const WHAT: &'static str = "a reference to a prompt, such as `support@production`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|fault: tidegate_core::prompt::PromptRefFault| Flaw::why(fault.to_string()))
    }
}

macro_rules! names {
    ($($type:ident: $what:literal,)*) => {$(
        impl Scalar for $type {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, Flaw> {
                text.parse().map_err(|fault: tidegate_core::name::NameFault| Flaw::why(fault.to_string()).mend("rename it"))
            }
        }
    )*};
}

names! {
    RouteName: "the name of a route",
    VariantName: "the name of a variant",
    AdapterName: "the name of an adapter",
    ModelName: "the name of a model",
    ProviderName: "the name of a provider",
    KeyId: "the id of a key",
    Principal: "the name of a principal",
    Tenant: "the name of a tenant",
    RewardName: "the name of a reward",
    PluginName: "the name of a plugin",
    NodeName: "the name of a node",
    MonitorName: "the name of a monitor",
    AlertName: "the name of an alert",
    ViewName: "the name of a view of features",
}

#[cfg(test)]
mod tests;
