//! The work of one stamp: an open session, an ordinary request, an ordinary response, and the limit
//! L.

use ctc_driver::__adapter::by_hand::{admit, observe, try_stamp};
use ctc_driver::SharedSession;
use ctc_driver::ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Instant, LoginOutcome, Route, Session, Settings,
};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, SERVER,
    USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use crate::Failure;

/// The header of the application key.
pub const APP_KEY: HeaderName = HeaderName::from_static("calamp-services-app");
/// The application key of all measurements.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";
/// The value of `Accept`.
pub const ACCEPT_JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");

/// Returns a token of 256 characters that ends in `mark`.
pub fn token(mark: u64) -> String {
    format!("{mark:A>256}")
}

/// The limit L: adding key and token from owned values, and nothing else.
#[derive(Debug)]
pub struct Limit {
    key: HeaderValue,
    cookie: HeaderValue,
}

impl Limit {
    /// Creates the values.
    ///
    /// # Errors
    /// Never fails: the values are fixed.
    pub fn new() -> Result<Self, Failure> {
        let mut key = HeaderValue::from_str(KEY)?;
        let mut cookie = HeaderValue::from_str(&format!("authToken={}", token(1)))?;
        key.set_sensitive(true);
        cookie.set_sensitive(true);
        Ok(Self { key, cookie })
    }

    /// Stamps a request.
    #[inline]
    pub fn stamp(&self, headers: &mut HeaderMap) {
        headers.insert(APP_KEY, self.key.clone());
        headers.insert(COOKIE, self.cookie.clone());
    }
}

/// Creates a session that is open.
///
/// # Errors
/// Never fails: the values are fixed.
pub fn open() -> Result<SharedSession, Failure> {
    open_with(|_, _| ())
}

/// Creates a session that is open while a login for a newer token is in progress.
///
/// # Errors
/// Never fails: the values are fixed.
pub fn renewing() -> Result<SharedSession, Failure> {
    open_with(|session, now| {
        // The order is dropped, so the login stays in progress until its lease expires.
        let _ = session.renew(now);
    })
}

fn open_with(then: impl FnOnce(&mut Session, Instant)) -> Result<SharedSession, Failure> {
    let credentials = Credentials::new("ada@example.com", "s3cret!")?;
    let mut session = Session::new(
        Endpoint::us(),
        AppKey::new(KEY)?,
        credentials,
        Settings::default(),
    )?;
    let now = Instant::now();
    let Admit::Login(order) = session.admit(&mut Call::new(true), now) else {
        return Err("the first caller was not elected".into());
    };
    let cookie = format!("authToken={}; Path=/connect", token(1));
    let response = Response::builder().header("set-cookie", cookie).body(())?;
    let reader = session.login_reader();
    let reading = reader.read(response.status(), response.headers(), &[]);
    let LoginOutcome::Opened(_) = session.login_response(order.ticket, reading, now) else {
        return Err("the login did not open the session".into());
    };
    then(&mut session, now);
    let session = SharedSession::new(session);
    // The first call publishes the pass, and the first stamp of a thread makes its copy of it.
    let _ = admit(&session, &mut Call::new(true));
    try_stamp(&session, &mut Call::new(true), &mut request()?)?;
    Ok(session)
}

/// Creates a request with four headers, as `http` builds it.
///
/// # Errors
/// Never fails: the values are fixed.
pub fn request() -> Result<Request<()>, Failure> {
    let builder = Request::get("https://connect.calamp.com/connect/services/devices?pg=1");
    let builder = builder
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "probe/1");
    Ok(builder
        .header(ACCEPT_ENCODING, "identity")
        .header("x-request-id", "0123456789")
        .body(())?)
}

/// Returns the six headers of an ordinary 200.
pub fn response() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [
        DATE,
        CONTENT_TYPE,
        CONTENT_LENGTH,
        SERVER,
        CACHE_CONTROL,
        VARY,
    ] {
        headers.insert(name, HeaderValue::from_static("something"));
    }
    headers
}

/// The session work of a call while the session is open: getting the pass, stamping, and reading
/// the response.
#[inline]
pub fn session_work(session: &SharedSession, request: &mut Request<()>, response: &HeaderMap) {
    let mut call = Call::new(true);
    let stamped = try_stamp(session, &mut call, request);
    debug_assert_eq!(stamped, Ok(true));
    let route = || Route::new(&Method::GET, "/connect/services/devices");
    let _ = observe(session, &mut call, route, StatusCode::OK, response);
}

/// Removes key and token, so that the request can be stamped again without growing.
#[inline]
pub fn unstamp(request: &mut Request<()>) {
    request.headers_mut().remove(APP_KEY);
    request.headers_mut().remove(COOKIE);
}

/// Stamps a whole batch: the only part that is timed and counted.
#[inline(never)]
pub fn stamp_all(batch: &mut [Request<()>], stamp: &mut impl FnMut(&mut Request<()>)) {
    for request in batch {
        stamp(std::hint::black_box(request));
    }
}

/// How many requests are stamped in a row: few enough to stay in the cache, enough to hide the cost
/// of reading the clock.
pub const BATCH: usize = 64;

/// Creates a batch of requests.
///
/// # Errors
/// Never fails: the values are fixed.
pub fn batch() -> Result<Vec<Request<()>>, Failure> {
    (0..BATCH).map(|_| request()).collect()
}
