//! Whether a proxy stands on the way to an address, and which. Owns the rules of `NO_PROXY` and the credentials in a
//! proxy's address; talking to it is `dial`'s.

use crate::BuildFault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use std::net::IpAddr;
use tidegate_core::spec::provider::ProxySpec;

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its host, without brackets.
    pub(crate) host: Box<str>,
    /// Its port.
    pub(crate) port: u16,
    /// What it wants to see as `Proxy-Authorization`; marked sensitive.
    pub(crate) authorization: Option<HeaderValue>,
}

/// The proxy on the way to `host` and `port`, if any. A loopback address has one only by `ProxySpec::Through`.
pub(crate) fn for_address(spec: &ProxySpec, host: &str, port: u16, is_tls: bool) -> Result<Option<Proxy>, BuildFault> {
    let uri = match spec {
        ProxySpec::Direct => None,
        ProxySpec::Through(uri) => Some(uri),
        ProxySpec::Environment { https, http, except } => {
            let uri = if is_tls { https.as_ref() } else { http.as_ref() };
            uri.filter(|_| !is_loopback(host) && !is_exempt(host, port, except))
        }
    };
    uri.map(parse).transpose()
}

fn parse(uri: &Uri) -> Result<Proxy, BuildFault> {
    let host = uri.host().map(crate::dial::bare_host);
    let shown = format!("{}:{}", host.unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let fault = |why| BuildFault::Proxy { proxy: shown.clone(), why };
    if !matches!(uri.scheme_str(), None | Some("http")) {
        return Err(fault("only proxies spoken to by `http://` are supported"));
    }
    let host = host.ok_or_else(|| fault("it names no host"))?;
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let authorization = match authority.rsplit_once('@') {
        None => None,
        Some((user, _)) => {
            let plain = tidegate_core::percent::bytes(user);
            let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain)))
                .map_err(|_| fault("its credentials fit into no header"))?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(Proxy { host: host.into(), port: uri.port_u16().unwrap_or(80), authorization })
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether `NO_PROXY`'s `rules` spare this address: `*`, a host and its subdomains (with or without a leading dot),
/// `host:port`, an address, or a CIDR block.
fn is_exempt(host: &str, port: u16, rules: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    rules.iter().map(|rule| rule.trim().to_ascii_lowercase()).any(|rule| match rule.as_str() {
        "" => false,
        "*" => true,
        rule => match (address, rule.split_once('/')) {
            (Some(address), Some((net, bits))) => is_within(address, net, bits),
            _ => is_named(&host, port, rule),
        },
    })
}

fn is_named(host: &str, port: u16, rule: &str) -> bool {
    if rule.trim_matches(['[', ']']) == host {
        return true;
    }
    let rule = match rule.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => match digits.parse::<u16>() {
            Ok(only) if only == port => name,
            _ => return false,
        },
        _ => rule,
    };
    let rule = rule.trim_start_matches("*.").trim_start_matches('.').trim_matches(['[', ']']);
    host == rule || host.strip_suffix(rule).is_some_and(|front| !rule.is_empty() && front.ends_with('.'))
}

fn is_within(address: IpAddr, net: &str, bits: &str) -> bool {
    let (Ok(net), Ok(bits)) = (net.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(except: &[&str]) -> ProxySpec {
        ProxySpec::Environment {
            https: Some(Uri::from_static("http://us%40er:pa%3Ass@proxy:3128")),
            http: Some(Uri::from_static("http://plain")),
            except: except.iter().map(|&e| e.into()).collect(),
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_credentials_are_decoded() {
        let https = for_address(&environment(&[]), "api.test", 443, true).unwrap().unwrap();
        assert_eq!((&*https.host, https.port), ("proxy", 3128));
        let authorization = https.authorization.unwrap();
        assert_eq!(authorization, format!("Basic {}", STANDARD.encode("us@er:pa:ss")));
        assert!(authorization.is_sensitive());
        let http = for_address(&environment(&[]), "api.test", 80, false).unwrap().unwrap();
        assert_eq!((&*http.host, http.port, http.authorization), ("plain", 80, None));
    }

    #[test]
    fn exceptions_spare_hosts_suffixes_ports_and_blocks() {
        let cases = [
            ("api.test", 443, "api.test", true),
            ("a.api.test", 443, "api.test", true),
            ("a.api.test", 443, ".api.test", true),
            ("a.api.test", 443, "*.api.test", true),
            ("xapi.test", 443, "api.test", false),
            ("api.test", 8443, "api.test:8443", true),
            ("api.test", 443, "api.test:8443", false),
            ("API.test.", 443, "api.TEST", true),
            ("anything", 1, "*", true),
            ("10.1.2.3", 443, "10.0.0.0/8", true),
            ("11.1.2.3", 443, "10.0.0.0/8", false),
            ("10.1.2.3", 443, "10.1.2.3", true),
            ("fd00::1", 443, "fd00::/8", true),
            ("fd00::1", 443, "[fd00::1]:443", true),
            ("fd00::1", 443, "fd00::1", true),
            ("api.test", 443, "", false),
        ];
        for (host, port, rule, spared) in cases {
            let got = for_address(&environment(&[rule]), host, port, true).unwrap();
            assert_eq!(got.is_none(), spared, "{host}:{port} with {rule:?}");
        }
    }

    #[test]
    fn loopback_is_proxied_only_on_demand() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "x.localhost"] {
            assert_eq!(for_address(&environment(&[]), host, 80, false).unwrap(), None, "{host}");
            let through = ProxySpec::Through(Uri::from_static("http://p:1"));
            assert!(for_address(&through, host, 80, false).unwrap().is_some());
        }
        assert_eq!(for_address(&ProxySpec::Direct, "api.test", 80, true).unwrap(), None);
    }

    #[test]
    fn a_proxy_behind_tls_is_refused_without_showing_its_password() {
        let spec = ProxySpec::Through(Uri::from_static("https://user:secret@p:1"));
        let fault = for_address(&spec, "api.test", 80, true).unwrap_err().to_string();
        assert!(fault.contains("p:1") && !fault.contains("secret"), "{fault}");
    }
}
