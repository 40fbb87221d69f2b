//! Printing whatever can be printed of a value.

use std::error::Error;

/// Prints a value in both forms, after the name of its type. That the name is the type's is checked
/// by the compiler.
macro_rules! show {
    ($type:ty, $value:expr) => {{
        let value: &$type = $value;
        println!("shown {}\n{value:?}\n{value:#?}", stringify!($type));
    }};
}
pub(crate) use show;

/// Prints an error and all that it came from, in every form.
pub(crate) fn tell(error: &(dyn Error + 'static)) {
    let mut link = Some(error);
    while let Some(error) = link {
        println!("{error} | {error:#} | {error:?} | {error:#?}");
        link = error.source();
    }
}

/// Runs what is going to panic on a thread of its own, and prints what is in the panic.
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
