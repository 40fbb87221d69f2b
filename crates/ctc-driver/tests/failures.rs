//! What every error of a call can say, whichever client it comes from.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::error::Error;
use std::io;
use std::time::Duration;

use ctc_driver::ctc_core::{Denial, Endpoint};
use ctc_driver::{BodyError, CallError, CallFailure, Denied, Failure, NotSent};
use http::StatusCode;

fn rejected() -> Denied {
    Denied::new(Denial::rejected(StatusCode::UNAUTHORIZED), None)
}

#[test]
fn denied_is_found_in_the_chain_and_says_nothing_twice() {
    let error: Box<dyn Error> = Box::new(CallError::<io::Error>::Denied(rejected()));
    let link = error.source().unwrap();
    assert!(link.downcast_ref::<Denied>().is_some(), "{link}");
    assert_ne!(error.to_string(), link.to_string());
    assert_eq!(
        format!("{error:?}"),
        format!("{error}\n\nCaused by:\n    {link}")
    );
}

#[test]
fn one_trait_tells_of_every_error_of_a_call() {
    let told = |error: &dyn CallFailure| {
        (
            error.denied().is_some(),
            error.is_rejected(),
            error.was_sent(),
            error.retry_after(),
        )
    };
    let pause = Some(Duration::from_secs(5));
    let closed = Denied::new(Denial::Closed, pause);
    assert_eq!(told(&rejected()), (true, true, false, None));
    assert_eq!(told(&closed), (true, false, false, pause));
    for (error, expected) in [
        (
            CallError::<io::Error>::Denied(rejected()),
            (true, true, false, None),
        ),
        (
            CallError::Transport(io::ErrorKind::ConnectionRefused.into()),
            (false, false, false, None),
        ),
        (
            CallError::Transport(io::ErrorKind::TimedOut.into()),
            (false, false, true, None),
        ),
        (
            CallError::Body(BodyError::broke_off("it broke off")),
            (false, false, true, None),
        ),
    ] {
        assert_eq!(told(&error), expected, "{error:?}");
    }
    let foreign = ctc_driver::ctc_core::StampError::TooManyHeaders;
    let stamp = CallError::<io::Error>::Stamp(foreign);
    assert!(matches!(stamp.failure(), Failure::Request));
    assert!(!stamp.was_sent());
}

#[test]
fn not_sent_names_the_step_where_the_error_tells() {
    let of = |error: io::Error| NotSent::of(&error);
    assert_eq!(
        of(io::ErrorKind::ConnectionRefused.into()),
        NotSent::Connection
    );
    let lookup = io::Error::other("failed to lookup address information: no such name");
    assert_eq!(of(lookup), NotSent::NameLookup);
    let tls = io::Error::new(
        io::ErrorKind::InvalidData,
        "invalid peer certificate: UnknownIssuer",
    );
    assert_eq!(of(tls), NotSent::Tls);
    let wrapped = io::Error::other(io::Error::from(io::ErrorKind::InvalidData));
    assert_eq!(of(wrapped), NotSent::Tls);
    assert_eq!(of(io::Error::other("?")), NotSent::Unknown);
    // And in the sources.
    let inside = CallError::Transport(io::Error::from(io::ErrorKind::HostUnreachable));
    assert_eq!(NotSent::of(&inside), NotSent::Connection);
}

/// `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`.
#[test]
fn every_public_error_prints_for_people() {
    let endpoint = Endpoint::new("http://a.example").unwrap_err();
    let config = ctc_driver::ConfigError::NoAppKey;
    let store = ctc_driver::StoreError::Unavailable("disk full".into());
    let credentials = ctc_driver::CredentialsError::unusable("no such file");
    for error in [&endpoint as &dyn Error, &config, &store, &credentials] {
        let text = format!("{error:?}");
        assert!(text.starts_with(&error.to_string()), "{text}");
        if let Some(source) = error.source() {
            assert!(text.ends_with(&source.to_string()), "{text}");
        }
    }
}
