//! A connection that is made when it is needed, made anew when it breaks, and never waited for
//! without end.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Connection, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};

use crate::error::RedisFailure;

/// Between two tries within one operation: Redis may be just starting again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Link {
    client: Arc<Client>,
    connection: Option<Connection>,
    /// For each operation as a whole, connecting and trying again included.
    timeout: Duration,
}

impl Link {
    pub(crate) fn new(client: &Arc<Client>, timeout: Duration) -> Self {
        Self {
            client: Arc::clone(client),
            connection: None,
            timeout,
        }
    }

    /// Sends one command that may be sent twice. What breaks on the way is tried again while time
    /// is left; what Redis refuses is not.
    pub(crate) fn send<R: FromRedisValue>(
        &mut self,
        step: &'static str,
        command: &redis::Cmd,
    ) -> Result<R, RedisFailure> {
        let began = Instant::now();
        loop {
            let error = match self.try_send(command, began) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
            let starting = error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading);
            if !refused {
                // A response may still be on its way; nobody must take it for that of the next
                // command.
                self.connection = None;
            }
            let again = !refused && error.is_io_error() || starting;
            if !again || began.elapsed() + RETRY_PAUSE >= self.timeout {
                return Err(RedisFailure::of(step, &error));
            }
            thread::sleep(RETRY_PAUSE);
        }
    }

    fn try_send<R: FromRedisValue>(
        &mut self,
        command: &redis::Cmd,
        began: Instant,
    ) -> Result<R, RedisError> {
        let timeout = self.timeout;
        // Sockets do not take a timeout of zero.
        let left = || {
            timeout
                .saturating_sub(began.elapsed())
                .max(Duration::from_millis(1))
        };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.client, left())?),
        };
        connection.set_read_timeout(Some(left()))?;
        connection.set_write_timeout(Some(left()))?;
        command.query(connection)
    }
}

/// Connects on a thread of its own: neither looking up a name nor a TLS handshake can be given a
/// time limit.
fn connect(client: &Arc<Client>, timeout: Duration) -> Result<Connection, RedisError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let client = Arc::clone(client);
    let work = move || drop(sender.send(client.get_connection_with_timeout(timeout)));
    thread::Builder::new()
        .name("ctc-redis-connect".to_owned())
        .spawn(work)?;
    receiver.recv_timeout(timeout).unwrap_or_else(|_| {
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time").into())
    })
}
