//! `listeners` and `admin`: addresses served.

use super::Desk;
use crate::scalar::{At, Count, Size, Span, Text};
use crate::shape::{Item, Placed, choice, record};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::spec::{AdminSpec, CorsSpec, ListenerSpec, TlsSpec};

record! {
    /// An address served.
    ListenerFile {
        required {
            /// The IP address and port; port 0 takes a free one.
            address: At<SocketAddr>,
        }
        optional {
            /// TLS; left out, there is none.
            tls: TlsFile,
            /// Which pages of browsers may call; any by default (a key is still needed).
            cors: CorsFile,
            /// The largest body taken; 16MiB by default.
            max_body: At<Size>,
            /// Until when the head of a request must be there; 5s by default.
            head_timeout: At<Span>,
            /// Until when its body must be there; 30s by default.
            body_timeout: At<Span>,
            /// The most connections at once; 10000 by default.
            max_connections: At<Count>,
        }
    }
}

record! {
    /// The files of TLS, read again when they change.
    TlsFile {
        required {
            /// The certificate chain, PEM.
            cert: At<Text>,
            /// The private key, PEM.
            key: At<Text>,
        }
        optional {
            /// The authorities of client certificates, PEM; a client must then show one.
            client_ca: At<Text>,
        }
    }
}

choice! {
    /// Which pages of browsers may call.
    CorsFile {
        words {
            /// None.
            Off = "off",
            /// Any.
            Any = "any",
        }
        maps {
            /// Those of these origins.
            Origins(Vec<At<Text>>) = "origins",
        }
    }
}

record! {
    /// The admin interface.
    AdminFile {
        required {
            /// The IP address and port; port 0 takes a free one.
            address: At<SocketAddr>,
        }
        optional {
            /// A token that has the role `admin`, beside the keys that have it.
            token: At<Secret>,
        }
    }
}

/// The listener of an entry.
pub(crate) fn check(item: Item<ListenerFile>, desk: &mut Desk<'_>) -> Option<ListenerSpec> {
    if let Err(fault) = tidegate_core::name::check(&item.name) {
        desk.notes
            .fault(&item.at, format!("`{}` is not the name of a listener: {fault}", item.name))
            .remedy("rename it")
            .remedy("rename it");
    }
    let raw = item.value?;
    Some(ListenerSpec {
        name: item.name,
        tls: raw.tls.and_then(|tls| tls_spec(tls, desk)),
        cors: raw.cors.map_or(CorsSpec::Any, |cors| cors_spec(cors, desk)),
        max_body: raw.max_body.map_or(16 << 20, |size| size.value.0),
        head_timeout: raw.head_timeout.map_or(Duration::from_secs(5), |span| span.value.0),
        body_timeout: raw.body_timeout.map_or(Duration::from_secs(30), |span| span.value.0),
        max_connections: raw.max_connections.map_or(10_000, |count| count.value.size()),
        address: raw.address?.value,
    })
}

fn tls_spec(raw: TlsFile, desk: &mut Desk<'_>) -> Option<TlsSpec> {
    let (cert, key) = (raw.cert.map(|file| desk.file(&file)), raw.key.map(|file| desk.file(&file)));
    let client_ca = raw.client_ca.map(|file| desk.file(&file));
    Some(TlsSpec { cert: cert?, key: key?, client_ca })
}

fn cors_spec(raw: CorsFile, desk: &mut Desk<'_>) -> CorsSpec {
    match raw {
        CorsFile::Off => CorsSpec::Off,
        CorsFile::Any => CorsSpec::Any,
        CorsFile::Origins(origins) => {
            CorsSpec::Origins(origins.into_iter().filter_map(|origin| checked_origin(&origin, desk)).collect())
        }
    }
}

/// What browsers send as `Origin`: a scheme and a host, no path.
fn checked_origin(origin: &At<Text>, desk: &mut Desk<'_>) -> Option<String> {
    let is_origin = origin.value.0.split_once("://").is_some_and(|(scheme, host)| {
        let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        is_scheme && host.parse::<http::uri::Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
    });
    if !is_origin {
        desk.notes
            .fault(&origin.at, "this is no origin")
            .remedy("write a scheme and a host without a path, such as `https://app.example`");
        return None;
    }
    Some(origin.value.0.to_ascii_lowercase())
}

/// The admin interface of an entry.
pub(crate) fn check_admin(raw: AdminFile, desk: &mut Desk<'_>) -> Option<AdminSpec> {
    let token = raw.token;
    if let Some(literal) = token.as_ref().filter(|token| !token.is_referred) {
        desk.notes.conceal(&literal.at);
        desk.notes
            .warn(&literal.at, "the admin token stands in the file itself")
            .remedy("write `${env:NAME}` or `${file:PATH}`");
    }
    Some(AdminSpec { token: token.map(|token| token.value), address: raw.address?.value })
}

/// What goes across listeners: who may stand where, and that none is in the way of another.
pub(crate) fn check_all(
    listeners: &[(&str, &ListenerFile)],
    admin: Option<&AdminFile>,
    has_keys: bool,
    desk: &mut Desk<'_>,
) {
    let open = listeners.iter().filter(|(_, listener)| listener.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()));
    for address in open.filter_map(|(_, listener)| listener.address.as_ref()) {
        if !has_keys && !address.value.ip().is_loopback() {
            desk.notes
                .fault(&address.at, "this address can be reached from other machines, and callers need no key")
                .remedy("add `keys: {file: keys.yaml}` and make a key by `tidegate key new`, or serve on 127.0.0.1");
        }
    }
    let mut served: Vec<(&str, &At<SocketAddr>)> = Vec::new();
    let all = listeners.iter().map(|(name, listener)| (*name, listener.address.as_ref()));
    for (name, address) in all.chain(admin.map(|admin| ("admin", admin.address.as_ref()))) {
        let Some(address) = address else { continue };
        if let Some((other, first)) = served.iter().find(|(_, first)| clash(first.value, address.value)) {
            desk.notes
                .fault(&address.at, format!("`{other}` serves this address already (line {})", first.at.line))
                .remedy("give one of them another port");
        }
        served.push((name, address));
    }
    if let Some(admin) = admin {
        check_access(admin, has_keys, desk);
    }
}

fn check_access(admin: &AdminFile, has_keys: bool, desk: &mut Desk<'_>) {
    let Some(address) = &admin.address else { return };
    let is_local = address.value.ip().is_loopback();
    if !is_local && !has_keys && !admin.here().has("token") {
        desk.notes
            .fault(
                &address.at,
                "the admin interface can be reached from other machines, and needs neither token nor key",
            )
            .remedy("add `token: \"${env:TIDEGATE_ADMIN_TOKEN}\"`, or serve it on 127.0.0.1");
    } else if !is_local {
        desk.notes
            .warn(&address.at, "the admin interface can be reached from other machines without TLS")
            .remedy("serve it on 127.0.0.1");
    }
}

fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || is_any)
}
