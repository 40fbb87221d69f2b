//! The types of a program that drives a session itself, or uses parts that no adapter has.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use ctc_driver::ctc_core::{
    Admit, AppKey, AuthToken, Call, Credentials, Endpoint, FormBody, Login, LoginOutcome,
    LoginRule, OAuth, Pass, Route, SendFailure, Session, Settings, SettingsError, Target, Verdict,
};
use ctc_driver::{
    AsyncCaller, AsyncStreamingCaller, BodyError, BodyStream, BoxAsyncCaller,
    BoxAsyncStreamingCaller, BoxCaller, BoxStreamingCaller, CallError, CallOptions, ConfigError,
    CredentialsCommand, CredentialsEnv, CredentialsFile, CredentialsSource, Denied, FnTransport,
    LeaseTerms, LoginLimiter, LoginRequest, LoginResponse, Outgoing, SessionStore, SharedSession,
    StoreError, SystemClock,
};
use ctc_store_file::{FileError, FileStore};
use ctc_store_redis::{OpenError, RedisFailure, RedisStore};
use ctc_tower::{Bodies, CtcLayer, CtcService, ServiceCaller, TowerError, TowerTransport};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, service_fn};

use crate::search::{APP_KEY, PASSWORD, REDIS_PASSWORD, TOKEN, USERNAME};
use crate::show::{show, tell};

fn new_session(endpoint: &Endpoint) -> Session {
    let key = AppKey::new(APP_KEY).unwrap();
    show!(ctc_driver::ctc_core::AppKey, &key);
    println!("{:?}", key.to_header_value());
    let credentials = Credentials::new(USERNAME, PASSWORD).unwrap();
    show!(ctc_driver::ctc_core::Credentials, &credentials);
    let mut settings = Settings::default();
    settings.fair_use.burst = NonZeroU32::MIN.saturating_add(9);
    let rule = LoginRule::new(|response| {
        show!(ctc_driver::ctc_core::FailedLoginResponse<'_>, response);
        None
    });
    show!(ctc_driver::ctc_core::LoginRule, &rule);
    settings.login_rule = Some(rule);
    show!(ctc_driver::ctc_core::Settings, &settings);
    show!(ctc_driver::ctc_core::FairUse, &settings.fair_use);
    Session::new(endpoint.clone(), key, credentials, settings).unwrap()
}

/// The OAuth login, whose response has its secrets in the body.
pub(crate) fn oauth() {
    let spoilt =
        OAuth::new(&format!("https://{USERNAME}:{PASSWORD}@h.example/t"), "c").unwrap_err();
    show!(ctc_driver::ctc_core::OAuthError, &spoilt);
    tell(&spoilt);
    let oauth = OAuth::new("https://h.example/t", "c").unwrap();
    let oauth = oauth.revoke_on_logout();
    show!(ctc_driver::ctc_core::OAuth, &oauth);
    let mut settings = Settings::default();
    settings.login = Login::OAuth(oauth);
    show!(ctc_driver::ctc_core::Login, &settings.login);
    show!(ctc_driver::ctc_core::Settings, &settings);
    let (key, credentials) = (AppKey::new(APP_KEY), Credentials::new(USERNAME, PASSWORD));
    let api = Endpoint::new("https://api.example").unwrap();
    let mut session = Session::new(api, key.unwrap(), credentials.unwrap(), settings).unwrap();
    let now = Instant::now();
    for (kind, status) in [("mac", 200), ("Bearer", 400), ("Bearer", 200)] {
        let Admit::Login(order) = session.renew(now) else {
            panic!("no login")
        };
        show!(ctc_driver::ctc_core::FormBody, order.request.body());
        let body =
            format!(r#"{{"token_type":"{kind}","access_token":"{TOKEN}","id_token":"{TOKEN}"}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let reading = session
            .login_reader()
            .read(status, &HeaderMap::new(), body.as_bytes());
        show!(ctc_driver::ctc_core::LoginReading, &reading);
        let outcome = session.login_response(order.ticket, reading, now);
        show!(ctc_driver::ctc_core::LoginOutcome, &outcome);
        show!(ctc_driver::ctc_core::Session, &session);
        session.reset();
    }
    let logout = session.logout().unwrap();
    show!(ctc_driver::ctc_core::FormBody, logout.body());
}

/// Logs in and makes calls, step by step. `login` and `send` are the HTTP client.
pub(crate) fn session(
    endpoint: &Endpoint,
    login: impl Fn(Request<FormBody>) -> LoginResponse,
    send: impl Fn(&HeaderMap),
) {
    let mut session = new_session(endpoint);
    show!(ctc_driver::ctc_core::Endpoint, session.endpoint());
    let mut call = Call::new(true);
    show!(ctc_driver::ctc_core::Call, &call);
    let now = Instant::now();
    let admit = session.admit(&mut call, now);
    show!(ctc_driver::ctc_core::Admit, &admit);
    let Admit::Login(order) = admit else {
        panic!("no login")
    };
    show!(ctc_driver::ctc_core::LoginOrder, &order);
    show!(ctc_driver::ctc_core::LoginTicket, &order.ticket);
    show!(ctc_driver::ctc_core::FormBody, order.request.body());
    if let Admit::Wait(wait) = session.admit(&mut Call::new(true), now) {
        show!(ctc_driver::ctc_core::Wait, &wait);
    }
    show!(ctc_driver::ctc_core::Session, &session);
    assert!(session.login_starting(&order.ticket, now));
    let request = LoginRequest::new(order.request, Duration::from_secs(30));
    show!(ctc_driver::LoginRequest, &request);
    let response = login(request.request);
    show!(ctc_driver::LoginResponse, &response);
    let reader = session.login_reader();
    show!(ctc_driver::ctc_core::LoginReader, &reader);
    // The rule prints the response to a failed login.
    let _ = reader.read(
        StatusCode::UNAUTHORIZED,
        response.headers(),
        TOKEN.as_bytes(),
    );
    let reading = reader.read(response.status(), response.headers(), &[]);
    show!(ctc_driver::ctc_core::LoginReading, &reading);
    let outcome = session.login_response(order.ticket, reading, now);
    show!(ctc_driver::ctc_core::LoginOutcome, &outcome);
    assert!(matches!(outcome, LoginOutcome::Opened(_)));

    let token = AuthToken::new(TOKEN).unwrap();
    show!(ctc_driver::ctc_core::AuthToken, &token);
    tell(&AuthToken::new(format!("{TOKEN};")).unwrap_err());
    let spoilt = AppKey::new(format!("{APP_KEY} ")).unwrap_err();
    show!(ctc_driver::ctc_core::SecretError, &spoilt);
    let admit = session.admit(&mut call, now);
    show!(ctc_driver::ctc_core::Admit, &admit);
    let Admit::Proceed(pass) = admit else {
        panic!("no pass")
    };
    stamped(&pass, &send);
    stamped(&pass.deep_clone(), &send);
    let elsewhere = Target::new("https", "elsewhere.example", None);
    show!(ctc_driver::ctc_core::Target<'_>, &elsewhere);
    let error = pass.bound_for(elsewhere).unwrap_err();
    show!(ctc_driver::ctc_core::StampError, &error);
    tell(&error);
    println!("{:?}", session.phase(now));
    show!(ctc_driver::ctc_core::Session, &session);

    let route = Route::new(&Method::GET, "/connect");
    let verdict = session.observe(
        &mut call,
        route,
        StatusCode::UNAUTHORIZED,
        &HeaderMap::new(),
        now,
    );
    show!(ctc_driver::ctc_core::Verdict, &verdict);
    assert!(matches!(verdict, Verdict::Unauthorized(_)));
    resumed(session, now);
    small_things(endpoint);
    service(endpoint);
    stores();
}

fn stamped(pass: &Pass, send: &impl Fn(&HeaderMap)) {
    show!(ctc_driver::ctc_core::Pass, pass);
    let unprotected = pass.unprotected_token();
    show!(ctc_driver::ctc_core::UnprotectedToken, &unprotected);
    let target = pass.endpoint().join("/").unwrap();
    let bound = pass.bound_for(Target::from(&target)).unwrap();
    show!(ctc_driver::ctc_core::BoundPass<'_>, &bound);
    let mut headers = HeaderMap::new();
    bound.stamp(&mut headers).unwrap();
    println!("{headers:?} {headers:#?}");
    send(&headers);
}

/// Offers a store's record to a session that is about to log in.
fn resumed(mut session: Session, now: Instant) {
    let record = session.record(now, SystemTime::now());
    show!(ctc_driver::ctc_core::OpenRecord, &record);
    show!(ctc_driver::ctc_core::RecordKey, &record.key());
    let Admit::Login(order) = session.renew(now) else {
        panic!("no login")
    };
    let resumed = session.login_resumed(order.ticket, &record, now, SystemTime::now());
    show!(ctc_driver::ctc_core::Resumed, &resumed);
    if let ctc_driver::ctc_core::Resumed::Continue(ticket) = resumed {
        assert!(session.login_starting(&ticket, now));
        println!(
            "{:?}",
            session.login_failed(ticket, SendFailure::MaybeSent, now)
        );
    }
    show!(ctc_driver::ctc_core::Phase, &session.phase(now));
    let admit = session.renew(now);
    let Admit::Deny(denial) = &admit else {
        panic!("a login may be made")
    };
    show!(ctc_driver::ctc_core::Denial, denial);
    if let ctc_driver::ctc_core::Denial::BackingOff { cause, .. } = denial {
        show!(ctc_driver::ctc_core::LoginFailure, cause);
    }
    let denied = Denied::new(denial.clone(), None);
    show!(ctc_driver::Denied, &denied);
    tell(&denied);
    println!("{:?} {session:?}", session.logout());
}

/// Errors and options that may contain what a program passes in.
fn small_things(endpoint: &Endpoint) {
    let error = Endpoint::new(&format!("ftp://{USERNAME}:{PASSWORD}@{TOKEN}")).unwrap_err();
    show!(ctc_driver::ctc_core::EndpointError, &error);
    let error = endpoint
        .join(&format!("https://elsewhere.example/{TOKEN}?{APP_KEY}"))
        .unwrap_err();
    show!(ctc_driver::ctc_core::JoinError, &error);
    tell(&error);
    tell(&endpoint.join(&format!("/a path/{TOKEN}")).unwrap_err());
    show!(
        ctc_driver::ctc_core::SettingsError,
        &SettingsError::LogoutPath(error.clone())
    );
    let config = |name: &'static str| match name {
        "CTC_USERNAME" => Some(USERNAME.into()),
        "CTC_PASSWORD" => Some(PASSWORD.into()),
        "CTC_APP_KEY" => Some(APP_KEY.into()),
        "CTC_REGION" => Some(TOKEN.into()),
        _ => None,
    };
    let error = ctc_driver::SessionConfig::from_vars(config).unwrap_err();
    show!(ctc_driver::ConfigError, &error);
    tell(&error);
    tell(&ConfigError::BaseUrlVariable(
        Endpoint::new(&format!("http://{TOKEN}")).unwrap_err(),
    ));
    let limiter = LoginLimiter::new(1, 1);
    show!(ctc_driver::LoginLimiter, &limiter);
    show!(ctc_driver::BodyStream, &BodyStream::new(TOKEN.to_owned()));
    let closure = FnTransport::blocking(|_| Err::<Response<Vec<u8>>, _>(TOKEN));
    show!(ctc_driver::FnTransport<_>, &closure);
    show!(ctc_driver::CallOptions, &CallOptions::new());
    sources();
    show!(ctc_driver::SystemClock, &SystemClock);
}

/// Sources of credentials, and their errors.
fn sources() {
    let command = CredentialsCommand::new(USERNAME, "/nowhere/at/all").arg(PASSWORD);
    show!(ctc_driver::CredentialsCommand, &command);
    let error = command.credentials().unwrap_err();
    show!(ctc_driver::CredentialsError, &error);
    tell(&error);
    let env = CredentialsEnv::new("CTC_NO_USER", "CTC_NO_PASSWORD");
    show!(ctc_driver::CredentialsEnv, &env);
    tell(&env.credentials().unwrap_err());
    let file = CredentialsFile::for_user(USERNAME, "/nowhere/at/all");
    show!(ctc_driver::CredentialsFile, &file);
    tell(&file.credentials().unwrap_err());
    let client = ctc_ureq::Client::builder()
        .endpoint(Endpoint::us())
        .app_key(APP_KEY)
        .credentials(USERNAME, PASSWORD)
        .build()
        .unwrap();
    show!(ctc_driver::BoxCaller, &BoxCaller::new(client.clone()));
    let client = BoxStreamingCaller::new(client);
    show!(ctc_driver::BoxStreamingCaller, &client);
    let early = Settings::default().early_renewal.unwrap();
    show!(ctc_driver::ctc_core::EarlyRenewal, &early);
    let error = BodyError::UnknownType;
    show!(ctc_driver::BodyError, &error);
    tell(&error);
}

type Body = Full<Bytes>;

/// The session as a layer of tower, around a service that responds by itself.
fn service(endpoint: &Endpoint) {
    let session = SharedSession::new(new_session(endpoint));
    let layer = CtcLayer::<Body>::new(session);
    show!(ctc_tower::CtcLayer<Body>, &layer);
    let inside = service_fn(|request: Request<Body>| async move {
        println!("{:?} {:?}", request.uri(), request.headers());
        if request.uri().path().ends_with("/broken") {
            return Err(io::Error::other("the line is dead"));
        }
        let response =
            Response::builder().header("set-cookie", format!("authToken={TOKEN}; Path=/"));
        Ok(response.body(Body::default()).unwrap())
    });
    let service = layer.layer(inside);
    show!(ctc_tower::CtcService<_, Body>, &service);
    show!(ctc_tower::TowerTransport<_, Body>, service.driver().transport());
    let _: (&CtcService<_, Body>, &TowerTransport<_, Body>) =
        (&service, service.driver().transport());
    let call = |path: &str| {
        let request = Request::get(path).body(Vec::new()).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(service.fetch(request))
    };
    println!("{:?}", call("/connect/services/devices").unwrap());
    let Err(CallError::Transport(error)) = call("/connect/broken") else {
        panic!("not broken")
    };
    show!(ctc_tower::TowerError, &error);
    let _: &TowerError = &error;
    tell(&error);
    show!(ctc_driver::SharedSession, service.driver().session());
    callers(service);

    let mut request = Request::get(endpoint.join("/connect").unwrap())
        .body(Body::default())
        .unwrap();
    request.headers_mut().insert(
        "calamp-services-app",
        AppKey::new(APP_KEY).unwrap().to_header_value(),
    );
    let outbound = ctc_tower::Outbound::with_bodies(request, Bodies::cloning());
    show!(ctc_tower::Outbound<Body>, &outbound);
    show!(
        ctc_tower::OutboundCopy<Body>,
        &outbound.replay_copy().unwrap()
    );
}

/// The callers that an SDK uses.
fn callers<S>(service: CtcService<S, Body>)
where
    ServiceCaller<CtcService<S, Body>, Body>: AsyncStreamingCaller + std::fmt::Debug + 'static,
{
    let caller = ServiceCaller::new(service);
    show!(ctc_tower::ServiceCaller<_, Body>, &caller);
    let caller = BoxAsyncStreamingCaller::new(caller);
    show!(ctc_driver::BoxAsyncStreamingCaller, &caller);
    let caller = BoxAsyncCaller::new(caller);
    show!(ctc_driver::BoxAsyncCaller, &caller);
    let broken = async {
        let request = Request::get("/connect/broken").body(Vec::new()).unwrap();
        caller.fetch(request).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let Err(CallError::Transport(error)) =
        { runtime }.enable_all().build().unwrap().block_on(broken)
    else {
        panic!("not broken")
    };
    show!(ctc_driver::BoxTransportError, &error);
    tell(&error);
}

/// The stores, and their errors.
fn stores() {
    let port = redis_that_repeats_what_it_got();
    let url = format!("redis://:{REDIS_PASSWORD}@127.0.0.1:{port}");
    let store = RedisStore::open(&url).unwrap();
    show!(ctc_store_redis::RedisStore, &store);
    let key = ctc_driver::ctc_core::RecordKey {
        origin: "https://a".to_owned(),
        account: "0".to_owned(),
    };
    let terms = LeaseTerms {
        wait: Duration::ZERO,
        ttl: Duration::from_secs(1),
    };
    let Err(error) = SessionStore::lease(&store, &key, terms) else {
        panic!("that is no Redis")
    };
    show!(ctc_driver::StoreError, &error);
    if let StoreError::Unavailable(source) = &error {
        show!(
            ctc_store_redis::RedisFailure,
            source.downcast_ref::<RedisFailure>().unwrap()
        );
    }
    tell(&error);
    let error = RedisStore::open(&format!("http://:{REDIS_PASSWORD}@127.0.0.1")).unwrap_err();
    show!(ctc_store_redis::OpenError, &error);
    let _: &OpenError = &error;

    // A file in place of the folder.
    let nowhere = FileStore::at(std::env::current_exe().unwrap().join("nowhere"));
    show!(ctc_store_file::FileStore, &nowhere);
    let Err(StoreError::Unavailable(error)) = SessionStore::lease(&nowhere, &key, terms) else {
        panic!("there is no such folder")
    };
    show!(
        ctc_store_file::FileError,
        error.downcast_ref::<FileError>().unwrap()
    );
    tell(&StoreError::Unavailable(error));
}

/// Responds to each connection with an error that repeats what was sent.
fn redis_that_repeats_what_it_got() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || -> Result<Infallible, io::Error> {
        loop {
            let (mut stream, _) = listener.accept()?;
            let mut bytes = [0; 512];
            let length = stream.read(&mut bytes)?;
            let said = String::from_utf8_lossy(&bytes[..length]).replace("\r\n", " ");
            crate::note_on_the_wire(&said);
            stream.write_all(format!("-WRONGPASS {said}\r\n").as_bytes())?;
        }
    });
    port
}
