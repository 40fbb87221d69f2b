//! Connections: their limit, which one closes when there are too many, and how all of them end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::listen::{Bounded, Listener, Stream};
use super::stall::{Stall, Timer};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The size of the read and write buffers, in bytes. A request with a longer head gets a 431.
pub(super) const BUFFER: usize = 64 * 1024;
/// Concurrent calls on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// How long to wait before looking again for a free slot or file descriptor.
const PAUSE: Duration = Duration::from_millis(20);

/// The limits of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Open connections.
    pub(super) connections: usize,
    /// How long a connection may be without a complete request.
    pub(super) idle: Duration,
    /// How long a peer may read nothing of what is written to it.
    pub(super) stall: Duration,
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    slots: Arc<Semaphore>,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    start: Instant,
    pub(super) counts: Counts,
}

/// The counters of connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: AtomicU64,
    /// Closed to make room.
    pub(super) evicted: AtomicU64,
    /// Closed because they had no complete request for too long.
    pub(super) expired: AtomicU64,
    /// Calls in progress.
    pub(super) calls: AtomicUsize,
}

/// One connection, as seen from outside its task.
#[derive(Debug)]
struct Connection {
    calls: AtomicUsize,
    /// When the last call ended or, before the first, the connection was accepted; in milliseconds
    /// after the start.
    idle_since: AtomicU64,
    orders: AtomicU8,
    /// Wakes the task, so that it sees its orders.
    task: Mutex<Option<Waker>>,
    /// Timers of calls that have ended, for reuse.
    timers: Mutex<Vec<Timer>>,
}

/// The order to close, to make room, unless the connection has a call by now.
const EVICT: u8 = 1;
/// The order to close after too long without a complete request, unless it has one by now.
const EXPIRE: u8 = 2;
/// The order to close once its calls have ended.
const DRAIN: u8 = 4;

/// A call in progress. Dropping this ends the call.
#[derive(Debug)]
pub(super) struct CallGuard {
    connection: Arc<Connection>,
    all: Arc<Connections>,
    /// How long the call has been waiting for the server.
    pub(super) stall: Stall,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            slots: Arc::new(Semaphore::new(limits.connections)),
            open: Mutex::default(),
            start: Instant::now(),
            counts: Counts::default(),
        })
    }

    /// Returns how many are open.
    pub(super) fn open(&self) -> usize {
        self.lock().len()
    }

    /// Accepts connections and serves them until `drain` is true, then waits until the calls of
    /// each have ended. Dropping the future cuts the remaining connections.
    pub(super) async fn serve<H, F, B>(
        self: &Arc<Self>,
        listener: Listener,
        handler: H,
        drain: watch::Receiver<bool>,
    ) where
        H: Fn(Request<Incoming>, CallGuard) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        tokio::select! {
            () = self.serve_all(listener, handler, drain) => {}
            never = self.expire_idle() => match never {},
        }
    }

    async fn serve_all<H, F, B>(
        self: &Arc<Self>,
        listener: Listener,
        handler: H,
        mut drain: watch::Receiver<bool>,
    ) where
        H: Fn(Request<Incoming>, CallGuard) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        let mut next = 0;
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                _ = drain.wait_for(|drain| *drain) => break,
            };
            while tasks.try_join_next().is_some() {}
            let (stream, slot) = accepted;
            next += 1;
            let connection = self.register(next);
            let (all, handler) = (Arc::clone(self), handler.clone());
            tasks.spawn(async move {
                all.run(stream, &connection, handler).await;
                all.lock().remove(&next);
                drop(slot);
            });
        }
        // The system refuses new connections from here on.
        drop(listener);
        for connection in self.lock().values() {
            connection.order(DRAIN);
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Returns the next connection, once there is room for it.
    async fn accept(&self, listener: &Listener) -> (Box<dyn Stream>, OwnedSemaphorePermit) {
        let stream = loop {
            match listener.accept().await {
                Ok(stream) => break stream,
                // The peer has closed it already, or no file descriptor is free: make room.
                Err(_) => {
                    self.evict();
                    sleep(PAUSE).await;
                }
            }
        };
        loop {
            // The semaphore is never closed, so an error means that no slot is free.
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                self.counts.accepted.fetch_add(1, Relaxed);
                return (stream, slot);
            }
            self.evict();
            tokio::select! {
                _ = self.slots.acquire() => {}
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// Closes the connection that has been idle for longest, if there is one.
    ///
    /// So connections that send nothing, or send it slowly, block no others: an ordinary caller
    /// sends its request at once, and its connection is not idle from then on.
    fn evict(&self) {
        let open = self.lock();
        let idle = open.values().filter(|connection| {
            connection.is_idle() && connection.orders.load(SeqCst) & EVICT == 0
        });
        if let Some(oldest) = idle.min_by_key(|connection| connection.idle_since.load(SeqCst)) {
            oldest.order(EVICT);
        }
    }

    /// Closes connections that have had no complete request for too long. All share one timer: a
    /// timer for each would be polled whenever its connection is.
    async fn expire_idle(&self) -> Infallible {
        loop {
            let now = self.now();
            // A connection that becomes idle from here on expires no earlier.
            let mut next = now + self.idle();
            for connection in self.lock().values() {
                match self.expires(connection) {
                    Some(end) if end > now => next = next.min(end),
                    Some(_) => connection.order(EXPIRE),
                    None => {}
                }
            }
            // With many connections one expires at any moment: closing it a little late is fine.
            let pause = self.limits.idle / 64;
            sleep_until((self.start + Duration::from_millis(next)).max(Instant::now() + pause))
                .await;
        }
    }

    /// Returns when a connection expires, if it is idle.
    fn expires(&self, connection: &Connection) -> Option<u64> {
        let since = connection.idle_since.load(SeqCst);
        connection.is_idle().then(|| since + self.idle())
    }

    /// Returns how long a connection may be idle, in milliseconds.
    fn idle(&self) -> u64 {
        millis(self.limits.idle).max(1)
    }

    fn register(&self, number: u64) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            calls: AtomicUsize::new(0),
            idle_since: AtomicU64::new(self.now()),
            orders: AtomicU8::new(0),
            task: Mutex::default(),
            timers: Mutex::default(),
        });
        self.lock().insert(number, Arc::clone(&connection));
        connection
    }

    async fn run<H, F, B>(
        self: &Arc<Self>,
        stream: Box<dyn Stream>,
        connection: &Arc<Connection>,
        handler: H,
    ) where
        H: Fn(Request<Incoming>, CallGuard) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        // Create the guard here, so that no connection closes between its request and its call.
        let service = service_fn(|request| handler(request, CallGuard::new(self, connection)));
        let io = TokioIo::new(Bounded::new(stream, self.limits.stall));
        let builder = builder();
        let mut serving = pin!(builder.serve_connection(io, service));
        let mut task = None;
        poll_fn(|context| {
            loop {
                // Ignore errors: the peer went away or broke the protocol, and nobody can be told.
                if serving.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                connection.listen(&mut task, context);
                let orders = connection.take_orders();
                if orders & EVICT != 0 && connection.is_idle() {
                    self.counts.evicted.fetch_add(1, Relaxed);
                    return Poll::Ready(());
                }
                if orders & EXPIRE != 0
                    && self
                        .expires(connection)
                        .is_some_and(|end| end <= self.now())
                {
                    self.counts.expired.fetch_add(1, Relaxed);
                    return Poll::Ready(());
                }
                if orders & DRAIN == 0 {
                    return Poll::Pending;
                }
                serving.as_mut().graceful_shutdown();
            }
        })
        .await;
    }

    /// Returns the milliseconds since the start.
    fn now(&self) -> u64 {
        millis(self.start.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        locked(&self.open)
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // No time limit for heads here: `expire_idle` enforces it for both versions alike.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER);
    builder
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.calls.load(SeqCst) == 0
    }

    /// Gives the connection's task an order.
    fn order(&self, order: u8) {
        self.orders.fetch_or(order, SeqCst);
        let task = locked(&self.task).clone();
        // A task that was not polled yet looks for orders when it is.
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Registers the task's waker, before the task looks for orders, so that it misses none.
    /// `known` is the registered waker: if it is still right, the lock is not needed.
    fn listen(&self, known: &mut Option<Waker>, context: &Context<'_>) {
        let task = context.waker();
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
            locked(&self.task).clone_from(known);
        }
    }

    fn take_orders(&self) -> u8 {
        match self.orders.load(SeqCst) {
            0 => 0,
            _ => self.orders.swap(0, SeqCst),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl CallGuard {
    fn new(all: &Arc<Connections>, connection: &Arc<Connection>) -> Self {
        connection.calls.fetch_add(1, SeqCst);
        all.counts.calls.fetch_add(1, Relaxed);
        Self {
            connection: Arc::clone(connection),
            all: Arc::clone(all),
            stall: Stall::with(locked(&connection.timers).pop()),
        }
    }

    /// Returns whether more calls are in progress than connections may be open, which only HTTP/2
    /// allows.
    pub(super) fn is_too_many(&self) -> bool {
        self.all.counts.calls.load(Relaxed) > self.all.limits.connections
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if let Some(timer) = std::mem::take(&mut self.stall).into_timer() {
            locked(&self.connection.timers).push(timer);
        }
        self.all.counts.calls.fetch_sub(1, Relaxed);
        self.connection.idle_since.store(self.all.now(), SeqCst);
        self.connection.calls.fetch_sub(1, SeqCst);
    }
}
