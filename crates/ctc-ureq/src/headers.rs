//! The headers of a request that may have to be sent once more.

use http::{HeaderMap, HeaderName, HeaderValue};

/// As many as most callers set by themselves.
const FEW: usize = 3;

/// A copy of a request's headers. A few take no memory on the heap, which the copy of a
/// [`HeaderMap`] does.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box for the large one is what it is to do without"
)]
pub(crate) enum FewHeaders {
    /// None at all.
    None,
    /// In their order, from the first place on.
    Few([Option<(HeaderName, HeaderValue)>; FEW]),
    /// More than that.
    Many(Box<HeaderMap>),
}

impl FewHeaders {
    /// A copy of `headers`.
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.is_empty() {
            Self::None
        } else {
            Self::some(headers)
        }
    }

    #[inline]
    fn some(headers: &HeaderMap) -> Self {
        if headers.len() > FEW {
            return Self::Many(Box::new(headers.clone()));
        }
        let mut each = headers.iter();
        let mut next = || {
            each.next()
                .map(|(name, value)| (name.clone(), value.clone()))
        };
        Self::Few([next(), next(), next()])
    }
}

impl From<FewHeaders> for HeaderMap {
    fn from(headers: FewHeaders) -> Self {
        match headers {
            FewHeaders::None => Self::new(),
            FewHeaders::Few(few) => {
                let mut headers = Self::new();
                for (name, value) in few.into_iter().flatten() {
                    headers.append(name, value);
                }
                headers
            }
            FewHeaders::Many(headers) => *headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Order within a name, and the mark on a secret, are kept, whether there are few or many.
    #[test]
    fn a_copy_is_the_same() {
        for count in 0..=FEW + 2 {
            let mut headers = HeaderMap::new();
            for number in 0..count {
                let mut value = HeaderValue::from(number);
                value.set_sensitive(number == 1);
                headers.append(["x-one", "x-two"][number % 2], value);
            }
            let copy = HeaderMap::from(FewHeaders::of(&headers));
            assert_eq!(copy, headers);
            assert!(
                copy.values()
                    .map(HeaderValue::is_sensitive)
                    .eq(headers.values().map(HeaderValue::is_sensitive))
            );
            assert_eq!(
                matches!(FewHeaders::of(&headers), FewHeaders::Many(_)),
                count > FEW
            );
        }
    }
}
