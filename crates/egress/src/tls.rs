//! TLS trust: the public authorities and those of the operator. Verification cannot be disabled.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::error::ConfigError;

/// A client configuration that trusts the public authorities and `extra_ca_pem`; each entry is one PEM text
/// with one or more certificates.
pub(crate) fn client_config(extra_ca_pem: &[Vec<u8>]) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for (index, pem) in extra_ca_pem.iter().enumerate() {
        add_authority(&mut roots, pem).map_err(|reason| ConfigError::Certificate { number: index + 1, reason })?;
    }
    // Set here instead of using the process default, which another library might have changed.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions() // 1.2 and 1.3
        .map_err(|_| ConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add_authority(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), &'static str> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "not PEM")?;
        roots.add(certificate).map_err(|_| "not usable as a certificate authority")?;
    }
    if roots.len() == before { Err("no certificate in it") } else { Ok(()) }
}
