//! The simulated token endpoint of the OAuth login, and how the API rejects a bearer token.

use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response};

use crate::count::Fault;
use crate::plan::Ms;
use crate::server::{ELSEWHERE, LoginOutcome, Scene, put};

/// A response's body, in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Body(pub(crate) String);

/// How a session should read the response, without `ctc-core`'s own reader.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    Token {
        token: String,
        /// As it is stated.
        life: Option<Ms>,
    },
    Refused {
        about_credentials: bool,
    },
    Failed {
        pause: Ms,
    },
}

/// Marks, in its extensions, a response that says that the token's scope is too small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmallScope;

const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-rate-limit-reset");

const NO_CREDENTIALS: [(u16, &str); 8] = [
    (
        400,
        r#"{"error":"invalid_grant","error_description":"The credentials were invalid."}"#,
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"denied by sign on policy."}"#,
    ),
    (401, r#"{"error":"invalid_grant"}"#),
    (403, r#"{"error":"invalid_grant"}"#),
    (200, r#"{"error":"invalid_grant"}"#),
    (
        200,
        r#"{"error":"invalid_grant","token_type":"Bearer","access_token":"CANARY-NO"}"#,
    ),
    (400, "<html>CANARY-PAGE</html>"),
    (401, ""),
];

const WRONG_SET_UP: [(u16, &str); 8] = [
    (401, r#"{"error":"invalid_client"}"#),
    (
        401,
        r#"{"errorCode":"invalid_client","errorSummary":"CANARY","errorCauses":[]}"#,
    ),
    (400, r#"{"error":"unauthorized_client"}"#),
    (400, r#"{"error":"invalid_scope"}"#),
    (400, r#"{"error":"access_denied"}"#),
    (400, r#"{"error":"x_custom"}"#),
    (400, r#"{"errorCode":"E0000011"}"#),
    (404, ""),
];

const IN_TROUBLE: [(u16, &str); 8] = [
    (500, r#"{"errorCode":"E0000009"}"#),
    (502, ""),
    (503, "<html>CANARY-PAGE</html>"),
    (408, ""),
    (425, ""),
    (400, r#"{"error":"temporarily_unavailable"}"#),
    (400, r#"{"error":"server_error"}"#),
    (403, "<html>blocked</html>"),
];

const NO_TOKEN: [(u16, &str); 9] = [
    (200, "<html>CANARY-PAGE</html>"),
    (200, "{"),
    (200, ""),
    (200, "[]"),
    (200, r#"{"token_type":"Bearer","expires_in":60}"#),
    (200, r#"{"token_type":"DPoP","access_token":"CANARY-NO"}"#),
    (200, r#"{"token_type":"Bearer","access_token":"null"}"#),
    (200, r#"{"token_type":"Bearer","access_token":"CANARY NO"}"#),
    (204, ""),
];

impl Scene<'_> {
    pub(crate) fn token_endpoint(
        &mut self,
        outcome: LoginOutcome,
        life: Option<Duration>,
    ) -> Response<()> {
        let failed = Meaning::Failed { pause: 0 };
        match outcome {
            LoginOutcome::Unavailable => self.says(&IN_TROUBLE, &failed),
            LoginOutcome::Throttled => self.limits_the_rate(),
            LoginOutcome::Redirected => {
                let mut response = self.says(&[(302, "")], &failed);
                put(response.headers_mut(), LOCATION, ELSEWHERE);
                response
            }
            LoginOutcome::WrongCredentials => self.refuses_credentials(),
            LoginOutcome::Locked if self.rng.chance(500) => self.refuses_credentials(),
            LoginOutcome::Locked => {
                self.tally.count(Fault::SetUpRefused);
                let about_credentials = false;
                self.says(&WRONG_SET_UP, &Meaning::Refused { about_credentials })
            }
            LoginOutcome::NoToken => self.says(&NO_TOKEN, &failed),
            LoginOutcome::Token(token) => self.gives(&token, life),
        }
    }

    fn says(&mut self, choices: &[(u16, &str)], meaning: &Meaning) -> Response<()> {
        let (status, body) = self.rng.pick(choices);
        let mut response = self.plain(status);
        if self.rng.chance(300) {
            // A cookie in a response of this login means nothing.
            put(
                response.headers_mut(),
                SET_COOKIE,
                "authToken=CANARY-COOKIE; Path=/",
            );
        }
        if status == 401 && self.rng.chance(500) {
            put(
                response.headers_mut(),
                WWW_AUTHENTICATE,
                "Basic realm=\"x\"",
            );
        }
        response.extensions_mut().insert(meaning.clone());
        response.extensions_mut().insert(Body(body.to_owned()));
        response
    }

    fn refuses_credentials(&mut self) -> Response<()> {
        self.tally.count(Fault::CredentialsRefused);
        let about_credentials = true;
        self.says(&NO_CREDENTIALS, &Meaning::Refused { about_credentials })
    }

    /// The end of a rate limit is a time of the server's clock, in seconds.
    fn limits_the_rate(&mut self) -> Response<()> {
        let reset = |seconds: i64| {
            let now = i64::try_from(self.now / 1000).unwrap_or_default();
            (1_900_000_000 + now + seconds).to_string()
        };
        let (retry_after, reset, pause) = match self.rng.below(7) {
            0 => (None, None, 0),
            1 => (Some("46"), None, 46_000),
            2 => (None, Some(reset(7)), 7000),
            3 => (Some("30"), Some(reset(7)), 30_000),
            4 => (Some("3"), Some(reset(70)), 70_000),
            5 => (None, Some("soon".to_owned()), 0),
            _ => (None, Some(reset(-5)), 1000),
        };
        let limit = [(429, r#"{"errorCode":"E0000047","errorSummary":"too many"}"#)];
        let mut response = self.says(&limit, &Meaning::Failed { pause });
        if let Some(retry_after) = retry_after {
            put(response.headers_mut(), RETRY_AFTER, retry_after);
        }
        if let Some(reset) = reset {
            self.tally.count(Fault::RateLimitReset);
            put(response.headers_mut(), RATE_LIMIT_RESET, &reset);
        }
        response
    }

    fn gives(&mut self, token: &str, life: Option<Duration>) -> Response<()> {
        let life = life.map(|life| life.as_secs());
        let expires_in = match (life, self.rng.below(4)) {
            (None, 0) => r#","expires_in":"soon""#.to_owned(),
            (None, 1) => r#","expires_in":0"#.to_owned(),
            (None, 2) => r#","expires_in":null"#.to_owned(),
            (None, _) => String::new(),
            (Some(life), 0) => format!(r#","expires_in":"{life}""#),
            (Some(life), 1) => format!(r#","expires_in":{life}.5"#),
            (Some(life), _) => format!(r#","expires_in":{life}"#),
        };
        let kind = self.rng.pick(&["Bearer", "bearer", "BEARER"]);
        let written = if self.rng.chance(200) {
            token.replace('-', "\\u002d")
        } else {
            token.to_owned()
        };
        let others = r#""id_token":"CANARY-ID","refresh_token":"CANARY-R","scope":"openid""#;
        let body = match self.rng.below(3) {
            0 => format!(
                r#"{{{others},"access_token":"{written}"{expires_in},"token_type":"{kind}"}}"#
            ),
            1 => format!(
                "\u{FEFF}\n{{\"token_type\":\"{kind}\"{expires_in},\"access_token\":\"{written}\"}}"
            ),
            _ => format!(
                r#"{{"token_type":"{kind}","access_token":"{written}"{expires_in},{others}}}"#
            ),
        };
        let token = token.to_owned();
        let life = life.map(|seconds| seconds * 1000);
        self.says(&[(200, &body)], &Meaning::Token { token, life })
    }

    /// The API rejects a token, with or without a challenge.
    pub(crate) fn challenges(&mut self) -> Response<()> {
        let mut response = self.maybe_clearing(401);
        let lines: &[&'static str] = match self.rng.below(5) {
            0 => &[],
            1 => &["Bearer error=\"invalid_token\""],
            2 => &["bearer Error=invalid_token"],
            3 => &["Basic realm=\"insufficient_scope\", Bearer error=\"invalid_token\""],
            _ => &["Negotiate", "Bearer realm=\"a, b\", error=invalid_token"],
        };
        for line in lines {
            let line = HeaderValue::from_static(line);
            response.headers_mut().append(WWW_AUTHENTICATE, line);
        }
        response
    }

    /// The token is valid, but its scope is too small for this route.
    pub(crate) fn wants_scope(&mut self) -> Response<()> {
        self.tally.count(Fault::InsufficientScope);
        let status = self.rng.pick(&[403, 401]);
        let mut response = self.maybe_clearing(status);
        let challenge = self.rng.pick(&[
            "Bearer error=\"insufficient_scope\", scope=\"more\"",
            "bearer realm=\"x\", Error=insufficient_scope",
            "Basic realm=\"x\", Bearer error=\"insufficient_scope\"",
        ]);
        put(response.headers_mut(), WWW_AUTHENTICATE, challenge);
        response.extensions_mut().insert(SmallScope);
        response
    }
}
