//! Processes under test: started, watched in /proc, stopped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Ticks of /proc/PID/stat per second: fixed by Linux for user space (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A process and its descendants; stopped on drop.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a program whose standard error goes to a file in `directory`.
    pub(crate) fn start(name: &'static str, command: &mut Command, directory: &Path) -> Result<Self> {
        let errors = fs::File::create(directory.join(format!("{name}.log")))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        Ok(Self { name, child })
    }

    /// CPU time of the whole tree since its start, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.tree().into_iter().map(cpu_ticks).sum::<Result<f64>>().map(|ticks| ticks / TICKS_PER_SECOND)
    }

    /// Resident memory of the whole tree, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.tree().into_iter().map(resident_bytes).sum()
    }

    /// Fails when the process has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended by itself: {status}", self.name),
            None => Ok(()),
        }
    }

    fn tree(&self) -> Vec<u32> {
        let mut tree = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = tree.get(next).copied() {
            tree.extend(children_of(pid));
            next += 1;
        }
        tree
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // `kill` is asked because std can only send SIGKILL, which would leave workers behind.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while asked.is_ok() && Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It may have ended in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect()
}

/// utime, stime, cutime and cstime (proc(5), fields 14 to 17).
fn cpu_ticks(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in field 2 may hold spaces and brackets.
    let after_name = stat.rsplit_once(')').context("a process without a name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = fields.get(11..15).context("a short stat line")?;
    ticks.iter().map(|field| Ok(field.parse::<f64>()?)).sum()
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// A port of the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
