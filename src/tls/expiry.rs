//! What the server must know of its own certificate: until when it is valid, and whether a key belongs to it.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

/// Facts of a certificate.
pub(super) struct CertificateFacts {
    /// The date from which it is invalid, in Unix seconds.
    pub(super) not_after_unix_s: u64,
    /// Its public key.
    public_key: Vec<u8>,
}

impl CertificateFacts {
    /// Reads a certificate. `None`: it is no X.509 certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let read = Certificate::from_der(certificate).ok()?.tbs_certificate;
        Some(Self {
            not_after_unix_s: read.validity.not_after.to_unix_duration().as_secs(),
            public_key: read.subject_public_key_info.to_der().ok()?,
        })
    }

    /// Whether the public key is this one. An unknown one may be.
    pub(super) fn has_key(&self, public_key: Option<&SubjectPublicKeyInfoDer<'_>>) -> bool {
        public_key.is_none_or(|key| key.as_ref() == self.public_key)
    }
}
