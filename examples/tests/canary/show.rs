//! Printing everything that can be printed of a value.

use std::error::Error;

/// Prints a value in both forms, after the name of its type, which the compiler checks.
macro_rules! show {
    ($type:ty, $value:expr) => {{
        let value: &$type = $value;
        println!("shown {}\n{value:?}\n{value:#?}", stringify!($type));
    }};
}
pub(crate) use show;

/// Prints an error and all its sources, in every form.
pub(crate) fn tell(error: &(dyn Error + 'static)) {
    let mut link = Some(error);
    while let Some(error) = link {
        println!("{error} | {error:#} | {error:?} | {error:#?}");
        link = error.source();
    }
}

/// Runs code that panics on a separate thread, and prints the panic's message.
pub(crate) fn panics<T: Send>(what: impl FnOnce() -> T + Send) {
    let result = std::thread::scope(|scope| scope.spawn(what).join());
    let Err(panic) = result else {
        panic!("no panic")
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    println!(
        "panicked: {}",
        text.or(panic.downcast_ref::<&str>().copied())
            .unwrap_or("?")
    );
}
