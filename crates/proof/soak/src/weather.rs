//! The faults of the server, round by round.

use std::time::Duration;

use ctc_testkit::{ClearingForm, Fault, Matcher, Point, RetryAfter, Rule, Server};
use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// The kinds of faults. The load does the last three, the server the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Weather {
    Calm,
    Slow,
    Cut,
    Revoked,
    Rotating,
    Throttled,
    LostLogins,
    Hanging,
    /// All of the above at once.
    Storm,
    /// A wrong password for half of the round, then the right one.
    WrongPassword,
    /// Clients are logged out and reopened again and again.
    Logouts,
    /// Clients are created and dropped.
    Churn,
}

impl Weather {
    pub(crate) const ALL: [Self; 12] = [
        Self::Calm,
        Self::Slow,
        Self::Cut,
        Self::Revoked,
        Self::Rotating,
        Self::Throttled,
        Self::LostLogins,
        Self::Hanging,
        Self::Storm,
        Self::WrongPassword,
        Self::Logouts,
        Self::Churn,
    ];

    /// How often a fault is injected.
    pub(crate) const EVERY: Duration = Duration::from_millis(40);

    /// Injects one more fault. Removes rules that have not applied yet, so that they do not pile
    /// up.
    pub(crate) fn gust(self, server: &Server, rng: &mut Rng) {
        server.clear_faults();
        match self {
            Self::Calm | Self::WrongPassword => {}
            Self::Slow => server.inject_some(rng, &[Fault::Delay(5), Fault::Late(30), SLOW_BODY]),
            Self::Cut => {
                let cut = |at| Fault::Cut { at, act: true };
                let raw = Fault::Raw("HTTP/1.1 what?\r\n\r\n".to_owned());
                let cuts = [
                    cut(Point::BeforeResponse),
                    cut(Point::MidHeaders),
                    cut(Point::MidBody),
                    raw,
                ];
                server.inject_some(rng, &cuts);
            }
            Self::Revoked | Self::Churn => server.lose_tokens(rng),
            Self::Rotating => {
                let keep_old = rng.below(2) == 0;
                let faults = [
                    Fault::Rotate { keep_old },
                    clear(rng),
                    Fault::Rotate { keep_old },
                ];
                server.inject_some(rng, &faults);
            }
            Self::Throttled => {
                let (retry_after, date) = (RetryAfter::Seconds(1), RetryAfter::DateIn(1));
                let unavailable = Fault::Respond {
                    status: 503,
                    headers: vec![("retry-after".to_owned(), "1".to_owned())],
                    body: String::new(),
                    act: false,
                };
                let faults = [
                    Fault::Throttle { retry_after },
                    unavailable,
                    Fault::Throttle { retry_after: date },
                ];
                server.inject_some(rng, &faults);
                server.inject(Rule::once(Matcher::Login, rng.pick(&faults)));
                server.lose_tokens(rng);
            }
            Self::LostLogins | Self::Logouts => {
                let lost = [
                    Fault::lost_response(),
                    Fault::NoToken,
                    Fault::html_page(),
                    Fault::Late(100),
                ];
                server.inject(Rule::once(Matcher::Login, rng.pick(&lost)));
                server.inject(Rule::once(
                    Matcher::Logout,
                    rng.pick(&[Fault::status(404), Fault::lost_response()]),
                ));
                server.lose_tokens(rng);
            }
            Self::Hanging => {
                let hang = [Fault::Hang { act: true }, Fault::Hang { act: false }];
                server.inject_some(rng, &hang);
                if rng.below(10) == 0 {
                    server.inject(Rule::once(Matcher::Login, rng.pick(&hang)));
                    server.lose_tokens(rng);
                }
            }
            Self::Storm => {
                let other = Self::ALL[usize::try_from(rng.below(8)).unwrap_or_default()];
                other.gust(server, rng);
            }
        }
    }
}

const SLOW_BODY: Fault = Fault::SlowBody {
    chunk: 100,
    pause: 1,
};

fn clear(rng: &mut Rng) -> Fault {
    let status = [None, Some(401)][usize::from(rng.below(2) == 0)];
    Fault::Clear {
        form: rng.pick(&ClearingForm::ALL),
        status,
        revoke: true,
    }
}

trait Misfortune {
    fn inject_some(&self, rng: &mut Rng, faults: &[Fault]);
    fn lose_tokens(&self, rng: &mut Rng);
}

impl Misfortune for Server {
    /// Injects two of these faults, on the next few calls.
    fn inject_some(&self, rng: &mut Rng, faults: &[Fault]) {
        for _ in 0..2 {
            self.inject(Rule::times(2, Matcher::AnyCall, rng.pick(faults)));
        }
    }

    fn lose_tokens(&self, rng: &mut Rng) {
        match rng.below(8) {
            0 => drop(self.revoke_all()),
            1 => drop(self.expire_all()),
            _ => {}
        }
    }
}
