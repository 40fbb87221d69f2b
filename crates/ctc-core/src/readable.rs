//! Errors whose `Debug` is for people.

use std::error::Error;
use std::fmt;

/// Writes an error's message, then those of its sources: what `fn main() -> Result<…>` prints.
///
/// # Errors
/// Returns [`fmt::Error`] if the formatter does.
pub fn debug(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut link = error.source();
    if link.is_some() {
        f.write_str("\n\nCaused by:")?;
    }
    while let Some(source) = link {
        write!(f, "\n    {source}")?;
        link = source.source();
    }
    Ok(())
}

/// Implements `Debug` of error types by [`debug`].
#[doc(hidden)]
#[macro_export]
macro_rules! __readable_debug {
    ($($error:ty),+ $(,)?) => {$(
        $crate::__readable_debug!(impl[] $error);
    )+};
    (impl[$($generics:tt)*] $error:ty) => {
        impl<$($generics)*> ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::__readable::debug(self, f)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::{Endpoint, OAuth};

    #[test]
    fn debug_is_the_message_and_its_sources() {
        let plain = Endpoint::new("http://a.example").unwrap_err();
        assert_eq!(format!("{plain:?}"), plain.to_string());
        let error = OAuth::new("http://a.example/token", "id").unwrap_err();
        let text = format!("{error:?}");
        assert_eq!(text, format!("{error}\n\nCaused by:\n    {plain}"));
    }
}
