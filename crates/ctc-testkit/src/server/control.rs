//! The control path `/_ctc/`, for tests in other languages. An invalid request changes nothing, and
//! the response says what is wrong with it.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{
    fault::RuleId, inspect, journal::JOURNALED_BODY, received::Received, response::ServerResponse,
    script, state::Shared, state::State, tokens::Life,
};

/// The longest time that a request may state, in seconds: a thousand years.
const LONGEST: u64 = 1000 * 366 * 86_400;

pub(super) fn response(shared: &Shared, request: &Received) -> ServerResponse {
    let done = Asked::of(request).and_then(|asked| asked.act(shared, request));
    done.unwrap_or_else(|refusal| {
        let response = ServerResponse::json(refusal.status, &json!({ "error": refusal.why }));
        match refusal.allow {
            Some(methods) => response.with("allow", methods),
            None => response,
        }
    })
}

/// An invalid request.
struct Refusal {
    status: StatusCode,
    why: String,
    allow: Option<&'static str>,
}

fn refuse(why: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        why,
        allow: None,
    }
}

/// The control requests: path, methods, and the parameter that the query may have.
const PATHS: [(&str, &str, &str); 15] = [
    ("/", "GET", ""),
    ("/counts", "GET", ""),
    ("/journal", "GET", ""),
    ("/faults", "GET, POST, DELETE", ""),
    // Followed by the number of a rule.
    ("/faults/", "DELETE", ""),
    ("/revoke", "POST", "user"),
    ("/expire", "POST", "user"),
    ("/lock", "POST", "user"),
    ("/unlock", "POST", "user"),
    ("/accounts", "POST", ""),
    ("/lifetime", "POST", "seconds"),
    ("/advance", "POST", "seconds"),
    ("/clock", "POST", "offset"),
    ("/release", "POST", ""),
    ("/reset", "POST", "all"),
];

/// A request whose path, method and query are valid.
struct Asked<'a> {
    path: &'static str,
    /// The rest of the path.
    rest: &'a str,
    parameter: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    username: String,
    password: String,
}

impl<'a> Asked<'a> {
    fn of(request: &'a Received) -> Result<Self, Refusal> {
        let path = match request.path.strip_prefix("/_ctc").unwrap_or_default() {
            "" => "/",
            path => path,
        };
        let is = |known: &str| {
            known == path || known == "/faults/" && path.len() > 8 && path.starts_with(known)
        };
        let Some((known, methods, parameter)) = PATHS.into_iter().find(|(known, ..)| is(known))
        else {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                ..refuse(format!(
                    "there is no {}: GET /_ctc/ lists what there is",
                    request.path
                ))
            });
        };
        let method = request.method.as_str();
        if !methods.split(", ").any(|allowed| allowed == method) {
            let why = format!("{method} does nothing at {}: use {methods}", request.path);
            return Err(Refusal {
                status: StatusCode::METHOD_NOT_ALLOWED,
                allow: Some(methods),
                ..refuse(why)
            });
        }
        let takes_body = known == "/accounts" || known == "/faults" && method == "POST";
        if request.body_len > 0 && !takes_body {
            let why = format!("{} takes no body: send none", request.path);
            return Err(refuse(why));
        }
        Ok(Self {
            path: known,
            rest: &path[known.len()..],
            parameter: read_parameter(request, parameter).map_err(refuse)?,
        })
    }

    fn act(&self, shared: &Shared, request: &Received) -> Result<ServerResponse, Refusal> {
        Ok(match self.path {
            "/" => ServerResponse::new(StatusCode::OK)
                .with("content-type", "text/plain")
                .body(super::CONTROL_HELP),
            "/counts" => ServerResponse::json(StatusCode::OK, &shared.counts()),
            "/journal" => ServerResponse::json(StatusCode::OK, &shared.journal()),
            "/faults" if request.method == Method::POST => {
                let rule = script::read(&request.body, request.body_len).map_err(refuse)?;
                let id = shared.change(|state| state.inject(rule));
                ServerResponse::json(StatusCode::CREATED, &json!({ "rule": id }))
            }
            "/faults" if request.method == Method::GET => {
                shared.change(|state| ServerResponse::json(StatusCode::OK, &state.rules()))
            }
            "/faults" => done(shared, State::clear_rules),
            "/faults/" => self.remove_rule(shared)?,
            "/revoke" => self.end(shared, Life::Revoked),
            "/expire" => self.end(shared, Life::Expired),
            "/lock" | "/unlock" => self.lock(shared)?,
            "/accounts" => set_account(shared, request)?,
            "/lifetime" => {
                let lifetime = self.seconds()?;
                done(shared, |state| state.set_token_lifetime(lifetime))
            }
            "/advance" => {
                let by = self.seconds()?;
                done(shared, |state| state.advance(by))
            }
            "/clock" => {
                let offset = self.number("offset", -(LONGEST as i64))?;
                done(shared, |state| state.clock_offset = offset)
            }
            "/reset" => match self.parameter.as_deref() {
                None => done(shared, State::reset_journal),
                Some("") => {
                    shared.reset_all();
                    no_content()
                }
                Some(_) => return Err(refuse("all: it takes no value: use ?all".into())),
            },
            _ => {
                shared.release();
                no_content()
            }
        })
    }

    fn remove_rule(&self, shared: &Shared) -> Result<ServerResponse, Refusal> {
        let rule = self.rest.parse().map(RuleId);
        match rule.is_ok_and(|rule| shared.change(|state| state.remove_rule(rule))) {
            true => Ok(no_content()),
            false => Err(Refusal {
                status: StatusCode::NOT_FOUND,
                ..refuse(format!(
                    "there is no rule {:?}, or it is used up: GET /_ctc/faults shows all",
                    self.rest
                ))
            }),
        }
    }

    fn end(&self, shared: &Shared, life: Life) -> ServerResponse {
        let account = self.parameter.as_deref();
        let ended = shared.change(|state| state.tokens.end_all(account, life));
        ServerResponse::json(StatusCode::OK, &json!({ "ended": ended }))
    }

    fn lock(&self, shared: &Shared) -> Result<ServerResponse, Refusal> {
        let user = self.parameter.as_deref().ok_or_else(|| {
            let path = self.path;
            refuse(format!("{path} needs an account: use {path}?user=NAME"))
        })?;
        shared.change(|state| {
            if !state.accounts.has(user) {
                return Err(refuse(format!("there is no account {user:?}")));
            }
            match self.path {
                "/lock" => state.accounts.lock(user),
                _ => state.accounts.unlock(user),
            }
            Ok(no_content())
        })
    }

    fn seconds(&self) -> Result<Duration, Refusal> {
        let seconds = self.number("seconds", 1)?;
        Ok(Duration::from_secs(seconds.unsigned_abs()))
    }

    fn number(&self, name: &str, least: i64) -> Result<i64, Refusal> {
        let number = self.parameter.as_deref().and_then(|text| text.parse().ok());
        number
            .filter(|number| (least..=LONGEST as i64).contains(number))
            .ok_or_else(|| {
                refuse(format!(
                    "{} needs a whole number of seconds from {least} to {LONGEST}: use ?{name}=60",
                    self.path
                ))
            })
    }
}

/// Returns the one parameter that a path takes, decoded.
fn read_parameter(request: &Received, known: &str) -> Result<Option<String>, String> {
    if !inspect::well_encoded(request.query.as_bytes()) {
        return Err("the query has a % that is not followed by two hex digits: use %25".into());
    }
    let mut parameter = None;
    for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
        if known.is_empty() || name != known {
            let takes = match known {
                "" => "no parameter".to_owned(),
                "user" => "user=NAME and nothing else".to_owned(),
                known => format!("{known} and nothing else"),
            };
            return Err(format!(
                "the query has an unknown parameter {name:?}: {} takes {takes}",
                request.path
            ));
        } else if name == "user" && (value.is_empty() || value.contains('\u{FFFD}')) {
            return Err(
                "user: the name is empty or not UTF-8; leave it out for all accounts".into(),
            );
        } else if parameter.replace(value.into_owned()).is_some() {
            return Err(format!("{name}: it is given twice; give it once"));
        }
    }
    Ok(parameter)
}

fn set_account(shared: &Shared, request: &Received) -> Result<ServerResponse, Refusal> {
    if request.body_len > request.body.len() as u64 {
        let why = format!("the account is too long: send {JOURNALED_BODY} bytes at most");
        return Err(refuse(why));
    }
    let account: Account =
        serde_json::from_slice(&request.body).map_err(|error| refuse(error.to_string()))?;
    if account.username.is_empty() || account.password.is_empty() {
        return Err(refuse("username and password must not be empty".into()));
    }
    Ok(done(shared, |state| {
        state.accounts.set(&account.username, &account.password);
    }))
}

fn done(shared: &Shared, change: impl FnOnce(&mut State)) -> ServerResponse {
    shared.change(change);
    no_content()
}

fn no_content() -> ServerResponse {
    ServerResponse::new(StatusCode::NO_CONTENT)
}
