//! The requests that this crate writes itself: login, logout and revocation.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use zeroize::Zeroizing;

use super::APP_KEY_HEADER;
use crate::oauth::{Login, OAuth};
use crate::secret::{AppKey, Credentials, FormBody};
use crate::session::Pass;
use crate::settings::{AuthTokenSwitch, Settings};
use crate::{Endpoint, JoinError, Target};

/// The path of the vendor's login, which is a POST.
pub(crate) const LOGIN_PATH: &str = "/connect/services/login";

/// The requests of one session, their addresses worked out once.
#[derive(Debug)]
pub(crate) enum Requests {
    /// The login of the vendor's guide.
    AuthToken {
        login: Uri,
        logout: Uri,
        switch: AuthTokenSwitch,
    },
    OAuth(OAuth),
}

impl Requests {
    pub(crate) fn new(endpoint: &Endpoint, settings: &Settings) -> Result<Self, JoinError> {
        if let Login::OAuth(oauth) = &settings.login {
            return Ok(Self::OAuth(oauth.clone()));
        }
        let login = match settings.auth_token_switch {
            AuthTokenSwitch::Query => endpoint.join(&format!("{LOGIN_PATH}?useAuthToken=true"))?,
            AuthTokenSwitch::FormField => endpoint.join(LOGIN_PATH)?,
        };
        Ok(Self::AuthToken {
            login,
            logout: endpoint.join(&settings.logout_path)?,
            switch: settings.auth_token_switch,
        })
    }

    /// The login: `POST`, username and password in the form body.
    pub(crate) fn login(&self, key: &AppKey, credentials: &Credentials) -> Request<FormBody> {
        let user = [
            ("username", credentials.username()),
            ("password", credentials.password()),
        ];
        match self {
            Self::AuthToken { login, switch, .. } => {
                let in_form = *switch == AuthTokenSwitch::FormField;
                let switch = in_form.then_some(("useAuthToken", "true"));
                let mut request = post(login, form(user.into_iter().chain(switch)));
                let headers = request.headers_mut();
                headers.insert(APP_KEY_HEADER, key.to_header_value());
                request
            }
            // The application key is the API's: it never gets here.
            Self::OAuth(oauth) => {
                let grant = [("grant_type", "password")].into_iter().chain(user);
                let scope = oauth.scope_to_ask().map(|scope| ("scope", scope));
                let client = [("client_id", oauth.client_id())].into_iter().chain(scope);
                post_to_issuer(oauth.token_url(), form(grant.chain(client)))
            }
        }
    }

    /// The request that ends a token on the server, if there is one.
    ///
    /// With the cookie, its path and method are our assumption: the vendor's pages name a logout
    /// API, not its address. With OAuth it is made on demand only.
    pub(crate) fn logout(&self, pass: &Pass) -> Option<Request<FormBody>> {
        match self {
            Self::AuthToken { logout, .. } => {
                let mut request = Request::new(FormBody::default());
                *request.method_mut() = Method::POST;
                *request.uri_mut() = logout.clone();
                pass.stamp(Target::from(logout), request.headers_mut())
                    .ok()?;
                Some(request)
            }
            Self::OAuth(oauth) => {
                let token = std::str::from_utf8(pass.token().as_bytes()).ok()?;
                let fields = [
                    ("token", token),
                    ("token_type_hint", "access_token"),
                    ("client_id", oauth.client_id()),
                ];
                Some(post_to_issuer(oauth.revoke_url()?, form(fields)))
            }
        }
    }
}

fn post(uri: &Uri, body: FormBody) -> Request<FormBody> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    request
}

fn post_to_issuer(uri: &Uri, body: FormBody) -> Request<FormBody> {
    let mut request = post(uri, body);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    request
}

/// The form, in memory that is wiped, sized so that it never moves and leaves a copy behind.
fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> FormBody {
    let room = room(fields.clone());
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    form.extend_pairs(fields);
    FormBody::new(Zeroizing::new(form.finish().into_bytes()))
}

/// As much as the form takes at most: every byte escaped, and what stands between the fields.
fn room<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> usize {
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| name.len() + 3 * value.len() + 2)
        .sum()
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
    fn the_switch_stands_in_one_place() {
        let request = login("user", "pass!word", AuthTokenSwitch::FormField);
        assert_eq!(
            request.uri(),
            "https://connect.calamp.com/connect/services/login"
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
            let fields = [("username", text.as_str()), ("password", text.as_str())];
            let (room, taken) = (room(fields), form(fields).as_ref().len());
            assert!(taken <= room && room <= taken + 2, "{taken} of {room}");
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
