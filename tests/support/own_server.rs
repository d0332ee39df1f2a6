//! A PostgreSQL server of a test's own, which the test stops and starts.

use std::path::Path;
use std::process::Command;

use super::Ran;

/// A server on a socket in a folder. It does not run yet.
pub struct OwnServer {
    programs: std::path::PathBuf,
    folder: tempfile::TempDir,
}

impl OwnServer {
    /// None if `SERIAL_GATE_TEST_PG_PROGRAMS` names no programs.
    pub fn new() -> Option<OwnServer> {
        let programs = std::env::var_os("SERIAL_GATE_TEST_PG_PROGRAMS")?;
        let server = OwnServer {
            programs: programs.into(),
            folder: tempfile::tempdir().unwrap(),
        };
        if rustix::process::getuid().is_root() {
            // The superuser runs no server.
            let chown = Command::new("chown")
                .args(["postgres", &server.path("")])
                .output();
            Ran::from(chown.unwrap()).succeeds();
        }
        let data = server.path("data");
        let init = ["--auth", "trust", "--username", "tests", "--pgdata", &data];
        server.run("initdb", &init);
        Some(server)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    pub fn url(&self) -> String {
        format!("postgres://tests@/postgres?host={}", self.path(""))
    }

    pub fn start(&self) {
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c fsync=off -c log_statement=all",
            self.path("")
        );
        let log = self.path("log");
        let start = ["--log", &log, "--wait", "start", "--options", &options];
        self.control(&start);
    }

    pub fn stop(&self) {
        self.control(&["--mode", "immediate", "--wait", "stop"]);
    }

    /// How many transactions it has begun that change something, and how many of any kind.
    pub fn transactions(&self) -> (i64, i64) {
        let parameters = format!("host={} user=tests dbname=postgres", self.path(""));
        let mut client = postgres::Client::connect(&parameters, postgres::NoTls).unwrap();
        let row = client
            .query_one(
                "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
                    (SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database)",
                &[],
            )
            .unwrap();
        (row.get(0), row.get(1))
    }

    /// How many statements it runs during a step.
    pub fn statements(&self, mut step: impl FnMut()) -> usize {
        let read = || std::fs::read_to_string(self.path("log")).unwrap();
        let before = read().len();
        step();
        let log = read().split_off(before);
        let ran =
            |line: &&str| line.contains("LOG:  execute ") || line.contains("LOG:  statement: ");
        log.lines().filter(ran).count()
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.path("data");
        self.run("pg_ctl", &[&["--pgdata", &data], arguments].concat());
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = match rustix::process::getuid().is_root() {
            false => Command::new(program),
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
        };
        let ran = command.args(arguments).current_dir(Path::new("/")).output();
        Ran::from(ran.unwrap()).succeeds();
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if Path::new(&self.path("data/postmaster.pid")).exists() {
            self.stop();
        }
    }
}
