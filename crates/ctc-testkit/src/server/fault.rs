//! Scripted faults: what the server does wrong, on which requests, and how often.
//!
//! All types implement `serde`'s traits, so that the control path can take a [`Rule`] as JSON:
//!
//! ```
//! # use ctc_testkit::Rule;
//! let rule: Rule = serde_json::from_str(
//!     r#"{
//!         "on": "login",
//!         "times": {"n": 2},
//!         "fault": {"throttle": {"retry_after": {"seconds": 46}}}
//!     }"#,
//! )?;
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use super::cookies::ClearingForm;

/// Which requests a [`Rule`] matches. Control requests never match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Matcher {
    /// Logins of either kind: requests to the login path or the token endpoint.
    Login,
    /// Requests to the token endpoint.
    Token,
    /// Requests to the revocation endpoint.
    Revocation,
    /// Requests to the logout path.
    Logout,
    /// Calls of the API.
    AnyCall,
    /// Every request.
    Any,
    /// Requests whose path starts with this text.
    Path(String),
    /// Requests with this method and exactly this path.
    Route {
        /// The method, in capitals.
        method: String,
        /// The path, without a query.
        path: String,
    },
}

/// How often a [`Rule`] applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Times {
    /// To one match.
    #[default]
    Once,
    /// To this many matches.
    N(u32),
    /// To every match, until it is removed.
    Forever,
}

/// A fault, and when it applies. If several rules match one request, all of them apply, in the
/// order in which they were injected. Of those that replace the response, the first takes
/// precedence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The requests that it matches.
    pub on: Matcher,
    /// How often it applies.
    #[serde(default)]
    pub times: Times,
    /// How many matches pass before it first applies.
    #[serde(default)]
    pub after: u32,
    /// What the server does.
    pub fault: Fault,
}

impl Rule {
    /// Creates a rule that applies to the next match only.
    pub fn once(on: Matcher, fault: Fault) -> Self {
        Self {
            on,
            times: Times::Once,
            after: 0,
            fault,
        }
    }

    /// Creates a rule that applies to the next `n` matches.
    pub fn times(n: u32, on: Matcher, fault: Fault) -> Self {
        Self {
            times: Times::N(n),
            ..Self::once(on, fault)
        }
    }

    /// Creates a rule that applies to every match.
    pub fn forever(on: Matcher, fault: Fault) -> Self {
        Self {
            times: Times::Forever,
            ..Self::once(on, fault)
        }
    }

    /// Changes the rule so that it applies only after `k` matches.
    #[must_use]
    pub fn after(mut self, k: u32) -> Self {
        self.after = k;
        self
    }
}

/// Identifies an injected rule, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleId(pub(super) u64);

/// Whether something happens before the request is handled, or after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before: this request is affected by the change.
    #[default]
    Before,
    /// After: this request gets its normal response, and the next one is affected.
    After,
}

/// Where a response breaks off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before its first byte.
    #[default]
    BeforeResponse,
    /// In its headers.
    MidHeaders,
    /// In the middle of its body.
    MidBody,
}

/// The `Retry-After` header of a throttled response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RetryAfter {
    /// Without the header.
    #[default]
    Absent,
    /// Seconds from now.
    Seconds(u64),
    /// An HTTP date this many seconds from now, by the server's clock (which may be wrong); may be
    /// negative.
    DateIn(i64),
    /// Any text, such as garbage, white space, or a number too large for any integer.
    Raw(String),
}

/// A fault. `act` says whether the request takes effect (issues a token, writes a note) although
/// its response is replaced or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// The presented token is revoked.
    Revoke {
        /// Before: this request gets a 401. After: the next one does.
        #[serde(default)]
        when: When,
    },
    /// The presented token expires.
    Expire {
        /// As for [`Fault::Revoke`].
        #[serde(default)]
        when: When,
    },
    /// The response sets a new token, if the presented one is valid.
    Rotate {
        /// Whether the old token stays valid beside the new one.
        keep_old: bool,
    },
    /// The response has a clearing cookie.
    Clear {
        /// What the cookie looks like.
        form: ClearingForm,
        /// A status to respond with, without acting; otherwise the request gets its normal
        /// response.
        #[serde(default)]
        status: Option<u16>,
        /// Whether the presented token is revoked, too.
        #[serde(default)]
        revoke: bool,
    },
    /// The response is this one.
    Respond {
        /// Its status.
        status: u16,
        /// Its headers, beside `Content-Length` and, unless it is among them, `Date`.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Its body. As JSON, it may also be `{"repeat": "x", "times": 1000}`, or a list of both
        /// to be joined: 64 MiB at most.
        #[serde(default, deserialize_with = "super::text::read")]
        body: String,
        /// Whether the request takes effect all the same.
        #[serde(default)]
        act: bool,
    },
    /// 429, with the given `Retry-After`.
    Throttle {
        /// The header.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// The login is rejected, although username and password are right; by the token endpoint, with
    /// the code `invalid_grant`.
    Refuse {
        /// The status of the rejection.
        status: u16,
    },
    /// The login gets a 200 without a token, and none is issued.
    NoToken,
    /// The login gets a 200 with exactly these `Set-Cookie` lines; `{token}` stands for a new
    /// token. Any other value in an `authToken` line becomes a valid token of the account, too.
    SetCookies(Vec<String>),
    /// The token request gets a 200 with exactly this body; `{token}` stands for a new, valid
    /// token.
    TokenBody(String),
    /// The response has these additional headers.
    Headers(Vec<(String, String)>),
    /// The response has this many additional headers.
    ManyHeaders(u32),
    /// The response has an additional header, with a value of this many bytes.
    HugeHeader(u32),
    /// The response's body is this many bytes long, streamed.
    HugeBody(u64),
    /// The request waits this many milliseconds before it is handled.
    Delay(u64),
    /// The response waits this many milliseconds after the request has taken effect.
    Late(u64),
    /// The request waits until [`Server::release`](crate::Server::release) is called: a test
    /// without sleeps. Until then it is counted in [`Counts::held`](crate::Counts::held).
    Hold {
        /// Before: the request is handled after the wait. After: it takes effect, and its response
        /// waits.
        #[serde(default)]
        when: When,
    },
    /// The response's body is sent in pieces of `chunk` bytes with a pause after each.
    SlowBody {
        /// Bytes in a piece.
        chunk: u32,
        /// Milliseconds of each pause.
        pause: u64,
    },
    /// The response's body never ends: a byte comes after each pause of this many milliseconds.
    EndlessBody(u64),
    /// The request gets no response, and the connection stays open.
    Hang {
        /// Whether the request takes effect.
        #[serde(default)]
        act: bool,
    },
    /// The connection is cut.
    Cut {
        /// Where the response breaks off.
        #[serde(default)]
        at: Point,
        /// Whether the request takes effect: a login whose token is lost.
        #[serde(default)]
        act: bool,
    },
    /// A redirect, without acting.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`, as it is sent: a path, or a URL on any host.
        location: String,
    },
    /// `Date` and the cookie's `Expires` are off by this many seconds on this response.
    WrongClock(i64),
    /// The response has no `Date`.
    NoDate,
    /// These characters are sent instead of an HTTP response, and the connection is closed.
    Raw(String),
}

impl Fault {
    /// Creates a response with only a status; the request does not take effect.
    pub fn status(status: u16) -> Self {
        Self::Respond {
            status,
            headers: Vec::new(),
            body: String::new(),
            act: false,
        }
    }

    /// Creates a 200 with an HTML page for people.
    pub fn html_page() -> Self {
        let headers = vec![("content-type".into(), "text/html;charset=UTF-8".into())];
        let body =
            "<!DOCTYPE html><html><title>Sign in</title><body>Please sign in.</body></html>".into();
        Self::Respond {
            status: 200,
            headers,
            body,
            act: false,
        }
    }

    /// Creates an error of the token endpoint, with a status and a code such as `invalid_grant`.
    /// The request does not take effect.
    pub fn oauth_error(status: u16, code: &str) -> Self {
        let headers = vec![
            (
                "content-type".into(),
                "application/json;charset=UTF-8".into(),
            ),
            ("cache-control".into(), "no-store".into()),
        ];
        Self::Respond {
            status,
            headers,
            body: serde_json::json!({ "error": code }).to_string(),
            act: false,
        }
    }

    /// Creates a rejection that looks like a server error: a 500 whose body says that the password
    /// is invalid.
    pub fn password_invalid() -> Self {
        let headers = vec![(
            "content-type".into(),
            "application/json;charset=UTF-8".into(),
        )];
        let body = r#"{"error":"password invalid"}"#.into();
        Self::Respond {
            status: 500,
            headers,
            body,
            act: false,
        }
    }

    /// Creates a 429 with `Retry-After` in seconds.
    pub fn throttle(seconds: u64) -> Self {
        Self::Throttle {
            retry_after: RetryAfter::Seconds(seconds),
        }
    }

    /// Creates a lost response: the request takes effect, and the connection is cut.
    pub fn lost_response() -> Self {
        Self::Cut {
            at: Point::BeforeResponse,
            act: true,
        }
    }
}
