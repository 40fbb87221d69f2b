//! The layers of an account's settings: the command line, a profile, the environment.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use ctc_driver::ConfigError;
use ctc_driver::ctc_core::{Endpoint, EndpointError, Login, OAuth};

use crate::exit::{Exit, Failure};
use crate::profile::{LoginKind, Profile};
use crate::secrets::Source;
use crate::via::Via;

/// The settings of an account from one place: the command line, a profile or the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    /// The name of the profile, if this layer is one.
    pub(crate) profile: Option<String>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Source>,
    pub(crate) app_key: Option<Source>,
    pub(crate) login: LoginLayer,
    pub(crate) store: Option<String>,
    pub(crate) via: Option<Via>,
}

/// The settings of the login from one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginLayer {
    pub(crate) kind: Option<LoginKind>,
    pub(crate) token_url: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) revoke_on_logout: bool,
}

impl Layer {
    pub(crate) fn of_profile(name: &str, profile: &Profile) -> Result<Self, Failure> {
        let (region, url) = (profile.region.as_deref(), profile.base_url.as_deref());
        Ok(Self {
            profile: Some(name.to_owned()),
            endpoint: endpoint(region, url, ["region", "base_url"])?,
            user: profile.user.clone(),
            password: profile.password.clone(),
            app_key: profile.app_key.clone(),
            login: LoginLayer {
                kind: profile.login,
                token_url: profile.token_url.clone(),
                client_id: profile.client_id.clone(),
                scope: profile.scope.clone(),
                revoke_on_logout: profile.revoke_on_logout.unwrap_or_default(),
            },
            store: profile.store.clone(),
            via: profile.via.clone().map(|url| Via {
                url,
                token: profile.via_token_file.clone(),
            }),
        })
    }

    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let (region, url) = (text("CTC_REGION")?, text("CTC_BASE_URL")?);
        let names = ["CTC_REGION", "CTC_BASE_URL"];
        let kind = text("CTC_LOGIN")?.map(|kind| {
            let known = LoginKind::from_str(&kind, true);
            known.map_err(|_| Failure::from(ConfigError::Login))
        });
        let (via, via_token) = (text("CTC_PROXY_URL")?, text("CTC_PROXY_TOKEN_FILE")?);
        Ok(Self {
            profile: None,
            endpoint: endpoint(region.as_deref(), url.as_deref(), names)?,
            user: text("CTC_USERNAME")?,
            password: secret("CTC_PASSWORD", "CTC_PASSWORD_FILE")?,
            app_key: secret("CTC_APP_KEY", "CTC_APP_KEY_FILE")?,
            login: LoginLayer {
                kind: kind.transpose()?,
                token_url: text("CTC_TOKEN_URL")?,
                client_id: text("CTC_CLIENT_ID")?,
                scope: text("CTC_SCOPE")?,
                revoke_on_logout: false,
            },
            store: text("CTC_STORE")?,
            via: via.map(|url| Via {
                url,
                token: via_token.map(PathBuf::from),
            }),
        })
    }
}

/// Returns the value of a variable that is set and not empty.
pub(crate) fn text(name: &'static str) -> Result<Option<String>, Failure> {
    match env::var_os(name).map(OsString::into_string) {
        Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(ConfigError::NotText { name }.into()),
        None => Ok(None),
    }
}

pub(crate) fn secret(
    variable: &'static str,
    file: &'static str,
) -> Result<Option<Source>, Failure> {
    match (text(variable)?, text(file)?) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{variable} and {file} are both set: remove one of them"
        ))),
        (Some(_), None) => Ok(Some(Source::Env(variable.to_owned()))),
        (None, Some(path)) => Ok(Some(Source::File(path.into()))),
        (None, None) => Ok(None),
    }
}

pub(crate) fn endpoint(
    region: Option<&str>,
    url: Option<&str>,
    [region_name, url_name]: [&str; 2],
) -> Result<Option<Endpoint>, Failure> {
    match (region.map(str::to_ascii_lowercase).as_deref(), url) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{region_name} and {url_name} are both set: remove one of them"
        ))),
        (Some("us"), None) => Ok(Some(Endpoint::us())),
        (Some("eu"), None) => Ok(Some(Endpoint::eu())),
        (Some(_), None) => Err(Failure::usage(format!(
            "{region_name} must be us or eu (for any other host set {url_name} instead)"
        ))),
        // Plain http is for test servers on this machine; the endpoint accepts no other host.
        (None, Some(url)) => match Endpoint::new(url).or_else(|error| match error {
            EndpointError::PlainHttp => Endpoint::danger_plain_http(url),
            error => Err(error),
        }) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(error) => {
                let error = Failure::of(Exit::Usage, &error);
                Err(Failure::usage(format!("{url_name}: {}", error.message)))
            }
        },
        (None, None) => Ok(None),
    }
}

/// Returns the login that the layers set; the first layer takes precedence.
pub(crate) fn login(layers: &[Layer], endpoint: &Endpoint) -> Result<Login, Failure> {
    let find = |part: fn(&LoginLayer) -> &Option<String>| {
        layers.iter().find_map(|layer| part(&layer.login).clone())
    };
    let (token_url, client_id) = (
        find(|login| &login.token_url),
        find(|login| &login.client_id),
    );
    let scope = find(|login| &login.scope);
    let kind = layers.iter().find_map(|layer| layer.login.kind);
    let for_oauth = token_url.is_some() || client_id.is_some() || scope.is_some();
    match kind {
        Some(LoginKind::OAuth) => {}
        None if for_oauth => {
            return Err(Failure::usage(
                "token URL, client id and scope are for the OAuth login: set the login to oauth as \
                 well (or to cookie, and they are ignored)",
            ));
        }
        Some(LoginKind::Cookie) | None => return Ok(Login::AuthToken),
    }
    let oauth = match (token_url, client_id) {
        (Some(url), Some(id)) => {
            let custom = if url.starts_with("http://") {
                OAuth::danger_plain_http(&url, id)
            } else {
                OAuth::new(&url, id)
            };
            custom.map_err(|error| Failure::of(Exit::Usage, &error))?
        }
        (None, None) if *endpoint == Endpoint::us() => OAuth::us(),
        (None, None) if *endpoint == Endpoint::eu() => OAuth::eu(),
        _ => {
            return Err(Failure::usage(
                "no token endpoint: set both token_url and client_id in the profile, or \
                 CTC_TOKEN_URL and CTC_CLIENT_ID",
            ));
        }
    };
    let oauth = match scope {
        Some(scope) => oauth.scope(scope),
        None => oauth,
    };
    let revokes = layers.iter().any(|layer| layer.login.revoke_on_logout);
    Ok(Login::OAuth(if revokes {
        oauth.revoke_on_logout()
    } else {
        oauth
    }))
}
