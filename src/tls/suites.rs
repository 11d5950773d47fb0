//! Cipher suites of TLS 1.2 by OpenSSL's names: the value of -o ssl_ciphers. Those of TLS 1.3 are always allowed, as in
//! memcached.

use rustls::crypto::ring::cipher_suite as known;
use rustls::{CipherSuite, SupportedCipherSuite};

/// OpenSSL's names.
const NAMES: [(&str, SupportedCipherSuite); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", known::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", known::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", known::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", known::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", known::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", known::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The cipher suites of TLS 1.2 that a server allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suites(Vec<CipherSuite>);

impl Suites {
    /// Reads a list of OpenSSL's names, separated by colons.
    ///
    /// # Errors
    /// What is no known name.
    pub fn parse(list: &str) -> Result<Self, String> {
        let find = |word: &str| {
            let known = NAMES.iter().find(|(name, _)| *name == word);
            let names = || NAMES.map(|(name, _)| name).join(", ");
            known.map(|(_, suite)| suite.suite()).ok_or_else(|| format!("{word:?} is not one of {}", names()))
        };
        list.split(':').map(find).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `suite` may be used.
    pub(super) fn allow(&self, suite: &SupportedCipherSuite) -> bool {
        suite.tls13().is_some() || self.0.contains(&suite.suite())
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Suites, known};

    #[test]
    fn openssls_names_are_known_and_keywords_are_refused_with_the_names() {
        let two = Suites::parse("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305").unwrap();
        assert!(two.allow(&known::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384));
        assert!(!two.allow(&known::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
        assert!(two.allow(&known::TLS13_AES_128_GCM_SHA256));
        for word in ["HIGH", "", "ECDHE-RSA-AES256-GCM-SHA384:!aNULL", "AES256-SHA"] {
            assert!(Suites::parse(word).unwrap_err().contains(NAMES[0].0), "{word}");
        }
    }
}
