//! The options that choose an account and say how its session is used.
#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    rustdoc::broken_intra_doc_links,
    reason = "help texts: a terminal shows no markup"
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ctc_driver::CallOptions;

use crate::account::Account;
use crate::exit::Failure;
use crate::layers::{self, Layer, LoginLayer, endpoint};
use crate::profile::{LoginKind, Profiles};
use crate::secrets::Source;
use crate::store::{Store, holds_password};
use crate::via::Via;

/// Options of every command. None takes a secret.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Account and session")]
pub(crate) struct SessionOptions {
    /// Name of the profile
    #[arg(long, global = true, value_name = "NAME", env = "CTC_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Profile file, instead of ~/.config/ctc/config.toml
    #[arg(long, global = true, value_name = "FILE", env = "CTC_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Instance that has the account [env: CTC_REGION]
    #[arg(long, global = true)]
    pub(crate) region: Option<Region>,
    /// Another instance, as https://host[:port] [env: CTC_BASE_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "region")]
    pub(crate) base_url: Option<String>,
    /// Username [env: CTC_USERNAME]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// File with the password, which only its owner may read [env: CTC_PASSWORD_FILE]
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
    /// File with the application key, which only its owner may read [env: CTC_APP_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) app_key_file: Option<PathBuf>,
    /// Login of the account [env: CTC_LOGIN]
    #[arg(long, global = true, value_name = "LOGIN")]
    pub(crate) login: Option<LoginKind>,
    /// Where the session is saved: file, file:FOLDER or redis://host[:port][/db] [env: CTC_STORE]
    #[arg(long, global = true, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// How long to wait while no login may be made, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// Options of commands that can use a running proxy for login and token.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ViaOptions {
    /// Never log in: use the session in the store, or exit with code 5
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
    /// Returns whether a login may be made.
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
    /// Never: only the session in the store is used.
    Never,
}

/// The two instances that have a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Region {
    #[value(help = "https://connect.calamp.com")]
    Us,
    #[value(help = "https://connect.calamp.co.uk")]
    Eu,
}

impl SessionOptions {
    /// Builds the account from, in this order: the command line, the profile that it names, the
    /// environment, the default profile.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if a value is invalid or there is no endpoint.
    pub(crate) fn account(&self) -> Result<Account, Failure> {
        let layers = self.layers()?;
        let named = layers.iter().find(|layer| layer.user.is_some());
        let user = named.and_then(|layer| layer.user.clone());
        // Use a password only with the username from the same layer: the server would reject one
        // account's username with another's password, and rejections can lock the account.
        let fits = |layer: &&Layer| {
            layer.password.is_some() && (layer.user.is_none() || layer.user == user)
        };
        let password = layers.iter().find(fits);
        let endpoint = layers.iter().find_map(|layer| layer.endpoint.clone());
        let endpoint = endpoint.ok_or_else(|| {
            Failure::usage(
                "no CTC instance: give --region us or eu, or set it in the profile or CTC_REGION \
                 (for any other host --base-url or CTC_BASE_URL)",
            )
        })?;
        let store = layers.iter().find_map(|layer| layer.store.as_deref());
        Ok(Account {
            login: layers::login(&layers, &endpoint)?,
            endpoint,
            profile: named.and_then(|layer| layer.profile.clone()),
            user,
            password: password.and_then(|layer| layer.password.clone()),
            app_key: layers.iter().find_map(|layer| layer.app_key.clone()),
            store: Store::parse(store.unwrap_or("file"))?,
            options: self.call_options(),
        })
    }

    /// Returns only the store, for commands that are not about one account.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        let layers = self.layers()?;
        let store = layers.iter().find_map(|layer| layer.store.as_deref());
        Store::parse(store.unwrap_or("file"))
    }

    /// Returns only the proxy: calls through it need no account.
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

    /// Returns the accounts of the command line and of all profiles that have the settings for one.
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

    /// Returns the layers, in order of precedence.
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
                "--store contains a password, which every user of this machine can read there: put \
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
            login: LoginLayer {
                kind: self.login,
                ..LoginLayer::default()
            },
            store: self.store.clone(),
            via: None,
        })
    }
}
