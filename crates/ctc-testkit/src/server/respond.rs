//! Turns a request into its response: applies faults before and after, and the request's effect in
//! between.

use std::{sync::Arc, time::Duration};

use http::{Response, StatusCode, header};
use hyper::{Request, body::Incoming};

use super::{
    calls, control, cookies,
    fault::{Fault, Point, RetryAfter, When},
    journal::{Class, Origin, Violation},
    login, oauth,
    received::Received,
    response::{BrokenOff, Payload, ServerResponse},
    settings::Settings,
    state::{Arrival, Checked, Shared, State},
    tokens::{Kind, Life},
    wire::Wire,
};

pub(super) async fn respond(
    shared: Arc<Shared>,
    origin: Origin,
    connection: u64,
    wire: Arc<Wire>,
    request: Request<Incoming>,
) -> Result<Response<Payload>, BrokenOff> {
    let request = Received::read(request).await.map_err(|_| BrokenOff)?;
    let arrival = shared.arrive(&request, origin, connection);
    if arrival.class == Class::Control {
        let response = control::response(&shared, &request);
        shared.change(|state| state.answered(arrival.seq, response.status.as_u16()));
        return Ok(response.into_response());
    }
    let in_flight = LoginInFlight::enter(&shared, &arrival);
    wait(&shared, &arrival.faults, When::Before).await;
    let (response, issued) = shared.change(|state| {
        let response = state.respond(&shared.settings, &request, &arrival);
        (response, state.issued.take())
    });
    wait(&shared, &arrival.faults, When::After).await;
    let response = send(response, &arrival.faults, &wire).await?;
    let is_lost = |fault| loses_the_token(fault, arrival.class);
    if let Some(token) = issued.filter(|_| !arrival.faults.iter().any(is_lost)) {
        shared.change(|state| state.tokens.delivered(&token));
    }
    drop(in_flight);
    Ok(response)
}

/// Whether the client may not receive the token that its response should set.
fn loses_the_token(fault: &Fault, class: Class) -> bool {
    match fault {
        Fault::Hang { .. } | Fault::Cut { .. } | Fault::Respond { .. } | Fault::Raw(_) => true,
        // The fault replaces the body with the token.
        Fault::HugeBody(_) | Fault::EndlessBody(_) => class == Class::Token,
        _ => false,
    }
}

/// Waits as the faults demand, before a request is handled or after its response was built.
async fn wait(shared: &Shared, faults: &[Fault], now: When) {
    for fault in faults {
        match fault {
            Fault::Delay(millis) if now == When::Before => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
            }
            Fault::Late(millis) if now == When::After => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
            }
            Fault::Hold { when } if *when == now => shared.hold().await,
            _ => {}
        }
    }
}

/// Sends a response, or does what a fault demands instead.
async fn send(
    response: ServerResponse,
    faults: &[Fault],
    wire: &Wire,
) -> Result<Response<Payload>, BrokenOff> {
    let mut response = response;
    for fault in faults {
        match fault {
            Fault::Hang { .. } => std::future::pending().await,
            Fault::Cut {
                at: Point::BeforeResponse,
                ..
            } => return Err(BrokenOff),
            Fault::Cut {
                at: Point::MidHeaders,
                ..
            } => wire.cut_after(30),
            Fault::Cut {
                at: Point::MidBody, ..
            } => response.body = response.body.broken(),
            Fault::Raw(text) => wire.replace(text),
            Fault::SlowBody { chunk, pause } => {
                response.body = response.body.paced(*chunk, Duration::from_millis(*pause));
            }
            _ => {}
        }
    }
    Ok(response.into_response())
}

impl State {
    /// Builds the response with its faults, and records it.
    fn respond(
        &mut self,
        settings: &Settings,
        request: &Received,
        arrival: &Arrival,
    ) -> ServerResponse {
        let offset = self.clock_offset;
        for fault in &arrival.faults {
            if let Fault::WrongClock(seconds) = fault {
                self.clock_offset = offset.saturating_add(*seconds);
            }
        }
        self.end_presented(arrival, When::Before);
        let replacement = arrival
            .faults
            .iter()
            .find_map(|fault| self.replacement(fault));
        let mut response = match replacement {
            Some((response, false)) => response,
            Some((response, true)) => {
                self.act(settings, request, arrival);
                response
            }
            None => self.act(settings, request, arrival),
        };
        for fault in &arrival.faults {
            self.spoil(settings, arrival, fault, &mut response);
        }
        self.end_presented(arrival, When::After);
        let has_date = response.headers.contains_key(header::DATE);
        if !has_date && !arrival.faults.contains(&Fault::NoDate) {
            let date = httpdate::fmt_http_date(self.shown_now());
            response.append(header::DATE.as_str(), &date);
        }
        self.clock_offset = offset;
        self.write_down(arrival, response.status);
        response
    }

    /// Returns the response to the request if no fault replaces it.
    fn act(
        &mut self,
        settings: &Settings,
        request: &Received,
        arrival: &Arrival,
    ) -> ServerResponse {
        let now = self.now();
        match &arrival.checked {
            Checked::Free => ServerResponse::new(StatusCode::NOT_FOUND),
            Checked::Broken(violation) if in_token_origin(arrival) => oauth::broken(*violation),
            Checked::Broken(violation) => refusal(*violation),
            Checked::Login(credentials) => {
                login::login(self, settings, credentials, &arrival.faults)
            }
            Checked::Token(request) => oauth::token(self, settings, request, &arrival.faults),
            Checked::Revocation(request) => oauth::revoke(self, settings, request),
            Checked::Call(token) if !self.tokens.is_live(token, now) => self.unauthorized(token),
            Checked::Call(token) if arrival.class == Class::Logout => {
                login::logout(self, settings, token)
            }
            Checked::Call(_) => calls::call(self, settings, request),
        }
    }

    /// An invalid bearer token gets the challenge of RFC 6750; CTC's response is not documented.
    fn unauthorized(&self, token: &str) -> ServerResponse {
        let response = ServerResponse::new(StatusCode::UNAUTHORIZED);
        match self.tokens.kind(token) {
            Some(Kind::Access) => response.with("www-authenticate", INVALID_TOKEN),
            _ => response,
        }
    }

    /// Returns the response that a fault sends instead, and whether the request takes effect all
    /// the same.
    fn replacement(&self, fault: &Fault) -> Option<(ServerResponse, bool)> {
        match fault {
            Fault::Respond {
                status,
                headers,
                body,
                act,
            } => {
                let mut response = ServerResponse::status(*status).body(body.clone());
                headers
                    .iter()
                    .for_each(|(name, value)| response.append(name, value));
                Some((response, *act))
            }
            Fault::Clear {
                status: Some(status),
                ..
            } => Some((ServerResponse::status(*status), false)),
            Fault::Throttle { retry_after } => {
                let response = ServerResponse::new(StatusCode::TOO_MANY_REQUESTS);
                Some((self.retry_after(response, retry_after), false))
            }
            Fault::Redirect { status, location } => Some((
                ServerResponse::status(*status).with("location", location),
                false,
            )),
            Fault::Hang { act: false } | Fault::Cut { act: false, .. } | Fault::Raw(_) => {
                Some((ServerResponse::new(StatusCode::OK), false))
            }
            _ => None,
        }
    }

    fn retry_after(&self, response: ServerResponse, retry_after: &RetryAfter) -> ServerResponse {
        match retry_after {
            RetryAfter::Absent => response,
            RetryAfter::Seconds(seconds) => response.with("retry-after", &seconds.to_string()),
            RetryAfter::DateIn(seconds) => {
                let date = cookies::shifted(self.shown_now(), *seconds);
                response.with("retry-after", &httpdate::fmt_http_date(date))
            }
            RetryAfter::Raw(text) => response.with("retry-after", text),
        }
    }

    /// Applies a fault to a response.
    fn spoil(
        &mut self,
        settings: &Settings,
        arrival: &Arrival,
        fault: &Fault,
        response: &mut ServerResponse,
    ) {
        match fault {
            Fault::Rotate { keep_old } => {
                let now = self.now();
                if let Checked::Call(old) = &arrival.checked
                    && self.tokens.is_live(old, now)
                {
                    response.set_cookie(&login::rotate(self, settings, old, *keep_old));
                }
            }
            Fault::Clear { form, revoke, .. } => {
                response.set_cookie(form.line());
                if let Checked::Call(token) = &arrival.checked {
                    self.tokens.tell_given_up(token);
                    if *revoke {
                        self.tokens.end(token, Life::Revoked);
                    }
                }
            }
            Fault::Headers(lines) => lines
                .iter()
                .for_each(|(name, value)| response.append(name, value)),
            Fault::ManyHeaders(count) => {
                (0..*count).for_each(|at| response.append(&format!("x-filler-{at}"), "filler"));
            }
            Fault::HugeHeader(bytes) => response.append("x-filler", &"x".repeat(*bytes as usize)),
            Fault::HugeBody(bytes) => response.body = Payload::Pattern(*bytes),
            Fault::EndlessBody(pause) => {
                response.body = Payload::endless(Duration::from_millis(*pause));
            }
            _ => {}
        }
    }

    fn end_presented(&mut self, arrival: &Arrival, now: When) {
        let Checked::Call(token) = &arrival.checked else {
            return;
        };
        for fault in &arrival.faults {
            match fault {
                Fault::Revoke { when } if *when == now => self.tokens.end(token, Life::Revoked),
                Fault::Expire { when } if *when == now => self.tokens.end(token, Life::Expired),
                _ => {}
            }
        }
    }

    fn write_down(&mut self, arrival: &Arrival, status: StatusCode) {
        let withheld = |fault: &Fault| {
            matches!(
                fault,
                Fault::Hang { .. }
                    | Fault::Cut {
                        at: Point::BeforeResponse,
                        ..
                    }
                    | Fault::Raw(_)
            )
        };
        if arrival.faults.iter().any(withheld) {
            return;
        }
        self.answered(arrival.seq, status.as_u16());
        match &arrival.checked {
            Checked::Call(token) if status == StatusCode::UNAUTHORIZED => {
                self.tokens.tell_given_up(token);
                self.counts.unauthorized += u64::from(arrival.class == Class::Call);
            }
            Checked::Login(_) | Checked::Token(_)
                if status.is_client_error() && ![408, 425, 429].contains(&status.as_u16()) =>
            {
                self.counts.logins_refused += 1;
            }
            _ => {}
        }
    }
}

/// The challenge of RFC 6750, 3 for a token that expired or was revoked.
const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

fn in_token_origin(arrival: &Arrival) -> bool {
    matches!(arrival.class, Class::Token | Class::Revocation)
}

/// Returns the response of this server to a request that broke a rule. CTC may respond differently.
fn refusal(violation: Violation) -> ServerResponse {
    match violation {
        Violation::WrongMethod => {
            ServerResponse::new(StatusCode::METHOD_NOT_ALLOWED).with("allow", "POST")
        }
        Violation::MissingToken | Violation::UnknownToken => {
            ServerResponse::new(StatusCode::UNAUTHORIZED)
        }
        other => ServerResponse::json(
            StatusCode::BAD_REQUEST,
            &serde_json::json!({ "violation": other }),
        ),
    }
}

/// Counts a login as in progress while this exists, even if the client goes away.
struct LoginInFlight<'a> {
    shared: &'a Shared,
    account: &'a str,
}

impl<'a> LoginInFlight<'a> {
    fn enter(shared: &'a Shared, arrival: &'a Arrival) -> Option<Self> {
        let account = match &arrival.checked {
            Checked::Login(credentials) => credentials.username.as_str(),
            Checked::Token(request) => request.credentials.username.as_str(),
            _ => return None,
        };
        shared.change(|state| state.login_enters(account));
        Some(Self { shared, account })
    }
}

impl Drop for LoginInFlight<'_> {
    fn drop(&mut self) {
        self.shared.change(|state| state.login_leaves(self.account));
    }
}
