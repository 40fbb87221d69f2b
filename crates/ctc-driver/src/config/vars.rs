//! The environment's description of a session.

use std::ffi::OsString;

use ctc_core::{Endpoint, Login, OAuth};

use super::ConfigError;

/// Variables of the environment, and those that were missed.
pub(super) struct Vars<F> {
    var: F,
    pub(super) missing: Vec<&'static str>,
}

impl<F: Fn(&'static str) -> Option<OsString>> Vars<F> {
    pub(super) fn new(var: F) -> Self {
        let missing = Vec::new();
        Self { var, missing }
    }

    fn is_set(&self, name: &'static str) -> bool {
        (self.var)(name).is_some_and(|value| !value.is_empty())
    }

    /// Empty if it is missing, which is noted.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, ConfigError> {
        match (self.var)(name).map(OsString::into_string) {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            Some(Err(_)) => Err(ConfigError::NotText { name }),
            _ => {
                self.missing.push(name);
                Ok(String::new())
            }
        }
    }

    pub(super) fn endpoint(&mut self) -> Result<Option<Endpoint>, ConfigError> {
        match (self.is_set("CTC_REGION"), self.is_set("CTC_BASE_URL")) {
            (true, true) => Err(ConfigError::RegionAndUrl),
            (true, false) => match self.text("CTC_REGION")?.to_ascii_lowercase().as_str() {
                "us" => Ok(Some(Endpoint::us())),
                "eu" => Ok(Some(Endpoint::eu())),
                _ => Err(ConfigError::Region),
            },
            (false, true) => {
                let url = self.text("CTC_BASE_URL")?;
                // A test server on this machine needs no TLS.
                let endpoint = Endpoint::danger_plain_http(&url).or_else(|_| Endpoint::new(&url));
                endpoint.map(Some).map_err(ConfigError::BaseUrlVariable)
            }
            (false, false) => {
                self.missing.push("CTC_REGION (us or eu; or CTC_BASE_URL)");
                Ok(None)
            }
        }
    }

    /// `None` if a variable is missing for it.
    pub(super) fn login(
        &mut self,
        endpoint: Option<&Endpoint>,
    ) -> Result<Option<Login>, ConfigError> {
        const OAUTH_ONLY: [&str; 3] = ["CTC_TOKEN_URL", "CTC_CLIENT_ID", "CTC_SCOPE"];
        if !self.is_set("CTC_LOGIN") {
            return match OAUTH_ONLY.into_iter().find(|name| self.is_set(name)) {
                Some(name) => Err(ConfigError::NotOAuth { name }),
                None => Ok(None),
            };
        }
        match self.text("CTC_LOGIN")?.to_ascii_lowercase().as_str() {
            "cookie" => return Ok(None),
            "oauth" => {}
            _ => return Err(ConfigError::Login),
        }
        let oauth = if self.is_set("CTC_TOKEN_URL") || self.is_set("CTC_CLIENT_ID") {
            let (url, id) = (self.text("CTC_TOKEN_URL")?, self.text("CTC_CLIENT_ID")?);
            if url.is_empty() || id.is_empty() {
                return Ok(None);
            }
            OAuth::danger_plain_http(&url, id.as_str())
                .or_else(|_| OAuth::new(&url, id))
                .map_err(ConfigError::TokenUrlVariable)?
        } else if endpoint == Some(&Endpoint::us()) {
            OAuth::us()
        } else if endpoint == Some(&Endpoint::eu()) {
            OAuth::eu()
        } else {
            // No token endpoint belongs to an endpoint of your own.
            if endpoint.is_some() {
                self.missing.extend(["CTC_TOKEN_URL", "CTC_CLIENT_ID"]);
            }
            return Ok(None);
        };
        let scoped = if self.is_set("CTC_SCOPE") {
            oauth.scope(self.text("CTC_SCOPE")?)
        } else {
            oauth
        };
        Ok(Some(Login::OAuth(scoped)))
    }
}

#[cfg(test)]
mod tests {
    use ctc_core::{EndpointError, OAuthError, SettingsError};

    use super::*;
    use crate::SessionConfig;

    fn from(vars: &[(&'static str, &str)]) -> Result<SessionConfig, ConfigError> {
        SessionConfig::from_vars(|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    const SECRETS: [(&str, &str); 3] = [
        ("CTC_USERNAME", "u"),
        ("CTC_PASSWORD", "p"),
        ("CTC_APP_KEY", "k"),
    ];

    fn with(more: &[(&'static str, &str)]) -> Result<String, ConfigError> {
        let config = from(&[SECRETS.as_slice(), more].concat())?;
        let session = config.build()?;
        Ok(session.record_key().origin)
    }

    #[test]
    fn region_or_url() {
        assert_eq!(
            with(&[("CTC_REGION", "us")]).unwrap(),
            "https://connect.calamp.com"
        );
        assert_eq!(
            with(&[("CTC_REGION", "EU")]).unwrap(),
            "https://connect.calamp.co.uk"
        );
        assert_eq!(
            with(&[("CTC_BASE_URL", "https://x.example:1/")]).unwrap(),
            "https://x.example:1"
        );
        assert_eq!(
            with(&[("CTC_REGION", ""), ("CTC_BASE_URL", "https://x.example")]).unwrap(),
            "https://x.example"
        );
        assert_eq!(with(&[("CTC_REGION", "asia")]), Err(ConfigError::Region));
        let both = [("CTC_REGION", "us"), ("CTC_BASE_URL", "https://x.example")];
        assert_eq!(with(&both), Err(ConfigError::RegionAndUrl));
        let plain = with(&[("CTC_BASE_URL", "http://x.example")]);
        assert_eq!(
            plain,
            Err(ConfigError::BaseUrlVariable(EndpointError::PlainHttp))
        );
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "http://127.0.0.1:8080",
            "http://127.8.9.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert_eq!(with(&[("CTC_BASE_URL", url)]).as_deref(), Ok(url));
        }
        for url in [
            "http://connect.calamp.com",
            "http://127.0.0.1.example:8080",
            "http://localhost.example",
            "http://128.0.0.1",
            "http://0.0.0.0:8080",
            "http://[::2]:8080",
            "http://192.168.0.1",
        ] {
            let refused = ConfigError::BaseUrlVariable(EndpointError::PlainHttp);
            assert_eq!(with(&[("CTC_BASE_URL", url)]), Err(refused), "{url}");
        }
        let with_token_url = |url| {
            let base = ("CTC_BASE_URL", "http://localhost:1");
            let oauth = [("CTC_LOGIN", "oauth"), ("CTC_CLIENT_ID", "c")];
            login(&[base, oauth[0], oauth[1], ("CTC_TOKEN_URL", url)])
        };
        assert!(with_token_url("http://127.0.0.1:2/token").is_ok());
        let refused = with_token_url("http://login.example/token").unwrap_err();
        assert!(matches!(refused, ConfigError::TokenUrlVariable(_)));
    }

    fn login(more: &[(&'static str, &str)]) -> Result<Login, ConfigError> {
        let mut config = from(&[SECRETS.as_slice(), more].concat())?;
        let login = config.settings_mut().login.clone();
        config.build()?;
        Ok(login)
    }

    #[test]
    fn ctc_login_chooses_the_login_and_the_region_its_token_endpoint() {
        let (us, eu) = (("CTC_REGION", "us"), ("CTC_REGION", "eu"));
        let oauth = ("CTC_LOGIN", "OAuth");
        let custom = [
            ("CTC_TOKEN_URL", "https://login.example/token"),
            ("CTC_CLIENT_ID", "client-1"),
        ];
        let [token_url, client_id] = custom;
        let other = ("CTC_BASE_URL", "https://api.example");
        let of_custom = OAuth::new(custom[0].1, custom[1].1).unwrap();
        for (vars, expected) in [
            (vec![us], Login::AuthToken),
            (vec![us, ("CTC_LOGIN", "")], Login::AuthToken),
            (
                vec![us, ("CTC_LOGIN", "cookie"), token_url],
                Login::AuthToken,
            ),
            (vec![us, oauth], Login::OAuth(OAuth::us())),
            (vec![eu, oauth], Login::OAuth(OAuth::eu())),
            (
                vec![eu, oauth, ("CTC_SCOPE", "openid profile")],
                Login::OAuth(OAuth::eu().scope("openid profile")),
            ),
            (
                vec![other, oauth, token_url, client_id],
                Login::OAuth(of_custom),
            ),
        ] {
            assert_eq!(login(&vars).unwrap(), expected, "{vars:?}");
        }
        let missing = |names: &[&'static str]| ConfigError::Variables {
            names: names.to_vec(),
        };
        let eu_token_url = ("CTC_TOKEN_URL", "https://accounts.calamp.co.uk/v1/token");
        let plain = ("CTC_TOKEN_URL", "http://login.example/token");
        for (vars, error) in [
            (vec![us, ("CTC_LOGIN", "saml")], ConfigError::Login),
            (
                vec![us, token_url],
                ConfigError::NotOAuth {
                    name: "CTC_TOKEN_URL",
                },
            ),
            (vec![us, oauth, token_url], missing(&["CTC_CLIENT_ID"])),
            (vec![us, oauth, client_id], missing(&["CTC_TOKEN_URL"])),
            (
                vec![other, oauth],
                missing(&["CTC_TOKEN_URL", "CTC_CLIENT_ID"]),
            ),
            (
                vec![oauth],
                missing(&["CTC_REGION (us or eu; or CTC_BASE_URL)"]),
            ),
            (
                vec![us, oauth, eu_token_url, client_id],
                ConfigError::Settings(SettingsError::TwoRegions),
            ),
            (
                vec![us, oauth, plain, client_id],
                ConfigError::TokenUrlVariable(OAuthError::TokenUrl(EndpointError::PlainHttp)),
            ),
        ] {
            assert_eq!(login(&vars), Err(error), "{vars:?}");
        }
    }

    #[test]
    fn every_missing_or_empty_variable_is_named_at_once() {
        let error = from(&[
            ("CTC_USERNAME", "u"),
            ("CTC_APPKEY", "misspelt"),
            ("CTC_PASSWORD", ""),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "set these environment variables, which are missing or empty: \
             CTC_PASSWORD, CTC_APP_KEY, CTC_REGION (us or eu; or CTC_BASE_URL)"
        );
    }

    #[test]
    fn the_environment_is_read_as_any_other_variables() {
        let same = SessionConfig::from_vars(std::env::var_os);
        assert_eq!(SessionConfig::from_env().err(), same.err());
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let config = SessionConfig::from_vars(|_| Some(OsString::from_vec(vec![0xff])));
        assert_eq!(
            config.err(),
            Some(ConfigError::NotText {
                name: "CTC_USERNAME"
            })
        );
    }
}
