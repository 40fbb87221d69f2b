//! The two logins, and the settings of the OAuth login.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::uri::PathAndQuery;

use crate::endpoint::{Endpoint, EndpointError, Region};

/// The two published token endpoints and client ids (vendor's reference page).
const US_TOKEN_URL: &str = "https://accounts.calamp.com/oauth2/aus190umwbX0NIZv65d6/v1/token";
const US_CLIENT_ID: &str = "0oa63qnii6kCc10Ze5d7";
const EU_TOKEN_URL: &str = "https://accounts.calamp.co.uk/oauth2/aus9s1fokCpJoN3jB416/v1/token";
const EU_CLIENT_ID: &str = "0oa6snpq4eh3BdzxI417";

/// Which of CTC's two logins a session makes; see [`Settings::login`](crate::Settings::login) and
/// [the manual](crate::manual::oauth).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// The login of the vendor's guide: the token is the cookie `authToken` of its response.
    #[default]
    AuthToken,
    /// The login of the vendor's reference page: an OAuth 2.0 password grant, whose token is in the
    /// response's body.
    OAuth(OAuth),
}

impl Login {
    pub(crate) fn oauth(&self) -> Option<&OAuth> {
        match self {
            Self::AuthToken => None,
            Self::OAuth(oauth) => Some(oauth),
        }
    }
}

/// The OAuth login: where the token comes from, and for which client.
///
/// Username and password are sent to the token endpoint only, the application key to the API only.
///
/// ```
/// use ctc_core::{Login, OAuth, Settings};
///
/// let mut settings = Settings::default();
/// settings.login = Login::OAuth(OAuth::us().scope("openid profile"));
/// // A token endpoint of your own:
/// let custom = OAuth::new("https://login.example/oauth2/v1/token", "client-1")?;
/// # Ok::<(), ctc_core::OAuthError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth(Arc<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    issuer: Endpoint,
    token_url: Uri,
    client_id: String,
    scope: String,
    sends_app_key: bool,
    revoke_url: Option<Uri>,
}

impl OAuth {
    /// Returns the token endpoint of the US instance, with the client id that the vendor publishes
    /// for it.
    pub fn us() -> Self {
        Self::published(US_TOKEN_URL, US_CLIENT_ID)
    }

    /// Returns the token endpoint of the EU instance, with the client id that the vendor publishes
    /// for it.
    pub fn eu() -> Self {
        Self::published(EU_TOKEN_URL, EU_CLIENT_ID)
    }

    /// Creates the login for any other token endpoint or client id.
    ///
    /// # Errors
    /// Returns [`OAuthError`] if `token_url` is not an `https` URL, has a fragment or a username,
    /// or spells its host in a way that HTTP clients read differently; or if `client_id` is empty.
    pub fn new(token_url: &str, client_id: impl Into<String>) -> Result<Self, OAuthError> {
        Self::parse(token_url, client_id.into(), Endpoint::new)
    }

    /// Creates the login for a token endpoint on this machine without TLS, for tests and local
    /// servers only.
    ///
    /// The password is sent in the clear, so only loopback hosts are accepted (`localhost`,
    /// `127.0.0.0/8`, `[::1]`). The shipped clients then use no proxy, not even for calls.
    ///
    /// # Errors
    /// Returns [`OAuthError`] as [`new`](Self::new) does, and if the host of an `http` URL is not a
    /// loopback host.
    pub fn danger_plain_http(
        token_url: &str,
        client_id: impl Into<String>,
    ) -> Result<Self, OAuthError> {
        Self::parse(token_url, client_id.into(), Endpoint::danger_plain_http)
    }

    /// Sets the requested scope; separate several by spaces. Default `openid`. If empty, none is
    /// sent.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.parts().scope = scope.into();
        self
    }

    /// Sets whether calls carry the application key beside the token. Default `true`, which is
    /// **our assumption**: the vendor's page does not say whether this login needs the key.
    #[must_use]
    pub fn send_app_key(mut self, send: bool) -> Self {
        self.parts().sends_app_key = send;
        self
    }

    /// Makes a logout revoke the token on the server too: it posts the token to `revoke` beside the
    /// token endpoint (RFC 7009). By default a logout only discards the token and sends nothing.
    ///
    /// That CTC has such an endpoint, and that it revokes a token, is **our assumption**.
    #[must_use]
    pub fn revoke_on_logout(mut self) -> Self {
        let path = self.0.token_url.path();
        let folder = path.rfind('/').map_or("", |end| &path[..end]);
        let path = PathAndQuery::try_from(format!("{folder}/revoke"));
        let url = path.ok().map(|path| self.0.issuer.uri(path));
        self.parts().revoke_url = url;
        self
    }

    /// Does the same as [`revoke_on_logout`](Self::revoke_on_logout), for a revocation endpoint
    /// elsewhere on the token endpoint's origin.
    ///
    /// # Errors
    /// Returns [`OAuthError::RevokeUrl`] if `url` is neither a path from the root nor a URL on the
    /// token endpoint's origin.
    pub fn revoke_on_logout_at(mut self, url: &str) -> Result<Self, OAuthError> {
        let url = self.0.issuer.join(url).map_err(OAuthError::RevokeUrl)?;
        self.parts().revoke_url = Some(url);
        Ok(self)
    }

    /// Returns the origin of the token endpoint. Logins are sent only there.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.issuer
    }

    /// Returns the token endpoint.
    pub fn token_url(&self) -> &Uri {
        &self.0.token_url
    }

    /// Returns the client id.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    pub(crate) fn revoke_url(&self) -> Option<&Uri> {
        self.0.revoke_url.as_ref()
    }

    /// `None` if no scope is to be sent.
    pub(crate) fn scope_to_ask(&self) -> Option<&str> {
        Some(self.0.scope.as_str()).filter(|scope| !scope.is_empty())
    }

    pub(crate) fn sends_app_key(&self) -> bool {
        self.0.sends_app_key
    }

    /// Whether both belong to the same instance, or one of them to no known instance.
    pub(crate) fn may_serve(&self, api: &Endpoint) -> bool {
        let regions = self.0.issuer.region().zip(api.region());
        regions.is_none_or(|(issuer, api): (Region, Region)| issuer == api)
    }

    fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }

    fn published(token_url: &'static str, client_id: &str) -> Self {
        Self::new(token_url, client_id).expect("the published token endpoint is a URL")
    }

    fn parse(
        token_url: &str,
        client_id: String,
        endpoint: impl FnOnce(&str) -> Result<Endpoint, EndpointError>,
    ) -> Result<Self, OAuthError> {
        if client_id.is_empty() {
            return Err(OAuthError::EmptyClientId);
        }
        let not_a_url = || OAuthError::TokenUrl(EndpointError::NotAUrl);
        // `http` drops a fragment without a word.
        if token_url.contains('#') {
            return Err(OAuthError::Fragment);
        }
        let uri = Uri::try_from(token_url).map_err(|_| not_a_url())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(not_a_url());
        };
        let issuer = endpoint(&format!("{scheme}://{authority}")).map_err(OAuthError::TokenUrl)?;
        let path = uri.path_and_query().ok_or_else(not_a_url)?;
        Ok(Self(Arc::new(Parts {
            token_url: issuer.uri(path.clone()),
            issuer,
            client_id,
            scope: "openid".to_owned(),
            sends_app_key: true,
            revoke_url: None,
        })))
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the query of a token URL: it may be private.
        f.debug_struct("OAuth")
            .field("issuer", &self.0.issuer)
            .field("path", &self.0.token_url.path())
            .field("client_id", &self.0.client_id)
            .field("scope", &self.0.scope)
            .field("sends_app_key", &self.0.sends_app_key)
            .field("revokes", &self.0.revoke_url.is_some())
            .finish()
    }
}

/// Why an [`OAuth`] login was not accepted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// The token endpoint is not a URL that a password may be sent to.
    #[error(
        "the token URL is not accepted: give it as https://host/path (for a server on this \
         machine, use OAuth::danger_plain_http)"
    )]
    TokenUrl(#[source] EndpointError),
    /// The token URL has a fragment.
    #[error("the token URL has a fragment, which RFC 6749 forbids: remove it")]
    Fragment,
    /// No client id.
    #[error("the OAuth client id is empty: use the one that the vendor published for your region")]
    EmptyClientId,
    /// The revocation URL is not on the token endpoint's origin.
    #[error("the revocation URL is not accepted: give a path on the token endpoint's origin")]
    RevokeUrl(#[source] crate::JoinError),
}

crate::__readable_debug!(OAuthError);
