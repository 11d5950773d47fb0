//! Listening addresses: the value of -l.
//!
//! ```text
//! 127.0.0.1   localhost:11212   [::1]:11211   ::1   *      several: split by comma or semicolon, or repeat -l
//! ```

use std::fmt;

use super::codec::Codec;
use super::tls::ListenerTls;

/// One entry of -l. Names are resolved when the socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A host name or a numeric address, without brackets. `None` means every interface.
    pub host: Option<String>,
    /// The port. `None` means the port of -p.
    pub port: Option<u16>,
    /// Whether it uses TLS.
    pub tls: ListenerTls,
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("*");
        f.write_str(self.tls.prefix())?;
        match self.port {
            Some(port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(host),
        }
    }
}

/// An address to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name or a numeric address, without brackets. `None` means every interface, IPv4 and IPv6.
    pub host: Option<String>,
    /// The port. 0 means any free port.
    pub port: u16,
    /// Whether it uses TLS.
    pub tls: ListenerTls,
}

/// Longest tag of a listener.
const TAG_LEN_MAX: usize = 8;

/// The address in `word`, without memcached's prefixes `notls:`, `btls:` or `mtls:`, `proto[name]:` and `tag[name]:` or
/// `tag_name_:`. A tag names a listener for the proxy alone.
fn without_prefixes(word: &str) -> Result<(ListenerTls, &str), String> {
    let prefixed = ListenerTls::PREFIXES.iter().find_map(|(prefix, tls)| Some((*tls, word.strip_prefix(prefix)?)));
    let (tls, mut rest) = prefixed.unwrap_or((ListenerTls::Standard, word));
    if let Some(protocol) = rest.strip_prefix("proto[") {
        let (name, after) = protocol.split_once("]:").ok_or_else(|| format!("no ']:' in {word:?}"))?;
        if !["auto", "negotiating"].contains(&name) {
            return Err(format!("{name:?} in {word:?}: not a protocol of a single listener, use -B"));
        }
        rest = after;
    }
    for (open, close) in [("tag[", "]:"), ("tag_", "_:")] {
        let Some(tag) = rest.strip_prefix(open) else { continue };
        let (name, after) = tag.split_once(close).ok_or_else(|| format!("no {close:?} in {word:?}"))?;
        if !(1..=TAG_LEN_MAX).contains(&name.len()) {
            return Err(format!("tag {name:?} is outside 1 to {TAG_LEN_MAX} characters"));
        }
        return Ok((tls, after));
    }
    Ok((tls, rest))
}

impl Endpoint {
    /// Every interface, as -Z says.
    pub(super) const fn everywhere(port: u16) -> Self {
        Self { host: None, port, tls: ListenerTls::Standard }
    }
}

impl ListenAddress {
    /// The address to bind, with the port `port` if it has none.
    pub fn endpoint(&self, port: u16) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.port.unwrap_or(port), tls: self.tls }
    }

    /// The address in `word`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(word: &str) -> Result<Self, String> {
        let (tls, word) = without_prefixes(word)?;
        let (host, port) = match word.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| format!("no ']' in {word:?}"))?;
                let port = after.strip_prefix(':').or(after.is_empty().then_some(""));
                (host, port.ok_or_else(|| format!("{after:?} after ']' in {word:?}"))?)
            }
            // More than one colon without brackets: a bare IPv6 address.
            None if word.matches(':').count() > 1 => (word, ""),
            None => word.split_once(':').unwrap_or((word, "")),
        };
        let port = match port {
            "" => None,
            digits => Some(digits.parse().map_err(|_| format!("port {digits:?} is outside 0 to 65535"))?),
        };
        let host = match host {
            "" | "*" => None,
            host => Some(host.to_string()),
        };
        Ok(Self { host, port, tls })
    }
}

/// Codec of -l. Each occurrence of the option adds addresses.
pub(super) struct Addresses;

/// Limit on listeners. Each takes a descriptor that a client cannot use.
const LISTENERS_MAX: usize = 64;

impl Codec<Vec<ListenAddress>> for Addresses {
    fn read(&self, text: &str, value: &mut Vec<ListenAddress>) -> Result<(), String> {
        let words = || text.split([',', ';']).map(str::trim).filter(|word| !word.is_empty());
        if words().next().is_none() {
            return Err("needs an address".into());
        }
        for word in words() {
            let address = ListenAddress::parse(word)?;
            if !value.contains(&address) {
                value.push(address);
            }
        }
        if value.len() > LISTENERS_MAX {
            return Err(format!("{} addresses, at most {LISTENERS_MAX}", value.len()));
        }
        Ok(())
    }

    fn show(&self, value: &Vec<ListenAddress>) -> String {
        if value.is_empty() {
            return "NULL".into();
        }
        value.iter().map(ListenAddress::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Codec of --http: as -l, prefixes included, but each address has a port, and one without a host is the loopback
/// address.
pub(super) struct HttpAddresses;

impl Codec<Vec<ListenAddress>> for HttpAddresses {
    fn read(&self, text: &str, value: &mut Vec<ListenAddress>) -> Result<(), String> {
        let before = value.len();
        Addresses.read(&text.split(',').map(with_host).collect::<Vec<_>>().join(","), value)?;
        match value[before..].iter().find(|address| address.port.is_none()) {
            Some(address) => Err(format!("\"{address}\" has no port")),
            None => Ok(()),
        }
    }

    fn show(&self, value: &Vec<ListenAddress>) -> String {
        Addresses.show(value)
    }
}

/// The address in `word`. A port alone gets a host.
fn with_host(word: &str) -> String {
    let word = word.trim();
    let prefix =
        ListenerTls::PREFIXES.iter().find(|(prefix, _)| word.starts_with(prefix)).map_or("", |(prefix, _)| prefix);
    let address = &word[prefix.len()..];
    let port = address.strip_prefix(':').unwrap_or(address);
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { format!("{prefix}127.0.0.1:{port}") } else { word.into() }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, Codec as _, HttpAddresses, ListenAddress};

    fn one(word: &str) -> Result<(Option<String>, Option<u16>), String> {
        ListenAddress::parse(word).map(|address| (address.host, address.port))
    }

    #[test]
    fn every_form_of_an_address_is_understood() {
        assert_eq!(one("127.0.0.1"), Ok((Some("127.0.0.1".into()), None)));
        assert_eq!(one("localhost:11212"), Ok((Some("localhost".into()), Some(11212))));
        assert_eq!(one("[::1]:0"), Ok((Some("::1".into()), Some(0))));
        assert_eq!(one("[::1]"), Ok((Some("::1".into()), None)));
        assert_eq!(one("fe80::1"), Ok((Some("fe80::1".into()), None)));
        assert_eq!(one("*:99"), Ok((None, Some(99))));
        assert_eq!(one("notls:10.0.0.1:5"), Ok((Some("10.0.0.1".into()), Some(5))));
        assert_eq!(one("tag[tools]:10.0.0.1:5"), Ok((Some("10.0.0.1".into()), Some(5))));
        assert_eq!(one("notls:proto[auto]:tag_tools_:[::1]:5"), Ok((Some("::1".into()), Some(5))));
    }

    #[test]
    fn broken_addresses_are_refused_with_the_fault() {
        assert_eq!(one("h:65536"), Err("port \"65536\" is outside 0 to 65535".into()));
        assert!(one("[::1").is_err());
        assert!(one("[::1]x").is_err());
        for word in ["proto[ascii]:h", "proto[auto", "tag[]:h", "tag[123456789]:h", "tag_a:h"] {
            assert!(one(word).is_err(), "{word}");
        }
        for nothing in ["", ",", " ; "] {
            assert_eq!(Addresses.read(nothing, &mut Vec::new()), Err("needs an address".into()));
        }
    }

    #[test]
    fn an_address_for_http_is_the_loopback_unless_it_has_a_host() {
        let mut all = Vec::new();
        HttpAddresses.read("80,:81, [::1]:82,*:83", &mut all).unwrap();
        HttpAddresses.read("h:84", &mut all).unwrap();
        assert_eq!(HttpAddresses.show(&all), "127.0.0.1:80,127.0.0.1:81,[::1]:82,*:83,h:84");
        assert_eq!(HttpAddresses.read("10.0.0.1", &mut all), Err("\"10.0.0.1\" has no port".into()));
        let mut prefixed = Vec::new();
        HttpAddresses.read("notls:80,mtls::81,btls:h:82,mtls:*:83", &mut prefixed).unwrap();
        let shown = HttpAddresses.show(&prefixed);
        assert_eq!(shown, "notls:127.0.0.1:80,mtls:127.0.0.1:81,btls:h:82,mtls:*:83");
        for bad in ["", "65536", "notls", "*", "mtls:", "notls:h"] {
            assert!(HttpAddresses.read(bad, &mut Vec::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_grows_with_every_mention_and_is_shown_as_typed() {
        let mut all = Vec::new();
        Addresses.read("127.0.0.1, [::1]:5", &mut all).unwrap();
        Addresses.read("localhost", &mut all).unwrap();
        Addresses.read("127.0.0.1,,localhost;", &mut all).unwrap();
        Addresses.read("mtls:10.0.0.1:5,notls:tag_a_:h", &mut all).unwrap();
        assert_eq!(Addresses.show(&all), "127.0.0.1,[::1]:5,localhost,mtls:10.0.0.1:5,notls:h");
    }
}
