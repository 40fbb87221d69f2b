//! What the programs of a world do: each caller makes one call after another.

use std::sync::Arc;
use std::time::Duration;

use ctc_core::{StampError, Unauthorized};
use ctc_driver::{CallError, CallOptions, Replay};
use http::header::COOKIE;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::calls::CallState;
use crate::count::Fault;
use crate::driver::{ServerResponse, SimDriver};
use crate::plan::{CallPlan, ms};
use crate::secrets;
use crate::server::REFUSED_ROUTE;
use crate::tasks::Cancelling;
use crate::watch::Guarantee;
use crate::wire::ORIGIN;
use crate::world::{Sleep, State, World};

/// Makes calls, one after another.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) world: Arc<World>,
    pub(crate) driver: SimDriver,
    pub(crate) process: usize,
    pub(crate) runtime: usize,
    /// All faults have stopped: the last call must succeed.
    pub(crate) healed: bool,
}

impl Caller {
    pub(crate) async fn make(self, calls: Vec<CallPlan>) {
        let last = calls.len();
        for (number, call) in (1..).zip(calls) {
            Sleep::new(&self.world, self.process, call.think).await;
            self.make_one(&call, self.healed && number == last).await;
        }
    }

    async fn make_one(&self, plan: &CallPlan, must: bool) {
        let number = self.begin(plan);
        let many_ids = self.world.state().faults.many_ids;
        let request = request(plan, number, many_ids);
        let mut options = CallOptions::default();
        // With `max_wait`, a renewal may wait although the session is open. `check_rest` could not
        // tell it from a lost wake-up.
        options.max_wait = Duration::from_millis(if plan.renew { 0 } else { plan.max_wait });
        if plan.always_replay {
            options.replay = Replay::Always;
        }
        let work = async {
            if !plan.renew {
                return self.driver.execute(request, &options).await;
            }
            self.world.state().watch.renewal_begins(self.process);
            let renewed = self.driver.renew(&options).await?;
            Some(renewed.map(Response::new).map_err(CallError::from))
        };
        let response = Cancelling::new(
            work,
            plan.cancel,
            Arc::clone(&self.world),
            self.process,
            number,
        )
        .await;
        let mut state = self.world.state();
        state.watch.calls[number].done = true;
        let Some(response) = response.flatten() else {
            state.tally.unanswered += 1;
            state.tally.count(Fault::Cancelled);
            state.note(|| format!("p{}: call {number} comes to nothing", self.process));
            return;
        };
        state.note(|| {
            format!(
                "p{}: call {number} ends with {}",
                self.process,
                brief(&response)
            )
        });
        self.check(&mut state, plan, number, must, &response);
    }

    fn begin(&self, plan: &CallPlan) -> usize {
        let mut state = self.world.state();
        let number = state.watch.calls.len();
        let life = state.processes[self.process].life;
        let began = state.processes[self.process].clock.true_ms();
        let on_the_wire = false;
        state.watch.calls.push(CallState {
            process: self.process,
            life,
            began,
            sends: 0,
            carried: String::new(),
            on_the_wire,
            was_on_the_wire: false,
            done: false,
            runtime: self.runtime,
            max_wait: plan.max_wait,
            renews: plan.renew,
            elected: false,
            elected_without_token: false,
            wants_scope: false,
            starts_by: None,
            refused: false,
            polled: began,
        });
        state.tally.calls += 1;
        if plan.foreign {
            state.tally.count(Fault::Foreign);
        }
        state.note(|| {
            format!(
                "p{}: call {number} begins (route {})",
                self.process, plan.route
            )
        });
        number
    }

    fn check(
        &self,
        state: &mut State,
        plan: &CallPlan,
        number: usize,
        must: bool,
        response: &ServerResponse,
    ) {
        let process = self.process;
        let leak = match response {
            Ok(response) => secrets::find(&format!(
                "{:?}",
                response.extensions().get::<Unauthorized>()
            )),
            Err(error) => secrets::find_in_error(error),
        };
        if let Some(leak) = leak {
            state.violated(Guarantee::Secrets, || format!("an error shows {leak}"));
        }
        self.check_time(state, plan, number);
        let no_response = matches!(response, Err(CallError::Transport(_)));
        let good = matches!(response, Ok(response) if response.status() == StatusCode::OK);
        // A call is sent at most twice, not counting a request with an adopted token. Its second
        // token may have become invalid meanwhile, too; and a token that becomes invalid during its
        // first call looks like a rejected route.
        let reason = response
            .as_ref()
            .ok()
            .and_then(|response| response.extensions().get::<Unauthorized>());
        let about_the_route = matches!(
            reason,
            Some(Unauthorized::RouteRejected | Unauthorized::NoChallenge)
        );
        if about_the_route {
            state.watch.sessions[process].route_rejected = true;
        }
        let dies_meanwhile = state.watch.revoked_at >= Some(state.watch.calls[number].began);
        // With a wrong wall clock, an adopted token seems younger than it is.
        let misled = !state.watch.plan.true_clocks
            && state.watch.plan.processes[process].kind.is_oauth()
            && matches!(reason, Some(Unauthorized::NoLogin { .. }));
        let excused = match reason {
            Some(Unauthorized::AlreadyReplayed) => dies_meanwhile,
            _ if about_the_route => dies_meanwhile,
            _ => false,
        };
        let sure = (must && !misled)
            || (!excused && state.watch.plan.clean && (plan.always_replay || !plan.post));
        let may = must || plan.route != REFUSED_ROUTE || !state.watch.plan.forbidden;
        let sure = sure && may;
        match response {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
                if response.extensions().get::<Unauthorized>().is_none() {
                    let text = || format!("p{process}: call {number} gets a 401 without a reason");
                    state.violated(Guarantee::Generations, text);
                }
                let small_scope = matches!(reason, Some(Unauthorized::InsufficientScope));
                let closed = matches!(reason, Some(Unauthorized::Closed));
                if small_scope != state.watch.calls[number].wants_scope && !closed {
                    state.violated(Guarantee::Coalesced, || {
                        format!("p{process}: call {number} is told of its scope: {small_scope}")
                    });
                }
            }
            Ok(_) => state.tally.delivered += u64::from(good),
            Err(CallError::Denied(denied)) => {
                state.tally.denied += 1;
                if state.watch.calls[number].sends > 0 {
                    state.violated(Guarantee::Coalesced, || {
                        format!("p{process}: call {number} was sent, and is told that it was not")
                    });
                }
                let pause = denied.retry_after().map(ms);
                let failed = self.driver.session().counts().logins_failed;
                let waited = plan.renew || state.watch.calls[number].elected;
                state.check_denial(process, failed, denied.denial(), pause, waited);
            }
            Err(_) => {}
        }
        let foreign = matches!(
            response,
            Err(CallError::Stamp(StampError::ForeignOrigin { .. }))
        );
        if plan.foreign && !plan.renew && !foreign && !matches!(response, Err(CallError::Denied(_)))
        {
            state.violated(Guarantee::Origin, || {
                "a call to another origin was not refused".into()
            });
        } else if sure && !good && !no_response && !plan.foreign {
            let (guarantee, what) = if must {
                (Guarantee::NoWedge, "after all faults have stopped")
            } else {
                (Guarantee::Coalesced, "although only tokens became invalid")
            };
            state.violated(guarantee, || {
                format!(
                    "p{process}: call {number} failed {what}: {}",
                    brief(response)
                )
            });
        }
    }

    /// No call takes longer than its own `max_wait`, some logins and two requests.
    fn check_time(&self, state: &mut State, plan: &CallPlan, number: usize) {
        let settings = &state.watch.plan.settings;
        let lease = ms(settings.lease);
        let took = state.processes[self.process].clock.true_ms() - state.watch.calls[number].began;
        let stalls = state.watch.plan.longest_stall();
        let logins = state.watch.sessions[self.process].login.numbers;
        if took > plan.max_wait + (12 + logins) * lease + 600_000 + stalls {
            state.violated(Guarantee::NoWedge, || {
                format!("call {number} took {took} ms")
            });
        }
    }
}

fn request(plan: &CallPlan, number: usize, many_ids: bool) -> Request<Vec<u8>> {
    let origin = if plan.foreign {
        "https://ctc.example.evil.example"
    } else {
        ORIGIN
    };
    let mut request = Request::new(Vec::new());
    *request.method_mut() = if plan.post { Method::POST } else { Method::GET };
    let id = if many_ids && plan.route == REFUSED_ROUTE {
        format!("/{number}")
    } else {
        String::new()
    };
    let url = format!("{origin}/connect/services/{}{id}?page=1", plan.route);
    *request.uri_mut() = http::Uri::try_from(url).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert("x-call", HeaderValue::from(number));
    headers.insert("x-route", HeaderValue::from(plan.route));
    if plan.own_cookie {
        headers.append(COOKIE, HeaderValue::from_static("other=1; authToken=STALE"));
        headers.append("calamp-services-app", HeaderValue::from_static("STALE"));
    }
    request
}

/// The response without instants, which differ from run to run. A trace must not.
fn brief(response: &ServerResponse) -> String {
    match response {
        Ok(response) => match response.extensions().get::<Unauthorized>() {
            Some(why) => format!("{}: {why}", response.status()),
            None => response.status().to_string(),
        },
        Err(error) => error.to_string(),
    }
}
