//! A session that asks for its credentials at each login.

use ctc_core::{
    Admit, AppKey, Denial, Endpoint, Instant, LoginOutcome, LoginTicket, NoResponse, Phase,
    Session, Settings,
};
use http::StatusCode;

use crate::scenario::{KEY, PASSWORD, Scenario, USER, call, cookie, credentials, set_cookies};

struct Asking {
    session: Session,
    now: Instant,
}

impl Asking {
    fn new() -> Self {
        let (endpoint, key) = (Endpoint::us(), AppKey::new(KEY).unwrap());
        let session = Session::without_credentials(endpoint, key, Settings::default());
        Self {
            session: session.unwrap(),
            now: Scenario::new().now(),
        }
    }

    fn elected(&mut self) -> LoginTicket {
        match self.session.renew(self.now) {
            Admit::NeedCredentials(ticket) => ticket,
            other => panic!("expected to be asked, got {other:?}"),
        }
    }

    fn answered(&mut self, ticket: LoginTicket, code: u16) -> LoginOutcome {
        let headers = set_cookies(&[&cookie("T1")]);
        let headers = if code == 200 {
            headers
        } else {
            http::HeaderMap::new()
        };
        let status = StatusCode::from_u16(code).unwrap();
        let reading = self.session.login_reader().read(status, &headers, &[]);
        self.session.login_response(ticket, reading, self.now)
    }

    /// How many logins the budget has room for.
    fn room(&mut self) -> u32 {
        for count in 0.. {
            match self.session.renew(self.now) {
                Admit::NeedCredentials(ticket) => {
                    let (given, now) = (credentials(USER, PASSWORD), self.now);
                    self.session.login_with(&ticket, &given, now).unwrap();
                    assert!(self.session.login_starting(&ticket, now));
                    let _ = self.answered(ticket, 200);
                }
                _ => return count,
            }
        }
        unreachable!("the budget has an end")
    }
}

#[test]
fn the_credentials_make_the_login_of_any_session_that_has_them() {
    let mut asking = Asking::new();
    let ticket = asking.elected();
    let given = credentials(USER, PASSWORD);
    let request = asking
        .session
        .login_with(&ticket, &given, asking.now)
        .unwrap();
    let fixed = Scenario::new().order().request;
    assert_eq!(request.body().as_ref(), fixed.body().as_ref());
    assert_eq!(
        (request.uri(), request.headers()),
        (fixed.uri(), fixed.headers())
    );
    assert_eq!(
        asking.session.record_key(),
        Scenario::new().session.record_key()
    );
    assert!(matches!(
        asking.answered(ticket, 200),
        LoginOutcome::Opened(_)
    ));
    assert!(matches!(
        asking.session.admit(&mut call(), asking.now),
        Admit::Proceed(_)
    ));
}

#[test]
fn the_second_login_is_charged_as_well() {
    let all = Asking::new().room();
    let mut asking = Asking::new();
    let ticket = asking.elected();
    let now = asking.now;
    let give = |asking: &mut Asking, password| {
        asking
            .session
            .login_with(&ticket, &credentials(USER, password), now)
            .is_some()
    };
    assert!(give(&mut asking, "old"));
    assert!(asking.session.login_starting(&ticket, now));
    assert!(
        asking
            .session
            .login_again(&ticket, &credentials(USER, "new"), now)
            .is_some()
    );
    assert!(asking.session.login_starting(&ticket, now));
    let _ = asking.answered(ticket, 200);
    assert_eq!(asking.room(), all - 2);
}

#[test]
fn a_source_without_credentials_costs_no_login() {
    let all = Asking::new().room();
    for is_transient in [false, true] {
        let mut asking = Asking::new();
        for _ in 0..10 {
            let ticket = asking.elected();
            let now = asking.now;
            let why = if is_transient {
                NoResponse::CredentialsUnavailable
            } else {
                NoResponse::CredentialsUnusable
            };
            let outcome = asking.session.login_failed(ticket, why, now);
            let LoginOutcome::Failed(denial) = outcome else {
                panic!("{outcome:?}");
            };
            let told = matches!(denial, Denial::CredentialsUnusable);
            assert_eq!(told, !is_transient);
            assert_eq!(denial.retry_after(now).is_some(), is_transient);
            let unusable = asking.session.phase(now) == Phase::CredentialsUnusable;
            assert_eq!(unusable, !is_transient);
            assert_eq!(asking.session.next_deadline(now).is_some(), is_transient);
            asking.session.reset();
        }
        assert_eq!(asking.room(), all);
    }
}

#[test]
fn credentials_that_come_too_late_make_no_login() {
    let given = credentials(USER, PASSWORD);
    for what in ["closed", "set", "lease"] {
        let mut asking = Asking::new();
        let ticket = asking.elected();
        match what {
            "closed" => drop(asking.session.close()),
            "set" => drop(asking.session.set_credentials(credentials(USER, "fixed"))),
            _ => asking.now += Settings::default().lease,
        }
        let now = asking.now;
        assert!(
            asking.session.login_with(&ticket, &given, now).is_none(),
            "{what}"
        );
        asking.session.cancel_unsent(ticket, now);
    }
}

/// A report that the credentials cannot be had comes too late as well.
#[test]
fn a_failure_of_a_source_that_was_replaced_changes_nothing() {
    let mut asking = Asking::new();
    let ticket = asking.elected();
    asking.session.set_credentials(credentials(USER, "fixed"));
    let why = NoResponse::CredentialsUnusable;
    let outcome = asking.session.login_failed(ticket, why, asking.now);
    assert!(matches!(outcome, LoginOutcome::Stale { .. }));
    let admitted = asking.session.admit(&mut call(), asking.now);
    assert!(matches!(admitted, Admit::Login(_)), "{admitted:?}");
}
