//! The first case, on which all others depend.

use super::prelude::*;

/// The session finds its token by the name of its cookie, in one of several `Set-Cookie` lines.
/// This case passes the login to the transport directly, so that it can report lost lines.
pub(super) fn login_response_arrives(stage: &Stage<'_>) -> Checked {
    let server = stage.server(Server::builder())?;
    let lines = [
        "JSESSIONID=BBBB; Path=/connect",
        "authToken=AAAA; Path=/connect; HttpOnly",
        "lb=CCCC; Path=/",
    ];
    let script = Fault::SetCookies(lines.map(str::to_owned).to_vec());
    server.inject(Rule::once(Matcher::Login, script));
    let response = stage.send_login(&server)?;
    equal(
        "the status of a login's response",
        response.status().as_u16(),
        200,
    )?;
    let given: Vec<_> = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    let whole = given.iter().filter(|line| lines.contains(&line.as_str()));
    let whole = whole.count();
    if given == lines {
        return Ok(());
    }
    fail(
        format!(
            "your stack gave {whole} of {} `Set-Cookie` lines of a login's response as they were",
            lines.len()
        ),
        format!("{lines:?}"),
        format!("{given:?}"),
    )
}
