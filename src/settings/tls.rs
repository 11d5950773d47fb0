//! The values of TLS settings.

use super::codec::{Codec, outside};
use super::quantity::whole;

/// Whether a listener uses TLS, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerTls {
    /// As -Z and -o ssl_verify_mode say: no prefix.
    #[default]
    Standard,
    /// It does not: `notls:`.
    Off,
    /// It asks for no client certificate: `btls:`.
    Basic,
    /// It demands a client certificate: `mtls:`.
    Mutual,
}

impl ListenerTls {
    /// memcached's prefixes in -l.
    pub(super) const PREFIXES: [(&'static str, Self); 3] =
        [("notls:", Self::Off), ("btls:", Self::Basic), ("mtls:", Self::Mutual)];

    /// Its prefix.
    pub(super) fn prefix(self) -> &'static str {
        Self::PREFIXES.iter().find(|(_, tls)| *tls == self).map_or("", |(prefix, _)| prefix)
    }
}

/// TLS versions by memcached's numbers.
pub(super) struct TlsVersion;

impl Codec<u32> for TlsVersion {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        let mut version = 0;
        whole(0..=3).read(text, &mut version)?;
        if version < 2 {
            return Err(format!("TLS 1.{version} is not supported; 2 (TLS 1.2) or 3 (TLS 1.3)"));
        }
        *value = version;
        Ok(())
    }

    fn show(&self, value: &u32) -> String {
        format!("tlsv1.{value}")
    }

    fn limits(&self) -> String {
        "2 to 3".into()
    }
}

/// Formats of a private key, by OpenSSL's numbers or memcached's names.
pub(super) struct KeyFormatNumber;

impl Codec<u32> for KeyFormatNumber {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        *value = match text.to_ascii_uppercase().as_str() {
            "1" | "PEM" => 1,
            "2" | "DER" => 2,
            "3" | "ENGINE" => return Err("ENGINE is not supported; 1 (PEM) or 2 (DER)".into()),
            _ => return Err(outside(text, &self.limits())),
        };
        Ok(())
    }

    fn show(&self, value: &u32) -> String {
        value.to_string()
    }

    fn limits(&self) -> String {
        "1 to 2".into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec as _, KeyFormatNumber, TlsVersion};

    #[test]
    fn what_rustls_cannot_do_is_refused_with_what_it_can() {
        let (mut version, mut format) = (2, 1);
        assert_eq!(TlsVersion.read("3", &mut version), Ok(()));
        assert_eq!(TlsVersion.show(&version), "tlsv1.3");
        assert!(TlsVersion.read("1", &mut version).unwrap_err().contains("TLS 1.1 is not supported"));
        assert!(TlsVersion.read("4", &mut version).is_err());
        for (text, number) in [("1", 1), ("2", 2), ("pem", 1), ("DER", 2)] {
            assert_eq!(KeyFormatNumber.read(text, &mut format), Ok(()));
            assert_eq!(format, number);
        }
        assert!(KeyFormatNumber.read("3", &mut format).unwrap_err().contains("ENGINE"));
        assert!(KeyFormatNumber.read("x", &mut format).is_err());
    }
}
