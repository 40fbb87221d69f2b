//! The profile file: accounts, where their sessions are saved, and where their passwords come from.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use crate::exit::Failure;
use crate::secrets::{Source, check_private};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The profile of commands that name no other.
    pub(crate) default: Option<String>,
    #[serde(default, rename = "profile")]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// `us` or `eu`.
    pub(crate) region: Option<String>,
    /// `https://host[:port]`, in place of a region.
    pub(crate) base_url: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Source>,
    pub(crate) app_key: Option<Source>,
    /// `cookie`, the default, or `oauth`.
    pub(crate) login: Option<LoginKind>,
    /// Token endpoint and client id of the OAuth login, where they are not those of the region.
    pub(crate) token_url: Option<String>,
    pub(crate) client_id: Option<String>,
    /// Scope of the OAuth login, in place of `openid`.
    pub(crate) scope: Option<String>,
    /// Whether a logout asks the token endpoint to revoke the OAuth login's token.
    pub(crate) revoke_on_logout: Option<bool>,
    /// The value of `--store`.
    pub(crate) store: Option<String>,
    /// The proxy that `get`, `call` and `exec` use.
    pub(crate) via: Option<String>,
    /// The token file of that proxy, if it asks for a token.
    pub(crate) via_token_file: Option<PathBuf>,
}

/// The two logins of CTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LoginKind {
    #[value(help = "the login with the cookie authToken, which is the default")]
    Cookie,
    #[value(name = "oauth", help = "the OAuth 2.0 password login")]
    OAuth,
}

impl Profiles {
    /// Reads the file at `path`, or at the default location, where it may be missing.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(place) = path.map(Path::to_owned).or_else(usual_place) else {
            return Ok(Self::default());
        };
        let shown = place.display();
        let mut file = match File::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::usage(format!("cannot read {shown}: {error}"))),
        };
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
        // Print the parser's `message()` only: the whole error quotes lines of the file, which may
        // contain the password of a Redis server.
        let profiles: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map(|before| format!(", line {}", before.matches('\n').count() + 1));
            Failure::usage(format!(
                "{shown}{} is not a valid profile file: {}",
                line.unwrap_or_default(),
                error.message()
            ))
        })?;
        let holds_secret = |profile: &Profile| {
            let store = profile.store.as_deref();
            store.is_some_and(|store| store.contains('@'))
        };
        if profiles.profiles.values().any(holds_secret) {
            check_private(&file, &place, "password of a Redis server")?;
        }
        Ok(profiles)
    }

    /// Returns the profile of this name.
    pub(crate) fn named(&self, name: &str) -> Result<&Profile, Failure> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            let known = match known.is_empty() {
                true => "the profile file has none".to_owned(),
                false => format!("use {}", known.join(" or ")),
            };
            Failure::usage(format!("no profile is called {name}: {known}"))
        })
    }

    /// Returns the profile of commands that name no other: the file's `default`, or its only one.
    pub(crate) fn fallback(&self) -> Result<Option<(&str, &Profile)>, Failure> {
        if let Some(name) = &self.default {
            return Ok(Some((name, self.named(name)?)));
        }
        let mut all = self.profiles.iter();
        Ok(match (all.next(), all.next()) {
            (Some((name, only)), None) => Some((name, only)),
            _ => None,
        })
    }
}

/// `$XDG_CONFIG_HOME/ctc/config.toml`, or `~/.config/ctc/config.toml`.
fn usual_place() -> Option<PathBuf> {
    // The XDG Base Directory Specification says to ignore a relative path.
    let named = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let folder = named.or_else(|| Some(env::home_dir()?.join(".config")))?;
    Some(folder.join("ctc").join("config.toml"))
}
