//! The certificate, created at each start, and the TLS settings.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::error::StartError;

/// A self-signed certificate for `localhost` and `127.0.0.1`, and its key.
pub(super) struct Identity {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    pub(super) fn make() -> Result<Self, StartError> {
        let failed = |error: rcgen::Error| StartError::Certificate(Box::new(error));
        let names = [
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "ctc-testkit");
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key,
        })
    }
}

/// Name the crypto provider here and install none: a test process may have its own.
pub(super) fn server_config(identity: &Identity, http2: bool) -> Result<ServerConfig, StartError> {
    let failed = |error: rustls::Error| StartError::Certificate(Box::new(error));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(identity.key.clone_key());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], key)
        .map_err(failed)?;
    let h2 = http2.then(|| b"h2".to_vec());
    config.alpn_protocols = h2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    Ok(config)
}
