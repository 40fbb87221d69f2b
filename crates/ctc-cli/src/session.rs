//! Which account, and what its session is built of: command line, profile and environment.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ctc_driver::ctc_core::{
    AppKey, Credentials, Endpoint, EndpointError, RecordKey, Session, Settings,
};
use ctc_driver::{CallOptions, ConfigError, SessionConfig, SharedSession};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::profile::{Profile, Profiles};
use crate::secrets::{Source, prompt};
use crate::store::{Store, holds_password};
use crate::via::Via;

/// Options of every command. None takes a secret.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Account and session")]
pub(crate) struct SessionOptions {
    /// Profile of the profile file
    #[arg(long, global = true, value_name = "NAME", env = "CTC_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Profile file, in place of ~/.config/ctc/config.toml
    #[arg(long, global = true, value_name = "FILE", env = "CTC_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Instance that the account lives in [env: CTC_REGION]
    #[arg(long, global = true)]
    pub(crate) region: Option<Region>,
    /// Another instance, as https://host[:port] [env: CTC_BASE_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "region")]
    pub(crate) base_url: Option<String>,
    /// User name [env: CTC_USERNAME]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// File with the password, which its owner alone may read [env: CTC_PASSWORD_FILE]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "password_stdin"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long, global = true)]
    pub(crate) password_stdin: bool,
    /// File with the application key, which its owner alone may read [env: CTC_APP_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) app_key_file: Option<PathBuf>,
    /// Where the session lives: file, file:FOLDER or redis://host[:port][/db] [env: CTC_STORE]
    #[arg(long, global = true, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// How long to wait for a login that is held back, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// Options of commands that can leave login and token to a running proxy.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ViaOptions {
    /// Never log in: use the session that the store has, or end with code 5
    #[arg(long, conflicts_with = "via")]
    pub(crate) no_login: bool,
    /// Use a running `ctc proxy`: http://127.0.0.1:PORT or unix:PATH [env: CTC_PROXY_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) via: Option<String>,
    /// Token file of that proxy, if it asks for one [env: CTC_PROXY_TOKEN_FILE]
    #[arg(long, value_name = "FILE", requires = "via")]
    pub(crate) via_token_file: Option<PathBuf>,
}

impl ViaOptions {
    /// Whether a session in the store is needed, or may be made.
    pub(crate) fn login(&self) -> LoginPolicy {
        match self.no_login {
            true => LoginPolicy::Never,
            false => LoginPolicy::IfNeeded,
        }
    }
}

/// Whether a login may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginPolicy {
    /// If the store has no session.
    IfNeeded,
    /// Never: the session of the store, or none.
    Never,
}

/// The two instances that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Region {
    #[value(help = "https://connect.calamp.com")]
    Us,
    #[value(help = "https://connect.calamp.co.uk")]
    Eu,
}

/// Which account it is, and what its session is built of. No secret is read yet.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) endpoint: Endpoint,
    /// The profile that it comes from, if it does.
    pub(crate) profile: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Source>,
    pub(crate) app_key: Option<Source>,
    pub(crate) store: Store,
    pub(crate) options: CallOptions,
}

/// A session and its store, for a driver of any kind.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) session: SharedSession,
    pub(crate) store: Store,
}

/// What one place says about an account: the command line, a profile or the environment.
#[derive(Clone, Debug, Default)]
struct Layer {
    /// The name of the profile that this is.
    profile: Option<String>,
    endpoint: Option<Endpoint>,
    user: Option<String>,
    password: Option<Source>,
    app_key: Option<Source>,
    store: Option<String>,
    via: Option<Via>,
}

impl SessionOptions {
    /// Puts together what the command line says, then the profile that it names, then the
    /// environment, then the default profile.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if something is of no use, or no endpoint is named.
    pub(crate) fn account(&self) -> Result<Account, Failure> {
        let layers = self.layers()?;
        let named = layers.iter().find(|layer| layer.user.is_some());
        let user = named.and_then(|layer| layer.user.clone());
        // A password goes with the user name beside it: one account's name with another's password
        // would be rejected by the server, and such rejections lock accounts.
        let fits = |layer: &&Layer| {
            layer.password.is_some() && (layer.user.is_none() || layer.user == user)
        };
        let password = layers.iter().find(fits);
        let endpoint = layers.iter().find_map(|layer| layer.endpoint.clone());
        let store = layers.iter().find_map(|layer| layer.store.as_deref());
        Ok(Account {
            endpoint: endpoint.ok_or_else(|| {
                Failure::usage(
                    "no CTC instance: give --region us or eu, or set it in the profile or \
                     CTC_REGION (for any other host --base-url or CTC_BASE_URL)",
                )
            })?,
            profile: named.and_then(|layer| layer.profile.clone()),
            user,
            password: password.and_then(|layer| layer.password.clone()),
            app_key: layers.iter().find_map(|layer| layer.app_key.clone()),
            store: Store::parse(store.unwrap_or("file"))?,
            options: self.call_options(),
        })
    }

    /// The store alone, for commands that are about no account in particular.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        let layers = self.layers()?;
        let store = layers.iter().find_map(|layer| layer.store.as_deref());
        Store::parse(store.unwrap_or("file"))
    }

    /// The proxy alone: calls by way of it need no account.
    pub(crate) fn via(&self, options: &ViaOptions) -> Result<Option<Via>, Failure> {
        if options.no_login {
            return Ok(None);
        }
        if let Some(url) = &options.via {
            return Ok(Some(Via {
                url: url.clone(),
                token: options.via_token_file.clone(),
            }));
        }
        let layers = self.layers()?;
        Ok(layers.iter().find_map(|layer| layer.via.clone()))
    }

    pub(crate) fn call_options(&self) -> CallOptions {
        CallOptions::new().max_wait(Duration::from_secs(self.wait))
    }

    /// The account of the command line, and those of all profiles, as far as they are set up.
    pub(crate) fn every_account(&self) -> Vec<Account> {
        let mut accounts: Vec<_> = self.account().into_iter().collect();
        let profiles = Profiles::read(self.config.as_deref()).unwrap_or_default();
        for name in profiles.profiles.into_keys() {
            let options = Self {
                profile: Some(name),
                config: self.config.clone(),
                ..Self::default()
            };
            accounts.extend(options.account());
        }
        accounts
    }

    /// From the one that counts most to the one that counts least.
    fn layers(&self) -> Result<Vec<Layer>, Failure> {
        let profiles = Profiles::read(self.config.as_deref())?;
        let mut layers = vec![self.layer()?];
        match &self.profile {
            Some(name) => {
                layers.push(Layer::of_profile(name, profiles.named(name)?)?);
                layers.push(Layer::of_environment()?);
            }
            None => {
                layers.push(Layer::of_environment()?);
                if let Some((name, profile)) = profiles.fallback()? {
                    layers.push(Layer::of_profile(name, profile)?);
                }
            }
        }
        Ok(layers)
    }

    fn layer(&self) -> Result<Layer, Failure> {
        if self.store.as_deref().is_some_and(holds_password) {
            return Err(Failure::usage(
                "--store holds a password, which every user of this machine can read there: put \
                 it into CTC_STORE or a profile",
            ));
        }
        let region = self.region.map(|region| match region {
            Region::Us => "us",
            Region::Eu => "eu",
        });
        let password = match (&self.password_file, self.password_stdin) {
            (Some(path), _) => Some(Source::File(path.clone())),
            (None, true) => Some(Source::Stdin),
            (None, false) => None,
        };
        Ok(Layer {
            profile: None,
            endpoint: endpoint(region, self.base_url.as_deref(), ["--region", "--base-url"])?,
            user: self.user.clone(),
            password,
            app_key: self.app_key_file.clone().map(Source::File),
            store: self.store.clone(),
            via: None,
        })
    }
}

impl Layer {
    fn of_profile(name: &str, profile: &Profile) -> Result<Self, Failure> {
        let (region, url) = (profile.region.as_deref(), profile.base_url.as_deref());
        Ok(Self {
            profile: Some(name.to_owned()),
            endpoint: endpoint(region, url, ["region", "base_url"])?,
            user: profile.user.clone(),
            password: profile.password.clone(),
            app_key: profile.app_key.clone(),
            store: profile.store.clone(),
            via: profile.via.clone().map(|url| Via {
                url,
                token: profile.via_token_file.clone(),
            }),
        })
    }

    fn of_environment() -> Result<Self, Failure> {
        let (region, url) = (text("CTC_REGION")?, text("CTC_BASE_URL")?);
        let names = ["CTC_REGION", "CTC_BASE_URL"];
        let (via, via_token) = (text("CTC_PROXY_URL")?, text("CTC_PROXY_TOKEN_FILE")?);
        Ok(Self {
            profile: None,
            endpoint: endpoint(region.as_deref(), url.as_deref(), names)?,
            user: text("CTC_USERNAME")?,
            password: secret("CTC_PASSWORD", "CTC_PASSWORD_FILE")?,
            app_key: secret("CTC_APP_KEY", "CTC_APP_KEY_FILE")?,
            store: text("CTC_STORE")?,
            via: via.map(|url| Via {
                url,
                token: via_token.map(PathBuf::from),
            }),
        })
    }
}

/// A variable that is set and not empty.
fn text(name: &'static str) -> Result<Option<String>, Failure> {
    match env::var_os(name).map(std::ffi::OsString::into_string) {
        Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(ConfigError::NotText { name }.into()),
        None => Ok(None),
    }
}

fn secret(variable: &'static str, file: &'static str) -> Result<Option<Source>, Failure> {
    match (text(variable)?, text(file)?) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{variable} and {file} are both set: keep the one you mean"
        ))),
        (Some(_), None) => Ok(Some(Source::Env(variable.to_owned()))),
        (None, Some(path)) => Ok(Some(Source::File(path.into()))),
        (None, None) => Ok(None),
    }
}

fn endpoint(
    region: Option<&str>,
    url: Option<&str>,
    [region_name, url_name]: [&str; 2],
) -> Result<Option<Endpoint>, Failure> {
    match (region.map(str::to_ascii_lowercase).as_deref(), url) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{region_name} and {url_name} are both set: keep the one you mean"
        ))),
        (Some("us"), None) => Ok(Some(Endpoint::us())),
        (Some("eu"), None) => Ok(Some(Endpoint::eu())),
        (Some(_), None) => Err(Failure::usage(format!(
            "{region_name} must be us or eu (for any other host set {url_name} instead)"
        ))),
        // Plain http is for a server for tests on this machine; the endpoint refuses any other.
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

impl Account {
    /// The session and its store. Reads the application key and the password, and asks for the
    /// password on a terminal if it comes from nowhere.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or of no use.
    pub(crate) fn build(&self) -> Result<Parts, Failure> {
        let user = self.user()?;
        let key = self.app_key()?;
        let password = match &self.password {
            Some(source) => source.read("password")?,
            None => prompt(user, self.endpoint.origin())?,
        };
        let config = SessionConfig::new()
            .endpoint(self.endpoint.clone())
            .app_key(key.as_str())
            .credentials(user, password.as_str());
        Ok(Parts {
            session: config.build()?,
            store: self.store.clone(),
        })
    }

    /// What the record of this account is filed under. That takes user name and application key,
    /// and no password.
    ///
    /// # Errors
    /// Returns [`Failure`] if one of them is missing.
    pub(crate) fn record_key(&self) -> Result<RecordKey, Failure> {
        let usage = |error: &(dyn std::error::Error + 'static)| Failure::of(Exit::Usage, error);
        let key = self.app_key()?;
        let key = AppKey::new(key.as_str()).map_err(|error| usage(&error))?;
        let anybody = Credentials::new(self.user()?, "not a password");
        let anybody = anybody.map_err(|error| usage(&error))?;
        let session = Session::new(self.endpoint.clone(), key, anybody, Settings::default());
        Ok(session.map_err(|error| usage(&error))?.record_key())
    }

    /// The user name.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if there is none.
    pub(crate) fn user(&self) -> Result<&str, Failure> {
        self.user.as_deref().ok_or_else(|| {
            Failure::usage("no user name: give --user, or set it in the profile or CTC_USERNAME")
        })
    }

    /// The application key.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if there is none.
    pub(crate) fn app_key(&self) -> Result<Zeroizing<String>, Failure> {
        let source = self.app_key.as_ref().ok_or_else(|| {
            Failure::usage(
                "no application key: give --app-key-file, or set it in the profile or CTC_APP_KEY",
            )
        })?;
        source.read("application key")
    }
}
