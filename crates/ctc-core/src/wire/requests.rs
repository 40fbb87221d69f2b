//! The two requests that this crate writes itself: login and logout.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use serde::Serialize;
use zeroize::Zeroizing;

use super::APP_KEY_HEADER;
use crate::secret::{AppKey, Credentials, FormBody};
use crate::session::Pass;
use crate::settings::{AuthTokenSwitch, Settings};
use crate::{Endpoint, JoinError, Target};

const LOGIN_PATH: &str = "/connect/services/login";

#[derive(Serialize)]
struct LoginForm<'a> {
    username: &'a str,
    password: &'a str,
    #[serde(rename = "useAuthToken", skip_serializing_if = "Option::is_none")]
    use_auth_token: Option<bool>,
}

/// The requests of one endpoint, their addresses worked out once.
#[derive(Debug)]
pub(crate) struct Requests {
    login: Uri,
    logout: Uri,
    switch: AuthTokenSwitch,
}

impl Requests {
    pub(crate) fn new(endpoint: &Endpoint, settings: &Settings) -> Result<Self, JoinError> {
        let login = match settings.auth_token_switch {
            AuthTokenSwitch::Query => endpoint.join(&format!("{LOGIN_PATH}?useAuthToken=true"))?,
            AuthTokenSwitch::FormField => endpoint.join(LOGIN_PATH)?,
        };
        let logout = endpoint.join(&settings.logout_path)?;
        Ok(Self {
            login,
            logout,
            switch: settings.auth_token_switch,
        })
    }

    /// The login of the vendor's page: `POST`, the key in a header, user name and password in the
    /// form body.
    pub(crate) fn login(&self, key: &AppKey, credentials: &Credentials) -> Request<FormBody> {
        let form = LoginForm {
            username: credentials.username(),
            password: credentials.password(),
            use_auth_token: (self.switch == AuthTokenSwitch::FormField).then_some(true),
        };
        let mut request = post(&self.login, encode(&form));
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(APP_KEY_HEADER, key.to_header_value());
        request
    }

    /// The logout call. Path and method are our assumption: the vendor's pages name a logout API,
    /// not its address.
    pub(crate) fn logout(&self, pass: &Pass) -> Option<Request<FormBody>> {
        let mut request = post(&self.logout, FormBody::default());
        pass.stamp(Target::from(&self.logout), request.headers_mut())
            .ok()?;
        Some(request)
    }
}

fn post(uri: &Uri, body: FormBody) -> Request<FormBody> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request
}

/// The form, in memory that is wiped, sized so that it never moves and leaves a copy behind.
fn encode(form: &LoginForm<'_>) -> FormBody {
    let mut pairs = form_urlencoded::Serializer::new(String::with_capacity(room(form)));
    // Text fields always serialise; were that to change, an incomplete form is a refused login, not
    // a panic.
    let _ = form.serialize(serde_urlencoded::Serializer::new(&mut pairs));
    FormBody::new(Zeroizing::new(pairs.finish().into_bytes()))
}

/// More than the names of all fields with what stands between them.
const FIELD_NAMES: usize = 64;

/// As much as the form takes at most, with every byte escaped.
fn room(form: &LoginForm<'_>) -> usize {
    FIELD_NAMES + 3 * (form.username.len() + form.password.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(username: &str, password: &str, switch: AuthTokenSwitch) -> Request<FormBody> {
        let credentials = Credentials::new(username, password).unwrap();
        let settings = Settings {
            auth_token_switch: switch,
            ..Settings::default()
        };
        let requests = Requests::new(&Endpoint::us(), &settings).unwrap();
        requests.login(&AppKey::new("key-1").unwrap(), &credentials)
    }

    #[test]
    fn the_request_is_the_one_on_the_vendors_page() {
        let request = login("user", "pass!word", AuthTokenSwitch::Query);
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.uri(),
            "https://connect.calamp.com/connect/services/login?useAuthToken=true"
        );
        assert_eq!(
            request.headers()["content-type"],
            "application/x-www-form-urlencoded"
        );
        assert_eq!(request.headers()["calamp-services-app"], "key-1");
        assert_eq!(request.headers().len(), 2);
        assert_eq!(
            request.body().as_ref(),
            b"username=user&password=pass%21word"
        );
    }

    #[test]
    fn t42_the_form_decodes_to_the_same_bytes() {
        for text in [
            "a+b@c.example",
            "100%&=$ ;?#",
            "Größe €😀",
            " lead and trail ",
            "%2B",
            "\u{a0}nbsp\u{a0}",
        ] {
            let request = login(text, text, AuthTokenSwitch::FormField);
            let decoded: Vec<_> = form_urlencoded::parse(request.body().as_ref())
                .into_owned()
                .collect();
            let expected = [
                ("username", text),
                ("password", text),
                ("useAuthToken", "true"),
            ];
            assert_eq!(
                decoded,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
            );
        }
    }

    #[test]
    fn t80_a_form_has_room_enough_from_the_start_and_not_much_more() {
        for length in [1, 50, 1000] {
            let text = "%".repeat(length);
            let form = LoginForm {
                username: &text,
                password: &text,
                use_auth_token: Some(true),
            };
            let (room, taken) = (room(&form), encode(&form).as_ref().len());
            assert!(
                taken <= room && room <= taken + FIELD_NAMES,
                "{taken} of {room}"
            );
        }
    }

    #[test]
    fn a_form_as_bytes_is_the_same_form() {
        let request = login("user", "pass!word", AuthTokenSwitch::FormField);
        let bytes = bytes::Bytes::from(request.into_body());
        assert_eq!(
            bytes,
            "username=user&password=pass%21word&useAuthToken=true"
        );
    }

    #[test]
    fn t81_the_password_is_never_in_the_url() {
        for switch in [AuthTokenSwitch::Query, AuthTokenSwitch::FormField] {
            let request = login("CANARY-USER", "CANARY-PASSWORD", switch);
            assert!(!request.uri().to_string().contains("CANARY"));
            assert!(!format!("{request:?}").contains("CANARY"));
        }
    }
}
