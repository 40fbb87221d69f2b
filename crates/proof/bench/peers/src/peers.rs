//! The peers. Each obtains a token in its own way, all of them from the endpoint on loopback.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::http::Token;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use azure_core::credentials::TokenCredential;
use azure_identity::ManagedIdentityCredential;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use google_cloud_auth::credentials::{CacheableResource, Credentials, mds};
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use yup_oauth2::ServiceAccountAuthenticator;

use crate::Failure;
use crate::endpoint;

/// The requested scope, which the endpoint ignores.
const SCOPE: &str = "https://example.com/.default";

/// A token layer with a cache.
pub trait Peer: Send + Sync + Sized + 'static {
    const NAME: &str;
    /// A remark on its callers with an expired cache.
    const NOTE: &str = "";
    /// Creates it with an empty cache.
    fn new(place: &Place) -> impl Future<Output = Result<Self, Failure>>;
    /// Adds its token to a request.
    fn stamp(&self, headers: &mut HeaderMap) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The endpoint, and a key for peers that sign their requests.
pub struct Place {
    pub url: String,
    account: serde_json::Value,
}

impl Place {
    pub fn new(url: String) -> Result<Self, Failure> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key could be made")?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| "no key could be written")?;
        let account = serde_json::json!({
            "type": "service_account",
            "project_id": "bench",
            "private_key_id": "1",
            "client_id": "1",
            "client_email": "bench@example.com",
            "token_uri": format!("{url}/token"),
            "private_key": endpoint::pem(der.as_ref()),
            "auth_uri": null,
            "auth_provider_x509_cert_url": null,
            "client_x509_cert_url": null,
        });
        Ok(Self { url, account })
    }
}

fn bearer(token: &str, headers: &mut HeaderMap) -> Result<(), Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

pub struct GcpAuth(CustomServiceAccount);

impl Peer for GcpAuth {
    const NAME: &str = "gcp_auth 0.12";

    async fn new(place: &Place) -> Result<Self, Failure> {
        Ok(Self(CustomServiceAccount::from_json(
            &place.account.to_string(),
        )?))
    }

    async fn stamp(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        bearer(self.0.token(&[SCOPE]).await?.as_str(), headers)
    }
}

type YupClient = yup_oauth2::authenticator::DefaultAuthenticator;

pub struct Yup(YupClient);

impl Peer for Yup {
    const NAME: &str = "yup-oauth2 12";

    async fn new(place: &Place) -> Result<Self, Failure> {
        let key = serde_json::from_value(place.account.clone())?;
        Ok(Self(
            ServiceAccountAuthenticator::builder(key).build().await?,
        ))
    }

    async fn stamp(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let token = self.0.token(&[SCOPE]).await?;
        bearer(token.token().ok_or("no token")?, headers)
    }
}

pub struct Azure(Arc<ManagedIdentityCredential>);

impl Peer for Azure {
    const NAME: &str = "azure_identity 1";

    async fn new(_: &Place) -> Result<Self, Failure> {
        // This peer finds the endpoint in the environment.
        Ok(Self(ManagedIdentityCredential::new(None)?))
    }

    async fn stamp(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        bearer(
            self.0.get_token(&[SCOPE], None).await?.token.secret(),
            headers,
        )
    }
}

pub struct Google(Credentials);

impl Peer for Google {
    const NAME: &str = "google-cloud-auth 1";
    const NOTE: &str =
        "a task of its own renews ahead; who finds an expired token waits for its next try";

    async fn new(place: &Place) -> Result<Self, Failure> {
        Ok(Self(
            mds::Builder::default()
                .with_endpoint(place.url.clone())
                .build()?,
        ))
    }

    async fn stamp(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        match self.0.headers(Extensions::new()).await? {
            CacheableResource::New { data, .. } => headers.extend(data),
            CacheableResource::NotModified => return Err("nothing was known before".into()),
        }
        Ok(())
    }
}

pub struct Smithy {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    bag: ConfigBag,
}

struct Fetch(String);

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

impl ResolveIdentity for Fetch {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async {
            let (token, life) = endpoint::fetch(&self.0).await?;
            let ends = std::time::SystemTime::now() + life;
            Ok(Identity::new(Token::new(token, Some(ends)), Some(ends)))
        })
    }
}

impl Peer for Smithy {
    const NAME: &str = "aws-smithy-runtime 1";

    async fn new(place: &Place) -> Result<Self, Failure> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
            .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
            .build()?;
        let resolver = SharedIdentityResolver::new(Fetch(place.url.clone()));
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver,
            components,
            bag: ConfigBag::base(),
        })
    }

    async fn stamp(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let found =
            self.cache
                .resolve_cached_identity(self.resolver.clone(), &self.components, &self.bag);
        let identity = found.await?;
        bearer(identity.data::<Token>().ok_or("no token")?.token(), headers)
    }
}
