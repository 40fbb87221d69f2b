//! Addresses: what is an endpoint, and what may be joined to one.

use ctc_core::{
    AppKey, AuthToken, Credentials, Endpoint, EndpointError, JoinError, SecretError, Settings,
    SettingsError, Target,
};
use std::time::Duration;

use crate::scenario::{KEY, credentials};

#[test]
fn an_endpoint_is_scheme_and_host_alone() {
    for (url, origin) in [
        ("https://connect.calamp.com", "https://connect.calamp.com"),
        ("https://Connect.CalAmp.com/", "https://connect.calamp.com"),
        ("https://host.example:443", "https://host.example"),
        ("https://host.example:8443/", "https://host.example:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://[::1]", "https://[::1]"),
        // Written otherwise, the same address.
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
        ("https://[2001:DB8:0::01]", "https://[2001:db8::1]"),
        ("https://10.0.0.7:0443", "https://10.0.0.7"),
        ("https://host.example.", "https://host.example."),
        ("https://under_score.example", "https://under_score.example"),
        ("https://4x.example", "https://4x.example"),
    ] {
        assert_eq!(Endpoint::new(url).unwrap().origin(), origin, "{url}");
    }
    use EndpointError::{
        CredentialsInUrl, NotAUrl, NotAnOrigin, PlainHttp, PortalOnly, UnusualHost,
    };
    for (url, error) in [
        ("", NotAUrl),
        ("connect.calamp.com", NotAUrl),
        ("ftp://host.example", NotAUrl),
        ("https://", NotAUrl),
        ("https://host.example:99999", NotAUrl),
        ("https://host.example:port", NotAUrl),
        ("https://host.example/connect", NotAnOrigin),
        ("https://host.example?x=1", NotAnOrigin),
        ("https://host.example#top", NotAnOrigin),
        ("https://ada:secret@host.example", CredentialsInUrl),
        // HTTP clients that follow the URL standard take these for 127.0.0.1, or for nothing.
        ("https://127.1", UnusualHost),
        ("https://2130706433", UnusualHost),
        ("https://0x7f.0.0.1", UnusualHost),
        ("https://0177.0.0.1", UnusualHost),
        ("https://127.0.0.0x1", UnusualHost),
        ("https://host.0x", UnusualHost),
        ("https://127.0.0.1.", UnusualHost),
        ("https://1.2.3.4.5", UnusualHost),
        ("https://[::1%25lo]", UnusualHost),
        ("https://[1:2]", UnusualHost),
        ("https://a..b", UnusualHost),
        ("https://.", UnusualHost),
        ("https://a,b.example", UnusualHost),
        ("https://a*b.example", UnusualHost),
        ("http://connect.calamp.com", PlainHttp),
        ("http://localhost:8080", PlainHttp),
        ("https://x-loginapi.developer.calamp.com", PortalOnly),
        ("https://X-LoginAPI.developer.calamp.com.", PortalOnly),
    ] {
        assert_eq!(Endpoint::new(url), Err(error), "{url}");
    }
}

#[test]
fn plain_http_is_for_loopback_alone() {
    for url in [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.9.9.9:80",
        "http://[::1]:8080",
        "http://[0:0:0:0:0:0:0:1]:8080",
    ] {
        assert!(
            Endpoint::danger_plain_http(url).unwrap().is_plain_http(),
            "{url}"
        );
    }
    for url in [
        "http://connect.calamp.com",
        "http://0.0.0.0",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil",
    ] {
        assert_eq!(
            Endpoint::danger_plain_http(url),
            Err(EndpointError::NotLoopback),
            "{url}"
        );
    }
    let with_tls = Endpoint::danger_plain_http("https://localhost:8443").unwrap();
    assert!(!with_tls.is_plain_http() && !Endpoint::us().is_plain_http());
}

#[test]
fn guarantee_8_t46_an_absolute_url_given_as_a_path_is_joined_only_on_this_origin() {
    let us = Endpoint::us();
    for (path, joined) in [
        ("/a?b=c", "https://connect.calamp.com/a?b=c"),
        (
            "https://connect.calamp.com/a",
            "https://connect.calamp.com/a",
        ),
        (
            "https://connect.calamp.com:443/a",
            "https://connect.calamp.com:443/a",
        ),
        ("/@evil.example", "https://connect.calamp.com/@evil.example"),
        (
            "/:80@evil.example/",
            "https://connect.calamp.com/:80@evil.example/",
        ),
    ] {
        let uri = us.join(path).unwrap();
        assert_eq!(uri, joined);
        assert_eq!(uri.host(), Some("connect.calamp.com"), "{path}");
    }
    let foreign = || JoinError::ForeignOrigin {
        endpoint: "https://connect.calamp.com".to_owned(),
    };
    for (path, error) in [
        ("https://evil.example/a", foreign()),
        ("http://connect.calamp.com/a", foreign()),
        ("https://connect.calamp.com@evil.example/", foreign()),
        ("https://evil.example@connect.calamp.com/", foreign()),
        ("https://connect.calamp.com:99999/", foreign()),
        ("https://connect.calamp.com.evil.example/", foreign()),
        ("//evil.example/a", JoinError::NotAPath),
        ("//evil.example/://connect.calamp.com", JoinError::NotAPath),
        ("@evil.example/", JoinError::NotAPath),
        ("devices", JoinError::NotAPath),
        ("connect/services/devices", JoinError::NotAPath),
        (".evil.example", JoinError::NotAPath),
        ("", JoinError::NotAPath),
        ("/a b", JoinError::Invalid),
        ("\\\\evil.example", JoinError::NotAPath),
    ] {
        assert_eq!(us.join(path), Err(error), "{path}");
    }
}

#[test]
fn guarantee_8_a_target_taken_apart_is_compared_like_a_whole_one() {
    let us = Endpoint::us();
    for (scheme, host, port, same) in [
        ("https", "connect.calamp.com", None, true),
        ("HTTPS", "Connect.CalAmp.com", Some(443), true),
        ("https", "connect.calamp.com", Some(444), false),
        ("http", "connect.calamp.com", Some(443), false),
        ("https", "connect.calamp.co.uk", None, false),
        ("https", "", None, false),
    ] {
        assert_eq!(
            us.is_origin_of(Target::new(scheme, host, port)),
            same,
            "{scheme} {host} {port:?}"
        );
    }
}

#[test]
fn an_address_is_the_same_however_it_is_spelled() {
    let spellings = ["[::1]", "[0:0:0:0:0:0:0:1]", "[0::0:1]"];
    for url in spellings {
        let endpoint = Endpoint::danger_plain_http(&format!("http://{url}:8080")).unwrap();
        assert_eq!(endpoint.origin(), "http://[::1]:8080");
        for host in spellings {
            let target = Target::new("http", host, Some(8080));
            assert!(endpoint.is_origin_of(target), "{url} {host}");
            assert!(endpoint.join(&format!("http://{host}:8080/x")).is_ok());
        }
        for host in ["[::2]", "[::1", "::1", "[]", "127.0.0.1", "localhost"] {
            let target = Target::new("http", host, Some(8080));
            assert!(!endpoint.is_origin_of(target), "{url} {host}");
        }
    }
    // Some clients write the last four bytes in hex.
    let mapped = Endpoint::new("https://[::ffff:10.0.0.7]").unwrap();
    assert!(mapped.is_origin_of(Target::new("https", "[::ffff:a00:7]", None)));
}

#[test]
fn guarantee_8_a_url_with_a_user_is_foreign_to_join_and_stamp_alike() {
    for (endpoint, url) in [
        (Endpoint::us(), "https://me@connect.calamp.com/x"),
        (Endpoint::us(), "https://me:secret@connect.calamp.com/x"),
        (Endpoint::us(), "https://@connect.calamp.com/x"),
        (Endpoint::us(), "https://me@connect.calamp.com:443/x"),
        (
            Endpoint::danger_plain_http("http://[::1]:8080").unwrap(),
            "http://me@[::1]:8080/x",
        ),
    ] {
        let uri: http::Uri = url.parse().unwrap();
        assert!(!endpoint.is_origin_of(Target::from(&uri)), "{url}");
        assert!(endpoint.join(url).is_err(), "{url}");
    }
}

#[test]
fn a_path_alone_is_completed_and_nothing_else_is_touched() {
    let complete = |uri: &str| Endpoint::eu().complete(uri.parse().unwrap()).to_string();
    assert_eq!(
        complete("/connect/x?pg=1"),
        "https://connect.calamp.co.uk/connect/x?pg=1"
    );
    assert_eq!(
        complete("//other.example/x"),
        "https://connect.calamp.co.uk//other.example/x"
    );
    for other in ["https://other.example/x", "other.example:443", "*"] {
        assert_eq!(complete(other), other);
    }
}

#[test]
fn secrets_are_checked_and_never_repeated() {
    use SecretError::*;
    assert_eq!(AppKey::new(""), Err(EmptyAppKey));
    for (key, place) in [("ab\n", 3), ("\u{e9}", 1)] {
        let error = AppKey::new(key).unwrap_err();
        assert!(matches!(error, AppKeyCharacter { at, .. } if at == place));
    }
    assert_eq!(Credentials::new("", "p").unwrap_err(), EmptyUsername);
    assert_eq!(Credentials::new("u", "").unwrap_err(), EmptyPassword);
    assert_eq!(AuthToken::new(""), Err(EmptyToken));
    assert_eq!(AuthToken::new("\"\""), Err(EmptyToken));
    for (token, at) in [
        ("a;b", 2),
        ("ab,", 3),
        ("a b", 2),
        ("\u{2019}", 1),
        ("a\r\nx", 2),
        ("a\0", 2),
        ("a\u{200b}", 2),
    ] {
        let error = AuthToken::new(token).unwrap_err();
        assert!(
            matches!(error, TokenCharacter { at: found, .. } if found == at),
            "{token:?}"
        );
    }
}

#[test]
fn invisible_characters_are_errors_with_their_position() {
    use SecretError::{PasswordCharacter, UsernameCharacter};
    for (text, place) in [
        ("s3cret!\n", 8),
        ("s3cret!\r\n", 8),
        ("\u{feff}s3cret!", 1),
        ("s3\tcret!", 3),
        ("\0", 1),
        ("s3cret\u{7f}", 7),
        ("s3cret\u{85}", 7),
        ("\u{f6}\u{20ac}\u{200b}!", 3),
        ("a\u{ad}b", 2),
        ("a\u{2028}b", 2),
        ("a\u{202e}b", 2),
        ("a\u{2060}b", 2),
        ("a\u{e0041}b", 2),
    ] {
        let error = Credentials::new("ada", text).unwrap_err();
        assert!(matches!(error, PasswordCharacter { at, .. } if at == place));
        let told = error.to_string();
        assert!(told.contains(&format!("character {place} of ")), "{told}");
        assert!(!told.contains(text.trim()), "{told}");
        let error = Credentials::new(text, "s3cret!").unwrap_err();
        assert!(matches!(error, UsernameCharacter { at, .. } if at == place));
        // Neither key nor token may have any of them either.
        assert!(AppKey::new(text).is_err() && AuthToken::new(text).is_err());
    }
    // What is seen, or typed as a space, may be meant.
    for text in [
        " lead and trail ",
        "\u{a0}",
        "\u{3000}",
        "Gr\u{f6}\u{df}e \u{20ac}\u{1f600}",
        "\u{2764}\u{fe0f}",
        "e\u{301}",
    ] {
        assert!(Credentials::new(text, text).is_ok(), "{text:?}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let refused = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        let key = AppKey::new(KEY).unwrap();
        ctc_core::Session::new(Endpoint::us(), key, credentials("u", "p"), settings).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(
        refused(|s| s.fair_use.refill = Duration::ZERO),
        Some(SettingsError::IntervalTooShort)
    );
    assert_eq!(
        refused(|s| s.fair_use.backoff = Duration::ZERO),
        Some(SettingsError::IntervalTooShort)
    );
    assert_eq!(
        refused(|s| s.fair_use.backoff_cap = s.fair_use.backoff),
        None
    );
    let cap = refused(|s| s.fair_use.backoff_cap = s.fair_use.backoff - Duration::from_millis(1));
    assert_eq!(cap, Some(SettingsError::CapBelowBackoff));
    assert_eq!(
        refused(|s| s.lease = s.login_timeout),
        Some(SettingsError::LeaseTooShort)
    );
    assert_eq!(
        refused(|s| s.login_timeout = Duration::ZERO),
        Some(SettingsError::LeaseTooShort)
    );
    assert_eq!(
        refused(|s| s.fair_use.refill = Duration::MAX),
        Some(SettingsError::TooLong)
    );
    assert_eq!(
        refused(|s| s.lease = Duration::MAX),
        Some(SettingsError::TooLong)
    );
    for path in [
        "https://evil.example/logout",
        "//evil.example/logout",
        "logout",
        "",
    ] {
        let mut settings = Settings::default();
        settings.logout_path = path.to_owned();
        let key = AppKey::new(KEY).unwrap();
        let result = ctc_core::Session::new(Endpoint::us(), key, credentials("u", "p"), settings);
        assert!(
            matches!(result, Err(SettingsError::LogoutPath(_))),
            "{path}"
        );
    }
}
