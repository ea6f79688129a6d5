//! Servers that a plugin may reach: how they are written, and whether a request's address is one of them. Pure. Owns that a
//! host has one form, so that no other way of writing it gets past a list; names are resolved and addresses are connected to
//! elsewhere, by what is said here.

use http::Uri;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A server: how it is spoken to, its host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebHost {
    /// By `https`; else by `http`.
    pub is_tls: bool,
    /// Its host.
    pub host: HostIs,
    /// Its port.
    pub port: u16,
}

/// A host, in the one form that it has here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostIs {
    /// A name, in small letters and without a dot behind it.
    Name(String),
    /// An address; an IPv4 address is never written as an IPv6 one.
    Address(IpAddr),
}

/// The servers that one plugin may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebHosts(pub Vec<WebHost>);

impl WebHost {
    /// One as an operator writes it: `api.example.com`, `https://api.example.com:8443`, `http://127.0.0.1:9000`. Without a
    /// scheme it is `https`, without a port the scheme's.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn listed(text: &str) -> Result<Self, &'static str> {
        let (is_tls, rest) = match text.split_once("://") {
            None => (true, text),
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err("its scheme is neither `https` nor `http`"),
        };
        if rest.contains(['/', '?', '#']) {
            return Err("it has a path, and a whole host is granted");
        }
        if rest.contains('*') {
            return Err("it has a `*`, and each host is written out");
        }
        Self::of(is_tls, rest)
    }

    /// The one that an absolute address leads to.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn asked(url: &Uri) -> Result<Self, &'static str> {
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("it begins with neither `https://` nor `http://`"),
        };
        Self::of(is_tls, url.authority().ok_or("it names no host")?.as_str())
    }

    fn of(is_tls: bool, authority: &str) -> Result<Self, &'static str> {
        if authority.contains('@') {
            return Err("it has a user before its host");
        }
        let default = if is_tls { 443 } else { 80 };
        let port = |rest: &str| match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok(default),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or("its port is none")
            }
            _ => Err("its port is none"),
        };
        if let Some(rest) = authority.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or("its host is no address of IPv6")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "its host is no address of IPv6")?;
            let host = HostIs::Address(IpAddr::V6(address).to_canonical());
            return Ok(Self { is_tls, host, port: port(rest)? });
        }
        let at = authority.find(':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at(at);
        let host = match host.parse::<IpAddr>() {
            Ok(address) => HostIs::Address(address.to_canonical()),
            Err(_) => HostIs::Name(name(host)?),
        };
        Ok(Self { is_tls, host, port: port(rest)? })
    }
}

/// A name of DNS as it stands here. What a resolver might take for an address although it is not written as one is none.
fn name(host: &str) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("it names no host");
    }
    if !host.is_ascii() {
        return Err("its host has other letters than a to z: write its form with `xn--`");
    }
    if host.ends_with('.') {
        return Err("its host ends with a dot: leave that out");
    }
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err("its host is neither a name nor an address");
    }
    let last = host.rsplit('.').next().unwrap_or(host).to_ascii_lowercase();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number {
        return Err("its host is a number: write an address as four numbers with dots");
    }
    Ok(host.to_ascii_lowercase())
}

impl WebHosts {
    /// Whether it lists a server.
    #[must_use]
    pub fn lists(&self, asked: &WebHost) -> bool {
        self.0.contains(asked)
    }

    /// Of the addresses that the name of a listed server has, the one that is connected to. All must be public, by
    /// `is_public`, or be listed themselves with the same scheme and port: a name alone leads nowhere that only this
    /// machine can reach, whoever answers for it.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn chosen(
        &self,
        asked: &WebHost,
        addresses: &[IpAddr],
        is_public: impl Fn(IpAddr) -> bool,
    ) -> Result<Option<IpAddr>, IpAddr> {
        let is_meant = |address: IpAddr| {
            let host = HostIs::Address(address);
            is_public(address) || self.lists(&WebHost { host, ..*asked })
        };
        let addresses = addresses.iter().map(IpAddr::to_canonical);
        match addresses.clone().find(|address| !is_meant(*address)) {
            Some(address) => Err(address),
            None => Ok(addresses.clone().next()),
        }
    }
}

impl fmt::Display for HostIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// As an operator may write it, with its port.
impl fmt::Display for WebHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_tls, host, port } = self;
        write!(f, "{}://{host}:{port}", if *is_tls { "https" } else { "http" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> Result<WebHost, &'static str> {
        WebHost::asked(&url.parse::<Uri>().map_err(|_| "it is no address")?)
    }

    fn shown(host: Result<WebHost, &'static str>) -> String {
        host.map_or_else(str::to_owned, |host| host.to_string())
    }

    #[test]
    fn a_server_has_one_form() {
        for (text, is) in [
            ("api.example.com", "https://api.example.com:443"),
            ("API.Example.com:8443", "https://api.example.com:8443"),
            ("http://models", "http://models:80"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example:443"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("[::1]:9000", "https://[::1]:9000"),
            ("http://[0:0::0:1]", "http://[::1]:80"),
            ("http://[::ffff:10.0.0.7]:1", "http://10.0.0.7:1"),
            ("a_b.c", "https://a_b.c:443"),
        ] {
            assert_eq!(shown(WebHost::listed(text)), is);
            let host = WebHost::listed(text).unwrap();
            assert_eq!(WebHost::listed(&host.to_string()).as_ref(), Ok(&host));
            assert_eq!(asked(&format!("{host}/a?b=c")).as_ref(), Ok(&host));
        }
    }

    #[test]
    fn what_is_no_server_is_said() {
        for (text, says) in [
            ("", "names no host"),
            ("ftp://a", "scheme"),
            ("https://a/v1", "path"),
            ("*.example.com", "`*`"),
            ("user@a.example", "user"),
            ("a.example:", "port"),
            ("a.example:0", "port"),
            ("a.example:65536", "port"),
            ("a.example:+1", "port"),
            ("a.example.", "dot"),
            ("bücher.example", "xn--"),
            ("a..b", "neither"),
            ("-a.b", "neither"),
            ("a b", "neither"),
            ("a%2eb", "neither"),
            ("2130706433", "number"),
            ("0x7f000001", "number"),
            ("0177.0.0.1", "number"),
            ("127.1", "number"),
            ("127.0.0.0x1", "number"),
            ("127.0.0.1.", "dot"),
            ("::1", "names no host"),
            ("[::1", "IPv6"),
            ("[fe80::1%eth0]", "IPv6"),
            ("[127.0.0.1]", "IPv6"),
            ("[::1]9000", "port"),
        ] {
            let why = WebHost::listed(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn no_other_way_of_writing_it_gets_past_a_list() {
        let list = ["api.example.com", "http://127.0.0.1:9000"].map(|text| WebHost::listed(text).unwrap());
        let list = WebHosts(list.to_vec());
        let lists = |url: &str| asked(url).is_ok_and(|host| list.lists(&host));
        for url in [
            "https://api.example.com/",
            "https://API.EXAMPLE.COM:443/x",
            "http://127.0.0.1:9000",
            "http://[::ffff:127.0.0.1]:9000/",
            "http://[::ffff:7f00:1]:9000/",
        ] {
            assert!(lists(url), "{url}");
        }
        for url in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com@127.0.0.1/",
            "https://api.example.com:443@127.0.0.1:9000/",
            "http://api.example.com:pw@127.0.0.1:9000/",
            "https://api.example.com./",
            "https://api.example.com.evil.example/",
            "https://evil.example/?https://api.example.com/",
            "https://evil.example/#@api.example.com",
            "https://evil.example\\@api.example.com/",
            "https://api.example.com%2eevil.example/",
            "https://127.0.0.1:9000/",
            "http://127.0.0.1/",
            "http://127.1:9000/",
            "http://2130706433:9000/",
            "http://0x7f000001:9000/",
            "http://017700000001:9000/",
            "http://[::1]:9000/",
            "http://[::127.0.0.1]:9000/",
            "http://localhost:9000/",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:9000/",
            "/relative",
            "127.0.0.1:9000",
            "",
        ] {
            assert!(!lists(url), "{url}");
        }
    }

    #[test]
    fn a_name_leads_to_public_addresses_or_to_ones_that_are_listed() {
        let list = ["http://api.example.com:9000", "http://127.0.0.1:9000"].map(|text| WebHost::listed(text).unwrap());
        let list = WebHosts(list.to_vec());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let is_public = |address: IpAddr| !matches!(address, IpAddr::V4(v4) if v4.is_loopback() || v4.is_private());
        let chosen = |asked: &WebHost, all: &[&str]| {
            let all: Vec<IpAddr> = all.iter().map(|text| address(text)).collect();
            list.chosen(asked, &all, is_public)
        };
        let asked = &list.0[0];
        assert_eq!(chosen(asked, &[]), Ok(None));
        assert_eq!(chosen(asked, &["1.1.1.1", "8.8.8.8"]), Ok(Some(address("1.1.1.1"))));
        assert_eq!(chosen(asked, &["127.0.0.1"]), Ok(Some(address("127.0.0.1"))));
        assert_eq!(chosen(asked, &["::ffff:127.0.0.1"]), Ok(Some(address("127.0.0.1"))));
        // One that is not meant is enough: which of them answers is not ours to say.
        assert_eq!(chosen(asked, &["1.1.1.1", "10.0.0.1"]), Err(address("10.0.0.1")));
        assert_eq!(chosen(asked, &["::ffff:10.0.0.1"]), Err(address("10.0.0.1")));
        assert_eq!(chosen(asked, &["127.0.0.2"]), Err(address("127.0.0.2")));
        // The same address by another port or scheme was not listed.
        let other = WebHost { port: 9001, ..asked.clone() };
        assert_eq!(chosen(&other, &["127.0.0.1"]), Err(address("127.0.0.1")));
        let other = WebHost { is_tls: true, ..asked.clone() };
        assert_eq!(chosen(&other, &["127.0.0.1"]), Err(address("127.0.0.1")));
    }
}
