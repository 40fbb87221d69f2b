//! A newcomer's unit test: code that takes any client, tested on a mock of one.

use ctc_driver::{CallError, Caller};
use http::{Request, Response};

/// How many devices are listed.
fn count_devices<C: Caller>(ctc: &C) -> Result<usize, CallError<C::Error>> {
    let request = Request::get("/connect/services/devices")
        .body(Vec::new())
        .expect("a valid path");
    let response = ctc.fetch(request)?;
    Ok(String::from_utf8_lossy(response.body())
        .matches(r#""device""#)
        .count())
}

#[cfg(test)]
mod tests {
    use ctc_driver::ctc_core::Denial;
    use ctc_driver::{CallFailure, Denied};
    use http::StatusCode;

    use super::*;

    mockall::mock! {
        Ctc {}
        impl Caller for Ctc {
            type Error = std::io::Error;
            fn fetch(
                &self,
                request: Request<Vec<u8>>,
            ) -> Result<Response<Vec<u8>>, CallError<std::io::Error>>;
        }
    }

    #[test]
    fn devices_are_counted() {
        let mut ctc = MockCtc::new();
        ctc.expect_fetch()
            .withf(|request| request.uri().path() == "/connect/services/devices")
            .return_once(|_| Ok(Response::new(br#"[{"device": 1}, {"device": 2}]"#.to_vec())));
        assert_eq!(count_devices(&ctc).unwrap(), 2);
    }

    #[test]
    fn a_rejected_password_is_passed_on() {
        let mut ctc = MockCtc::new();
        let denied = Denied::new(Denial::rejected(StatusCode::UNAUTHORIZED), None);
        ctc.expect_fetch().return_once(|_| Err(denied.into()));
        let error = count_devices(&ctc).unwrap_err();
        let why = error.denied().expect("it was denied").to_string();
        assert!(why.contains("check the username, password and application key"));
    }
}
