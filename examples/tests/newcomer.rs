//! What newcomers wrote from the documentation alone goes on working, and stays short.

#[path = "../newcomer/async_app.rs"]
mod async_app;
#[path = "../newcomer/blocking_app.rs"]
mod blocking_app;
#[path = "../newcomer/hyper_app.rs"]
mod hyper_app;
#[path = "../newcomer/own_transport.rs"]
mod own_transport;

#[test]
fn the_async_app_runs() {
    async_app::main().unwrap();
}

#[test]
fn the_blocking_app_runs() {
    blocking_app::main().unwrap();
}

#[test]
fn the_hyper_app_runs() {
    hyper_app::main().unwrap();
}

#[test]
fn the_app_with_its_own_transport_runs() {
    own_transport::main().unwrap();
}

#[test]
fn each_takes_less_than_sixty_lines() {
    for (name, text) in [
        ("async_app", include_str!("../newcomer/async_app.rs")),
        ("blocking_app", include_str!("../newcomer/blocking_app.rs")),
        ("hyper_app", include_str!("../newcomer/hyper_app.rs")),
        ("own_transport", include_str!("../newcomer/own_transport.rs")),
        ("mocks", include_str!("../newcomer/mocks.rs")),
    ] {
        assert!(text.lines().count() < 60, "{name}: {} lines", text.lines().count());
    }
}
