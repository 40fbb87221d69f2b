//! Counts allocations and bytes, and prints them as JSON: `ctc-bench-count <url of the server>`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use allocation_counter::measure;
use ctc_bench::calls::{PAIRS, client};
use ctc_bench::scene::{open, request, response, session_work};
use ctc_bench::stub::{Stub, session};
use ctc_bench::{Failure, scene};
use ctc_driver::ctc_core::Endpoint;
use ctc_driver::{AsyncDriver, AsyncSessionStore, CallOptions, Driver, MemoryStore, Tokio};
use ctc_store_file::FileStore;
use http::Request;

/// How many calls are counted, and how many callers wait.
const CALLS: u32 = 100;
const WAITERS: u32 = 1000;

type Figures = BTreeMap<&'static str, f64>;

fn main() -> ExitCode {
    ctc_bench::build::install_tls();
    let url = std::env::args().nth(1).unwrap_or_default();
    match run(&url) {
        Ok(figures) => {
            println!("{}", serde_json::json!(figures));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ctc-bench-count: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str) -> Result<Figures, Failure> {
    let mut figures = Figures::new();
    figures.insert("session", of_session_work()?);
    for name in PAIRS.iter().flatten() {
        figures.insert(name, of_calls(name, url)?);
    }
    of_waiters(&mut figures)?;
    of_stores(&mut figures)?;
    of_file_store(&mut figures)?;
    of_clients(&mut figures)?;
    figures.insert("session memory", of_session_memory()?);
    Ok(figures)
}

fn of_session_work() -> Result<f64, Failure> {
    let (session, response) = (open()?, response());
    session_work(&session, &mut request()?, &response);
    let mut requests = scene::batch()?;
    let used = measure(|| {
        for request in &mut requests {
            session_work(&session, request, &response);
        }
    });
    Ok(used.count_total as f64 / requests.len() as f64)
}

fn of_calls(name: &str, url: &str) -> Result<f64, Failure> {
    let client = client(name, url)?;
    (0..20).try_for_each(|_| client.call())?;
    let mut result = Ok(());
    let used = measure(|| result = (0..CALLS).try_for_each(|_| client.call()));
    result?;
    Ok(used.count_total as f64 / f64::from(CALLS))
}

/// Measures what building a client allocates: ours, and the bare one with the same setup.
fn of_clients(figures: &mut Figures) -> Result<(), Failure> {
    for [bare, ours] in ctc_bench::build::PAIRS {
        for (name, client) in [bare, ours] {
            client()?;
            let mut built = Ok(());
            let used = measure(|| built = client());
            built?;
            figures.insert(name, used.bytes_total as f64);
        }
    }
    Ok(())
}

/// Measures the heap of a session after its first call, without the HTTP client.
fn of_session_memory() -> Result<f64, Failure> {
    let mut kept = Err("not measured".into());
    let used = measure(|| {
        kept =
            session().map(|session| Driver::new(session, Stub::new(Duration::ZERO, false), None));
        if let Ok(driver) = &kept {
            let _ = request().map(|request| driver.execute(request, &CallOptions::default()));
        }
    });
    if kept?.session().counts().calls != 1 {
        return Err("the session made no call".into());
    }
    Ok(used.bytes_current as f64)
}

/// Measures a caller that waits for a login: its future, without its request, and its heap.
fn of_waiters(figures: &mut Figures) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _guard = runtime.enter();
    let driver = AsyncDriver::new(
        session()?,
        Stub::new(Duration::from_secs(3600), false),
        Tokio::current(),
        None,
    );
    let options = CallOptions::default();
    let call = || {
        let mut request = Request::new(());
        *request.uri_mut() =
            http::Uri::from_static("https://connect.calamp.com/connect/services/devices");
        Box::pin(driver.execute(request, &options))
    };
    let (future, heap) = waiters(call)?;
    let own = future - size_of::<Request<()>>() as f64;
    figures.insert("waiter future", own);
    figures.insert("waiter heap", heap);
    figures.insert("waiter on a stub", own + heap);

    // It never responds, and does not even accept connections.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", silent.local_addr()?);
    let endpoint = Endpoint::danger_plain_http(&origin)?;
    let client = ctc_reqwest::Client::builder()
        .endpoint(endpoint)
        .app_key("k")
        .credentials("u", "p");
    let client = client.build()?;
    let url = reqwest::Url::parse(&format!("{origin}/connect/services/devices"))?;
    let call =
        || Box::pin(client.execute(reqwest::Request::new(reqwest::Method::GET, url.clone())));
    let (future, heap) = waiters(call)?;
    // The request is in its own heap allocation, made before the call waits.
    figures.insert("waiter on reqwest", future + heap);
    let call = || Box::pin(client.get("/connect/services/devices").send());
    let (future, heap) = waiters(call)?;
    figures.insert("waiter on reqwest, by its builder", future + heap);
    Ok(())
}

/// Returns the size of a call's future, and its heap while it waits.
fn waiters<F>(call: impl Fn() -> F) -> Result<(f64, f64), Failure>
where
    F: Future + Unpin + std::ops::Deref<Target: Sized>,
{
    let mut context = Context::from_waker(Waker::noop());
    // The first caller starts the login, and pays for it.
    let mut first = call();
    let mut waiting: Vec<F> = (0..WAITERS).map(|_| call()).collect();
    let mut pending = std::pin::Pin::new(&mut first)
        .poll(&mut context)
        .is_pending();
    let used = measure(|| {
        for call in &mut waiting {
            pending &= std::pin::Pin::new(call).poll(&mut context).is_pending();
        }
    });
    if !pending {
        return Err("a caller of a login that takes for ever did not wait".into());
    }
    Ok((
        size_of_val(&*first) as f64,
        used.bytes_current as f64 / f64::from(WAITERS),
    ))
}

/// Measures a login with a store that processes share, and a call on an open session with it.
fn of_file_store(figures: &mut Figures) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("ctc-bench-count-{}", std::process::id()));
    let store = Arc::new(FileStore::at(&folder));
    let driver = Driver::new(session()?, Stub::new(Duration::ZERO, false), Some(store));
    let options = CallOptions::default();
    let mut result = Ok(());
    let used = measure(|| result = driver.login(&options));
    // Ignore the error: a folder that is left behind only takes space.
    let _ = std::fs::remove_dir_all(&folder);
    result?;
    figures.insert("login with file store", used.count_total as f64);
    let call_once =
        || -> Result<(), Failure> { Ok(driver.execute(request()?, &options).map(drop)?) };
    call_once()?;
    let mut result = Ok(());
    let used = measure(|| result = (0..CALLS).try_for_each(|_| call_once()));
    result?;
    figures.insert(
        "stub blocking with file store",
        used.count_total as f64 / f64::from(CALLS),
    );
    Ok(())
}

/// Measures a login, and a call on an open session, with and without a store.
fn of_stores(figures: &mut Figures) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let memory: Arc<dyn AsyncSessionStore> = Arc::new(MemoryStore::new());
    // Each store has its own name in this folder.
    let stores = [
        ("login", "call without store", None),
        ("login with store", "stub async with store", Some(memory)),
    ];
    for (login, call, store) in stores {
        let driver = AsyncDriver::new(
            session()?,
            Stub::new(Duration::ZERO, false),
            Tokio::current(),
            store,
        );
        let options = CallOptions::default();
        let mut result = Ok(());
        let used = measure(|| result = runtime.block_on(driver.login(&options)));
        result?;
        figures.insert(login, used.count_total as f64);
        let call_once = || -> Result<(), Failure> {
            Ok(runtime
                .block_on(driver.execute(request()?, &options))
                .map(drop)?)
        };
        call_once()?;
        let mut result = Ok(());
        let used = measure(|| result = (0..CALLS).try_for_each(|_| call_once()));
        result?;
        figures.insert(call, used.count_total as f64 / f64::from(CALLS));
    }
    Ok(())
}
