//! Which TLS there is, by the features of this crate alone.

use ureq::Error;
use ureq::config::Config;

#[cfg(any(
    feature = "native-tls",
    feature = "rustls",
    feature = "rustls-no-provider"
))]
pub(crate) use some::config;

/// Whether a connection can be secured as `config` asks for it, where ureq itself would panic.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    #[cfg(any(
        feature = "native-tls",
        feature = "rustls",
        feature = "rustls-no-provider"
    ))]
    return some::check(config.tls_config());
    #[cfg(not(any(
        feature = "native-tls",
        feature = "rustls",
        feature = "rustls-no-provider"
    )))]
    {
        let _ = config;
        Err(Error::TlsRequired)
    }
}

#[cfg(any(
    feature = "native-tls",
    feature = "rustls",
    feature = "rustls-no-provider"
))]
mod some {
    use ureq::Error;
    use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

    const HAS_RUSTLS: bool = cfg!(any(feature = "rustls", feature = "rustls-no-provider"));

    /// What is used unless the program says otherwise: rustls if there is a choice, and the
    /// certificates of the operating system.
    pub(crate) fn config() -> TlsConfig {
        let provider = if HAS_RUSTLS {
            TlsProvider::Rustls
        } else {
            TlsProvider::NativeTls
        };
        TlsConfig::builder()
            .provider(provider)
            .root_certs(RootCerts::PlatformVerifier)
            .build()
    }

    pub(super) fn check(config: &TlsConfig) -> Result<(), Error> {
        match config.provider() {
            TlsProvider::Rustls if !HAS_RUSTLS => Err(Error::Tls(
                "the HTTP client is set up for rustls: enable the feature rustls of ctc-ureq, or \
                 set up TlsProvider::NativeTls",
            )),
            TlsProvider::Rustls if lacks_crypto(config) => Err(Error::Tls(
                "the feature rustls-no-provider needs a crypto provider: install one before the \
                 first call (rustls::crypto::CryptoProvider::install_default)",
            )),
            TlsProvider::Rustls
                if !cfg!(feature = "rustls")
                    && matches!(config.root_certs(), RootCerts::WebPki) =>
            {
                Err(Error::Tls(
                    "the HTTP client is set up for Mozilla's certificates: enable the feature \
                     rustls of ctc-ureq, or set up other root_certs",
                ))
            }
            TlsProvider::NativeTls if !cfg!(feature = "native-tls") => Err(Error::Tls(
                "the HTTP client is set up for native-tls: enable that feature of ctc-ureq, or set \
                 up TlsProvider::Rustls",
            )),
            _ => Ok(()),
        }
    }

    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    fn lacks_crypto(config: &TlsConfig) -> bool {
        config.unversioned_rustls_crypto_provider().is_none()
            && rustls::crypto::CryptoProvider::get_default().is_none()
    }

    #[cfg(not(all(feature = "rustls-no-provider", not(feature = "rustls"))))]
    fn lacks_crypto(_: &TlsConfig) -> bool {
        false
    }
}
