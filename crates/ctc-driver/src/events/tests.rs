//! The manual's table is what is emitted: name, level, target and fields of every event.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

const CHAPTER: &str = include_str!("../manual/observability.md");

/// Level and further fields of each event, by name.
type Table = BTreeMap<String, (String, Vec<String>)>;

#[derive(Clone, Default)]
struct Heard {
    table: Arc<Mutex<Table>>,
    spans: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct Fields(Vec<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        self.0.push(field.name().to_owned());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push(if field.name() == "event" {
            format!("event {value}")
        } else {
            field.name().to_owned()
        });
    }

    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        self.0.push(field.name().to_owned());
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let (meta, root) = (span.metadata(), span.is_root());
        let fields: Vec<_> = meta.fields().iter().map(|field| field.name()).collect();
        let text = format!(
            "{} {} {} {fields:?} root={root}",
            meta.name(),
            meta.level(),
            meta.target()
        );
        self.spans.lock().unwrap().push(text);
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let meta = event.metadata();
        assert_eq!(meta.target(), "ctc");
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        for needed in [
            format!("event {}", meta.name()),
            "session".to_owned(),
            "label".to_owned(),
            "message".to_owned(),
        ] {
            let at = fields.iter().position(|field| *field == needed);
            fields
                .remove(at.unwrap_or_else(|| panic!("{} lacks {needed}: {fields:?}", meta.name())));
        }
        fields.sort();
        self.table
            .lock()
            .unwrap()
            .insert(meta.name().to_owned(), (meta.level().to_string(), fields));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The rows of the chapter's first table.
fn documented() -> Table {
    let rows = CHAPTER
        .lines()
        .skip_while(|line| !line.starts_with("| `event` |"))
        .skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let mut fields: Vec<_> = cells[3]
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            fields.sort();
            (
                cells[1].trim_matches('`').to_owned(),
                (cells[2].to_owned(), fields),
            )
        })
        .collect()
}

const WHO: Who<'_> = Who {
    number: 7,
    label: Some("acme"),
};

fn tell_all() {
    let generation = Generation::default();
    let denial = &Denial::Closed;
    let error = &StoreError::LeaseLost;
    let events = [
        SessionEvent::LoginSent,
        SessionEvent::LoggedIn { generation },
        SessionEvent::LoginFailed { denial },
        SessionEvent::LoginQueued { ahead: 3 },
        SessionEvent::LoginUnwanted,
        SessionEvent::LoginAbandoned,
        SessionEvent::LoginLate,
        SessionEvent::Orphaned,
        SessionEvent::Adopted { generation },
        SessionEvent::StoredByOthers,
        SessionEvent::DeniedByStore { denial },
        SessionEvent::CallDenied { denial },
        SessionEvent::CallReplayed,
        SessionEvent::UnauthorizedDelivered {
            why: &Unauthorized::Closed,
        },
        SessionEvent::TokenRotated { generation },
        SessionEvent::TokenInvalidated {
            generation,
            status: StatusCode::UNAUTHORIZED,
            unchallenged: false,
        },
        SessionEvent::LoggedOut,
        SessionEvent::Closed,
        SessionEvent::Reopened,
        SessionEvent::Reset,
        SessionEvent::CredentialsReplaced,
        SessionEvent::StoreFailed {
            operation: "load",
            error,
            first: true,
        },
        SessionEvent::StoreFailed {
            operation: "load",
            error,
            first: false,
        },
        SessionEvent::StoreBusy,
    ];
    let counters = Counters::new();
    events.iter().for_each(|event| event.trace(WHO, &counters));
}

#[test]
fn the_table_in_the_manual_is_what_is_emitted() {
    let heard = Heard::default();
    tracing::subscriber::with_default(heard.clone(), || {
        tell_all();
        drop(login_span(WHO));
    });
    assert_eq!(*heard.table.lock().unwrap(), documented());
    assert_eq!(
        *heard.spans.lock().unwrap(),
        [r#"login INFO ctc ["session", "label"] root=false"#]
    );
}

/// A variant that is added must be told of above: this source counts them.
#[test]
fn no_event_is_left_out() {
    let source = include_str!("mod.rs");
    let (_, body) = source.split_once("pub enum SessionEvent<'a> {").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let is_variant =
        |line: &&str| line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase();
    let variants = body
        .lines()
        .filter(|line| line.len() > 4)
        .filter(is_variant)
        .count();
    // `StoreFailed` has two names.
    assert_eq!(documented().len(), variants + 1);
}

#[test]
fn the_table_of_counters_is_what_is_counted() {
    let counts = format!("{:?}", crate::Counts::default());
    let rows = CHAPTER.lines().filter(|line| line.contains("| `ctc_"));
    let names: Vec<_> = rows
        .map(|row| {
            let (name, facade) = (
                row.split('`').nth(1).unwrap(),
                row.split('`').nth(3).unwrap(),
            );
            assert_eq!(facade, format!("ctc_{name}_total"));
            name
        })
        .collect();
    let fields: Vec<_> = counts
        .split(['{', ','])
        .skip(1)
        .filter_map(|field| Some(field.split_once(':')?.0.trim()))
        .collect();
    assert_eq!(names, fields);
}

#[test]
fn a_401_without_a_challenge_is_told_as_such_with_the_oauth_login_only() {
    use ctc_core::{Admit, Call, Endpoint, Login, OAuth, Route};
    use http::header::{SET_COOKIE, WWW_AUTHENTICATE};
    use http::{HeaderMap, HeaderValue, Method};

    let oauth = || Login::OAuth(OAuth::us());
    for (login, challenge, expected) in [
        (Login::AuthToken, None, false),
        (oauth(), None, true),
        (oauth(), Some("Basic realm=\"x\""), true),
        (oauth(), Some("Bearer error=\"invalid_token\""), false),
    ] {
        let config = crate::SessionConfig::new().endpoint(Endpoint::us());
        let config = config.app_key("k").credentials("u", "p").login(login);
        let session = config.build().unwrap();
        let ask = |call: &mut Call| session.with(|session, now| session.admit(call, now));
        let Admit::Login(order) = ask(&mut Call::new(true)) else {
            panic!("the first caller logs in")
        };
        let cookie = HeaderValue::from_static("authToken=T");
        let cookies = HeaderMap::from_iter([(SET_COOKIE, cookie)]);
        let body = br#"{"access_token":"T","token_type":"Bearer"}"#;
        let outcome = session.with(|session, now| {
            let reader = session.login_reader();
            let reading = reader.read(StatusCode::OK, &cookies, body);
            session.login_response(order.ticket, reading, now)
        });
        assert!(matches!(outcome, ctc_core::LoginOutcome::Opened(_)));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tells = Arc::clone(&told);
        session.set_observer(move |_: &crate::SharedSession, event: &SessionEvent<'_>| {
            if let SessionEvent::TokenInvalidated { unchallenged, .. } = event {
                tells.lock().unwrap().push(*unchallenged);
            }
        });
        let mut call = Call::new(true);
        assert!(matches!(ask(&mut call), Admit::Proceed(_)));
        let challenge = challenge.map(|value| (WWW_AUTHENTICATE, HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(challenge);
        let route = || Route::new(&Method::GET, "/");
        let status = StatusCode::UNAUTHORIZED;
        let _ = session.judge(&mut call, route, status, &headers, false);
        assert_eq!(*told.lock().unwrap(), [expected], "{headers:?}");
    }
}
