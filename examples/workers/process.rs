//! A worker process, seen from outside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Program, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::{Command, Job, Report, WORKER};

/// The time limit of a command.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    responses: Receiver<String>,
}

impl Worker {
    /// Starts another process of this program as a worker, and waits until it is ready.
    ///
    /// `args` are for the new process: they tell a test program to run one test only, which then
    /// calls [`work_if_asked`](super::work_if_asked).
    ///
    /// # Errors
    /// Returns an error if the process cannot be started.
    pub fn start(job: &Job, args: &[&str]) -> Result<Self, String> {
        let worker = Self::begin(job, args)?;
        worker.line().map(|_| worker)
    }

    /// Like [`start`](Self::start) for several processes: starts all of them before it waits for
    /// any.
    ///
    /// # Errors
    /// Returns an error if a process cannot be started.
    pub fn start_all(jobs: &[Job], args: &[&str]) -> Result<Vec<Self>, String> {
        let workers: Vec<_> = jobs
            .iter()
            .map(|job| Self::begin(job, args))
            .collect::<Result<_, _>>()?;
        workers
            .iter()
            .try_for_each(|worker| worker.line().map(drop))?;
        Ok(workers)
    }

    fn begin(job: &Job, args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let job = serde_json::to_string(job).map_err(|error| error.to_string())?;
        let mut command = Program::new(program);
        command
            .args(args)
            .env(WORKER, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start a worker: {error}"))?;
        let stdout = child
            .stdout
            .take()
            .ok_or("a worker without standard output")?;
        let (sender, responses) = channel();
        thread::spawn(move || {
            // Only lines of JSON are responses: a test program prints other lines, too.
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines
                .filter_map(|line| line.find('{').map(|at| line[at..].to_owned()))
                .for_each(|line| {
                    let _ = sender.send(line);
                });
        });
        Ok(Self { child, responses })
    }

    /// Sends a command, without waiting for the response.
    ///
    /// # Errors
    /// Returns an error if the process has ended.
    pub fn tell(&mut self, command: Command) -> Result<(), String> {
        let line = serde_json::to_string(&command).map_err(|error| error.to_string())?;
        let stdin = self
            .child
            .stdin
            .as_mut()
            .ok_or("a worker without standard input")?;
        writeln!(stdin, "{line}").map_err(|error| format!("a worker is gone: {error}"))
    }

    /// Waits for the response to a command.
    ///
    /// # Errors
    /// Returns an error if there is none within a minute.
    pub fn report(&mut self) -> Result<Report, String> {
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| format!("a worker said {line:?}: {error}"))
    }

    /// Sends a command and waits for the response.
    ///
    /// # Errors
    /// Returns an error as [`tell`](Self::tell) and [`report`](Self::report) do.
    pub fn run(&mut self, command: Command) -> Result<Report, String> {
        self.tell(command)?;
        self.report()
    }

    /// Returns the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL) and waits until it has ended.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn line(&self) -> Result<String, String> {
        self.responses
            .recv_timeout(PATIENCE)
            .map_err(|_| "a worker does not respond".to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, such as `STOP` or `CONT`, to a process.
///
/// # Errors
/// Returns an error if that fails.
pub fn signal(pid: u32, name: &str) -> Result<(), String> {
    let status = Program::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("kill -{name} {pid}: {other:?}")),
    }
}
