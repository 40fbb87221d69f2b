//! The simulated network: an [`AsyncTransport`] whose requests travel through the world's queue.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::FormBody;
use ctc_driver::{AsyncTransport, LoginRequest, LoginResponse, SharedSession};
use http::{HeaderMap, Request, Response};

use crate::count::Fault;
use crate::held::probe;
use crate::kinds::Kind;
use crate::plan::Ms;
use crate::runtime::Thrown;
use crate::secrets;
use crate::server::Arrival;
use crate::token_endpoint::{Body, SmallScope};
use crate::watch::Guarantee;
use crate::wire::{
    SimError, carries_once, field, leaves_its_origin, read_token, wrong_login, wrong_revocation,
};
use crate::world::{Event, Fate, Slot, State, World};

/// The HTTP client's own timeout of calls: the driver has none.
const CALL_TIMEOUT: Ms = 60_000;

/// One process's HTTP client.
pub(crate) struct SimTransport {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
    pub(crate) session: SharedSession,
}

#[async_trait]
impl AsyncTransport for SimTransport {
    type Request = Request<Vec<u8>>;
    type Response = Response<()>;
    type Error = SimError;

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<()>, SimError> {
        let call = number(request.headers(), "x-call");
        let route = number(request.headers(), "x-route");
        let (slot, token) = {
            let mut state = self.world.state();
            if let Some(leak) = secrets::find(&format!("{request:?}")) {
                state.violated(Guarantee::Secrets, || {
                    format!("Debug of a stamped request shows {leak}")
                });
            }
            let token = self.read_wire(&mut state, &request);
            state.watch.calls[call].sends += 1;
            state.watch.calls[call].on_the_wire = true;
            // It does not wait for a login any more.
            state.watch.calls[call].starts_by = None;
            if state.watch.calls[call].sends >= 2 {
                state.watch.sessions[self.process].replays += 1;
            }
            // A second replay is allowed if the first had an adopted token: that token may have
            // been invalid for long, and no login was made for this call yet.
            let last = std::mem::replace(&mut state.watch.calls[call].carried, token.clone());
            let adopted = state.watch.sessions[self.process].adopted.contains(&last);
            if state.watch.calls[call].sends > 2 + u32::from(adopted) {
                state.violated(Guarantee::Generations, || {
                    format!("call {call} was sent too often")
                });
            }
            if state.watch.calls[call].wants_scope {
                state.violated(Guarantee::Coalesced, || {
                    format!("call {call} is sent again although its scope is too small")
                });
            }
            let arrival = Arrival::Call {
                token: token.clone(),
                route,
                kind: state.watch.plan.processes[self.process].kind,
            };
            (self.set_out(&mut state, arrival, Some(CALL_TIMEOUT)), token)
        };
        let result = slot.await;
        let mut state = self.world.state();
        state.watch.calls[call].on_the_wire = false;
        state.note(|| {
            format!(
                "p{}: call {call} gets {:?}",
                self.process,
                result.as_ref().map(Response::status)
            )
        });
        if let Ok(response) = &result {
            let small_scope = response.extensions().get::<SmallScope>().is_some();
            state.watch.calls[call].wants_scope |= small_scope;
            state.watch.call_answered(self.process, &token, response);
        }
        result
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SimError> {
        let request = login.request;
        let path = request.uri().path();
        let response = if path.ends_with("logout") || path.ends_with("revoke") {
            self.send_logout(request).await
        } else {
            self.log_in(request).await
        };
        response.map(|response| {
            let (mut parts, ()) = response.into_parts();
            let body = parts.extensions.remove::<Body>();
            let response = LoginResponse::new(parts.status, parts.headers);
            match body {
                Some(Body(text)) => response.with_body(text),
                None => response,
            }
        })
    }
}

impl SimTransport {
    async fn log_in(&self, request: Request<FormBody>) -> Result<Response<()>, SimError> {
        self.may_panic();
        let kind = self.kind();
        let held = probe(&self.session, kind);
        let (slot, mut on_its_way) = {
            let mut state = self.world.state();
            if let Some(leak) = secrets::find(&format!("{request:?}")) {
                state.violated(Guarantee::Secrets, || {
                    format!("Debug of a login request shows {leak}")
                });
            }
            if let Some(wrong) = wrong_login(&request, kind) {
                state.violated(Guarantee::Origin, || {
                    format!("a login to {}: {wrong}", request.uri())
                });
            }
            let form = request.body().as_ref();
            let (user, password) = (field(form, "username"), field(form, "password"));
            state.note(|| format!("p{}: {kind:?} login of {user} sets out", self.process));
            let since_world = state.now;
            let number = state.login_sets_out(self.process, held.as_ref(), (&user, &password));
            let arrival = Arrival::Login {
                user,
                password,
                kind,
            };
            let slot = self.set_out(&mut state, arrival, None);
            (
                slot,
                OnItsWay {
                    transport: self,
                    number,
                    since: state.processes[self.process].clock.true_ms(),
                    since_world,
                    done: false,
                },
            )
        };
        let result = slot.await;
        self.may_panic();
        on_its_way.done = true;
        let mut state = self.world.state();
        if matches!(result, Err(SimError::Lost)) {
            state.tally.count(Fault::LoginCut);
        }
        state.note(|| {
            format!(
                "p{}: login gets {:?}",
                self.process,
                result.as_ref().map(Response::status)
            )
        });
        let sent = (on_its_way.number, on_its_way.since_world);
        state.login_answered(self.process, sent, &result);
        result
    }

    fn kind(&self) -> Kind {
        self.world.state().watch.plan.processes[self.process].kind
    }

    fn may_panic(&self) {
        let panics = self.world.state().panics();
        if panics {
            resume_unwind(Box::new(Thrown));
        }
    }

    async fn send_logout(&self, request: Request<FormBody>) -> Result<Response<()>, SimError> {
        let kind = self.kind();
        let slot = {
            let mut state = self.world.state();
            let token = if kind.is_oauth() {
                if let Some(wrong) = wrong_revocation(&request) {
                    state.violated(Guarantee::Origin, || {
                        format!("a revocation to {}: {wrong}", request.uri())
                    });
                }
                field(request.body().as_ref(), "token")
            } else {
                read_token(request.headers(), kind).unwrap_or_default()
            };
            state.watch.sessions[self.process].logouts += 1;
            self.set_out(&mut state, Arrival::Logout { token }, None)
        };
        let _on_its_way = LogoutOnItsWay(self);
        slot.await
    }

    /// Checks what goes over the wire: each secret once, and only to its own origin. Returns the
    /// token.
    fn read_wire(&self, state: &mut State, request: &Request<Vec<u8>>) -> String {
        let process = self.process;
        let kind = state.watch.plan.processes[process].kind;
        let sends_key = !kind.is_oauth() || state.watch.plan.terms.sends_key;
        if let Some(wrong) = leaves_its_origin(request, kind) {
            state.violated(Guarantee::Origin, || {
                format!("p{process}: a call to {}: {wrong}", request.uri())
            });
        }
        let token = read_token(request.headers(), kind);
        if !carries_once(request.headers(), kind, sends_key) || token.is_none() {
            state.violated(Guarantee::Generations, || {
                "a request carries not exactly one key and token".into()
            });
        }
        let token = token.unwrap_or_default();
        if !state.server.knows(&token, kind) {
            state.violated(Guarantee::OwnSession, || {
                format!("p{process}: a call carries {token}, which no login of its kind brought")
            });
        }
        state.check_end(process, &token);
        state.note(|| format!("p{process}: call sets out with {token}"));
        token
    }

    fn set_out(&self, state: &mut State, arrival: Arrival, error_after: Option<Ms>) -> Slot {
        let slot = Slot::default();
        let faults = state.faults.clone();
        if state.strikes(faults.not_sent, Fault::NotSent) {
            if matches!(arrival, Arrival::Login { .. }) {
                state.watch.login_not_sent(self.process);
            }
            let after = state.rng.between(0, 50);
            state.reply(after, slot.clone(), Err(SimError::NotSent));
            return slot;
        }
        let (there, back) = (
            state.rng.between(0, faults.latency),
            state.rng.between(0, faults.latency),
        );
        let breaks_off = state.rng.between(0, 5000);
        let error_after = if state.rng.chance(500) {
            Some(breaks_off)
        } else {
            error_after
        };
        if state.strikes(faults.lost_before, Fault::LostBefore) {
            state.lose(error_after, slot.clone());
            return slot;
        }
        let fate = if state.strikes(faults.lost_after, Fault::LostAfter) {
            Fate::Lost { error_after }
        } else {
            Fate::Answered { after: back }
        };
        let at = state.now + there;
        state.plan(
            at,
            Event::Arrive {
                arrival,
                reply: slot.clone(),
                fate,
            },
        );
        slot
    }
}

/// A login whose response its task awaits. If it is dropped, nothing waits for the response any
/// more.
struct OnItsWay<'a> {
    transport: &'a SimTransport,
    number: u64,
    since: Ms,
    since_world: Ms,
    done: bool,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut state = self.transport.world.state();
            state.check_dropped_login(self.transport.process, self.since);
            state.login_dropped(self.transport.process, self.number);
        }
    }
}

struct LogoutOnItsWay<'a>(&'a SimTransport);

impl Drop for LogoutOnItsWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.world.state();
        let logouts = &mut state.watch.sessions[self.0.process].logouts;
        *logouts = logouts.saturating_sub(1);
    }
}

fn number(headers: &HeaderMap, name: &str) -> usize {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}
