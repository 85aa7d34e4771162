//! A child process with its group: started, watched, stopped and reaped.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::redaction::Redaction;
use super::{Launch, pipes};
use crate::upstream::{ServerEvent, UpstreamError};

/// How long the output of a child that has ended is still read.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the end of a child whose pipe broke is waited for, to tell its exit status.
const SETTLE: Duration = Duration::from_millis(500);

/// A running child. Dropping it stops the child.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) link: Arc<Link>,
    stop: watch::Sender<Option<String>>,
    ended: watch::Receiver<bool>,
}

impl Process {
    /// Starts the child and the tasks that serve its pipes.
    ///
    /// # Errors
    /// [`UpstreamError::Unreachable`] when the program cannot be started.
    pub(super) fn spawn(launch: &Launch) -> Result<Self, UpstreamError> {
        let mut group = Group::spawn(launch).map_err(|reason| {
            launch.log.push(super::LogSource::Hub, None, reason.as_bytes());
            UpstreamError::Unreachable { server: launch.owner.key().server.clone(), reason }
        })?;
        let (link, queue) = Link::new(
            launch.owner.clone(),
            group.child.id(),
            launch.events.clone(),
            Arc::clone(&launch.log),
            launch.limits.message_bytes,
            Redaction::of(&launch.command),
        );
        let link = Arc::new(link);
        link.note(&format!("started {:?}", launch.command.program));
        let (stop, stop_requested) = watch::channel(None);
        let (ended_sender, ended) = watch::channel(false);
        let pipes = Pipes::serve(&mut group, &link, queue);
        let supervisor = Supervisor {
            group,
            link: Arc::clone(&link),
            pipes,
            stop_requested,
            hub_stops: launch.tasks.stop_token(),
            ended: ended_sender,
            close_grace: launch.limits.close_grace,
            terminate_grace: launch.limits.terminate_grace,
        };
        launch.tasks.spawn(supervisor.run());
        Ok(Self { link, stop, ended })
    }

    /// Asks the child to end, kills it when it does not, and waits until it
    /// has been reaped.
    pub(super) async fn stop(&self, reason: &str) {
        self.stop.send_if_modified(|wanted| {
            let first = wanted.is_none();
            wanted.get_or_insert_with(|| reason.to_owned());
            first
        });
        let mut ended = self.ended.clone();
        // An error means that the supervisor is gone, and the child with it.
        drop(ended.wait_for(|ended| *ended).await);
    }
}

/// The child and all that it started without leaving its process group.
/// Dropping it kills them.
#[derive(Debug)]
struct Group {
    child: Box<dyn ChildWrapper>,
    reaped: bool,
}

impl Group {
    fn spawn(launch: &Launch) -> Result<Self, String> {
        let command = &launch.command;
        let mut wrapped = CommandWrap::with_new(&command.program, |prepared| {
            prepared
                .args(&command.args)
                .env_clear()
                .envs(launch.base_environment.iter().map(|(name, value)| (name, value)))
                .envs(command.env.iter().map(|(name, value)| (name, value.expose())))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(directory) = &command.cwd {
                prepared.current_dir(directory);
            }
        });
        wrapped.wrap(KillOnDrop);
        #[cfg(unix)]
        wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrapped.wrap(process_wrap::tokio::JobObject);
        let child = wrapped.spawn().map_err(|error| match &command.cwd {
            Some(directory) => {
                format!("cannot start {:?} in {}: {error}", command.program, directory.display())
            }
            None => format!("cannot start {:?}: {error}", command.program),
        })?;
        Ok(Self { child, reaped: false })
    }

    fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin().take(), self.child.stdout().take(), self.child.stderr().take())
    }

    /// Waits for the child itself; what it started may still run.
    async fn leader_exit(&mut self) -> Option<ExitStatus> {
        self.child.inner_mut().wait().await.ok()
    }

    fn terminate(&self) {
        #[cfg(unix)]
        {
            /// POSIX gives it this number on every system.
            const SIGTERM: i32 = 15;
            // It fails when nobody is left to be told.
            drop(self.child.signal(SIGTERM));
        }
    }

    /// Kills whoever is left of the group. To be called before or right after
    /// the child was reaped: later, its number may name somebody else's group.
    fn kill(&mut self) {
        // It fails when nobody is left.
        drop(self.child.start_kill());
    }

    async fn reap(&mut self) {
        drop(self.child.wait().await);
        self.reaped = true;
    }

    /// Waits for the child to end by itself, then asks it to, and at last kills it.
    async fn end(&mut self, close_grace: Duration, terminate_grace: Duration) -> Option<ExitStatus> {
        let mut status = timeout(close_grace, self.leader_exit()).await.ok().flatten();
        if status.is_none() {
            self.terminate();
            status = timeout(terminate_grace, self.leader_exit()).await.ok().flatten();
        }
        self.kill();
        self.reap().await;
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}

/// The tasks that read and write a child's pipes.
#[derive(Debug)]
struct Pipes {
    input: JoinSet<()>,
    outputs: JoinSet<()>,
}

impl Pipes {
    fn serve(group: &mut Group, link: &Arc<Link>, queue: mpsc::Receiver<super::link::Queued>) -> Self {
        let mut pipes = Self { input: JoinSet::new(), outputs: JoinSet::new() };
        let (stdin, stdout, stderr) = group.take_pipes();
        if let Some(stdin) = stdin {
            pipes.input.spawn(pipes::write(stdin, queue, Arc::clone(link)));
        }
        if let Some(stdout) = stdout {
            pipes.outputs.spawn(pipes::read_messages(stdout, Arc::clone(link)));
        }
        if let Some(stderr) = stderr {
            pipes.outputs.spawn(pipes::read_errors(stderr, Arc::clone(link)));
        }
        pipes
    }

    /// Reads what is left of the outputs. Whoever left the group may hold
    /// them open for ever, so the wait is bounded.
    async fn drain(&mut self) {
        drop(timeout(DRAIN, async { while self.outputs.join_next().await.is_some() {} }).await);
    }
}

/// Whoever watches over one child until it has been reaped.
#[derive(Debug)]
struct Supervisor {
    group: Group,
    link: Arc<Link>,
    pipes: Pipes,
    stop_requested: watch::Receiver<Option<String>>,
    hub_stops: CancellationToken,
    ended: watch::Sender<bool>,
    close_grace: Duration,
    terminate_grace: Duration,
}

/// What ended a link.
enum Ending {
    Exited(Option<ExitStatus>),
    BrokenPipe,
    Stopped(String),
}

impl Supervisor {
    async fn run(mut self) {
        let ending = tokio::select! {
            status = self.group.leader_exit() => Ending::Exited(status),
            () = self.link.broken.notified() => Ending::BrokenPipe,
            reason = stop_reason(&mut self.stop_requested) => Ending::Stopped(reason),
            () = self.hub_stops.cancelled() => Ending::Stopped("the hub stops".to_owned()),
        };
        let reason = match ending {
            Ending::Exited(status) => self.bury(status).await,
            Ending::BrokenPipe => self.part().await,
            Ending::Stopped(reason) => self.stop(reason).await,
        };
        self.ended.send_replace(true);
        let closed = (self.link.key(), ServerEvent::Closed { reason });
        tokio::select! {
            // It fails when nobody is left to be told.
            sent = self.link.events.send(closed) => drop(sent),
            () = self.hub_stops.cancelled() => {}
        }
    }

    /// The child ended by itself.
    async fn bury(&mut self, status: Option<ExitStatus>) -> String {
        // What it left behind holds its pipes open.
        self.group.kill();
        self.pipes.drain().await;
        let reason = self.link.with_last_words(&format!("the child ended{}", in_words(status)));
        self.link.close(&reason);
        self.group.reap().await;
        reason
    }

    /// The child closed a pipe; most have ended by then.
    async fn part(&mut self) -> String {
        if let Ok(status) = timeout(SETTLE, self.group.leader_exit()).await {
            return self.bury(status).await;
        }
        let reason = self.link.with_last_words("the child closed its standard input or output");
        self.link.close(&reason);
        self.pipes.input.shutdown().await;
        self.group.end(self.close_grace, self.terminate_grace).await;
        self.pipes.drain().await;
        reason
    }

    /// The hub wants it to end.
    async fn stop(&mut self, reason: String) -> String {
        self.link.close(&reason);
        // This closes the child's standard input.
        self.pipes.input.shutdown().await;
        let status = self.group.end(self.close_grace, self.terminate_grace).await;
        self.pipes.drain().await;
        self.link.note(&format!("ended{}", in_words(status)));
        reason
    }
}

/// Waits until somebody wants the child to end, or nobody uses it any more.
async fn stop_reason(stop_requested: &mut watch::Receiver<Option<String>>) -> String {
    match stop_requested.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "nobody uses it any more".to_owned(),
    }
}

fn in_words(status: Option<ExitStatus>) -> String {
    status.map_or(" by SIGKILL".to_owned(), |status| format!(" ({status})"))
}
