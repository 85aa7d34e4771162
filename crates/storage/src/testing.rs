//! A real PostgreSQL for tests: a cluster in a temporary directory, started
//! once for a test process, with an empty database for each test.
//!
//! It needs `initdb` and `postgres`: on `PATH`, or where Debian puts them. A
//! test that finds none says so, and fails when `TRUNKLINE_REQUIRE_POSTGRES=1`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use trunkline_model::Secret;

/// Set to `1` where a test without PostgreSQL must fail instead of being passed over.
const REQUIRE: &str = "TRUNKLINE_REQUIRE_POSTGRES";
/// `nobody`, for a test that runs as root: PostgreSQL refuses to be root.
const UNPRIVILEGED: u32 = 65534;
const SUPERUSER: &str = "trunkline";
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Makes a cluster and runs it until standard input ends, that is, until the
/// test process is gone in whatever way; then removes everything.
const SUPERVISE: &str = r#"
    bin=$1; dir=$2; user=$3
    "$bin/initdb" -D "$dir/data" -U "$user" -A trust -E UTF8 --no-locale --no-sync >"$dir/initdb.log" 2>&1 &&
    "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
        -c synchronous_commit=off -c max_connections=60 >"$dir/postgres.log" 2>&1 &
    cat >/dev/null
    if [ -f "$dir/data/postmaster.pid" ]; then kill -INT "$(head -n 1 "$dir/data/postmaster.pid")"; fi
    wait
    rm -rf "$dir"
"#;

/// The cluster of this test process.
#[derive(Debug)]
struct Cluster {
    directory: PathBuf,
    databases: AtomicU32,
    /// Its end, when the process ends, stops the cluster.
    _lifeline: ChildStdin,
}

/// The URL of a new, empty PostgreSQL database, or none, said loudly, where
/// PostgreSQL is not installed.
///
/// # Errors
/// When PostgreSQL is required and absent, or is there and does not start.
pub async fn postgres_url() -> io::Result<Option<Secret>> {
    static CLUSTER: OnceLock<Result<Option<Cluster>, String>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::start().map_err(|error| error.to_string()));
    match cluster {
        Ok(Some(cluster)) => cluster.new_database().await.map(Some),
        Ok(None) => absent(std::env::var(REQUIRE).is_ok_and(|value| value == "1")).map(|()| None),
        Err(error) => Err(io::Error::other(error.clone())),
    }
}

/// Says loudly that a test did not run on PostgreSQL, or refuses to pass it over.
fn absent(is_required: bool) -> io::Result<()> {
    const CURE: &str = "none is installed (Debian: apt-get install postgresql)";
    if is_required {
        return Err(io::Error::other(format!("{REQUIRE}=1 and PostgreSQL is absent: {CURE}")));
    }
    writeln!(io::stderr(), "\n!!! NOT TESTED ON POSTGRESQL: {CURE} !!!\n")
}

impl Cluster {
    fn start() -> io::Result<Option<Self>> {
        let Some(programs) = find_programs() else { return Ok(None) };
        let directory = tempfile::Builder::new().prefix("trunkline-pg-").tempdir()?.keep();
        let mut command = Command::new("sh");
        command.arg("-c").arg(SUPERVISE).arg("sh").arg(&programs).arg(&directory).arg(SUPERUSER);
        command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        drop_privileges(&mut command, &directory)?;
        let mut child = command.spawn()?;
        let lifeline = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        Ok(Some(Self { directory, databases: AtomicU32::new(0), _lifeline: lifeline }))
    }

    async fn new_database(&self) -> io::Result<Secret> {
        let mut connection = self.connect().await?;
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        // The name is a number of ours.
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .map_err(io::Error::other)?;
        Ok(self.url(&name))
    }

    /// Connects, waiting for the cluster to be up.
    async fn connect(&self) -> io::Result<PgConnection> {
        let url = self.url("postgres");
        let start = Instant::now();
        loop {
            match PgConnection::connect(url.expose()).await {
                Ok(connection) => return Ok(connection),
                Err(error) if start.elapsed() > START_DEADLINE => {
                    return Err(io::Error::other(format!(
                        "PostgreSQL does not start: {error}; {}",
                        self.logs()
                    )));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn url(&self, database: &str) -> Secret {
        Secret::new(format!("postgres://{SUPERUSER}@localhost/{database}?host={}", self.directory.display()))
    }

    fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        format!("initdb: {}; postgres: {}", read("initdb.log"), read("postgres.log"))
    }
}

/// The directory that holds `initdb` and `postgres`, the newest version first.
fn find_programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        directories.extend(versions.into_iter().rev());
    }
    directories
        .into_iter()
        .find(|directory| ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file()))
}

fn drop_privileges(command: &mut Command, directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;

    // We have just made it: its owner is who we are.
    if std::fs::metadata(directory)?.uid() == 0 {
        std::os::unix::fs::chown(directory, Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_required_postgresql_is_not_passed_over() {
        assert!(super::absent(true).is_err());
        assert!(super::absent(false).is_ok());
    }
}
