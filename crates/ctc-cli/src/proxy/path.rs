//! Paths as a server may read them.

/// Whether a server may read `path` as this plain one: whatever its case, with escapes decoded, and
/// without parameters (`;x=1`), empty segments and dots.
pub(super) fn is_read_as(path: &str, plain: &str) -> bool {
    // By far the most are plain themselves.
    if !path.contains(['%', ';', '\\', '.']) && !path.contains("//") {
        return path.trim_end_matches('/').eq_ignore_ascii_case(plain);
    }
    let mut segments = Vec::new();
    for segment in decoded(path).split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment.split(|byte| *byte == b';').next() {
            None | Some(b"" | b".") => {}
            Some(b"..") => drop(segments.pop()),
            Some(name) => segments.push(name.to_ascii_lowercase()),
        }
    }
    let plain = plain.split('/').filter(|segment| !segment.is_empty());
    plain
        .map(|segment| segment.to_ascii_lowercase().into_bytes())
        .eq(segments)
}

/// What is no escape stays as it is.
fn decoded(path: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut rest, mut text) = (path.as_bytes(), Vec::new());
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, digit(after.first()).zip(digit(after.get(1)))) {
            (b'%', Some((high, low))) => {
                text.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                text.push(byte);
                rest = after;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_one_in_every_spelling_that_a_server_may_read_so() {
        let is_login = |path: &str| is_read_as(path, "/connect/services/login");
        for login in [
            "/connect/services/login",
            "/connect/services/login/",
            "/connect//services/login",
            "/connect/./services/login",
            "/connect/x/../services/login",
            "/../connect/services/login",
            "/connect/services/%6Cog%69n",
            "/connect/services%2flogin",
            "/connect/services/login;x=1",
            "/connect;x=1/services/login",
            "/connect\\services/login",
            "/Connect/Services/Login",
        ] {
            assert!(is_login(login), "{login}");
        }
        for other in [
            "/",
            "/connect/services/logins",
            "/connect/services/login/x",
            "/connect/services/login/..",
            "/connect/services/%zzlogin",
            "/connect/services/login%6",
            "/connect/login",
        ] {
            assert!(!is_login(other), "{other}");
        }
    }
}
