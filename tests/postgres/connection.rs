//! The way to a real server: TLS in every mode, passwords that change, several hosts, and a server
//! that says nothing.
//!
//! These are unit tests of the store, because an engine has no other way in. `psql` is the oracle
//! of the modes. They need the folder of PostgreSQL's programs in `SERIAL_GATE_TEST_PG_PROGRAMS`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::super::Location;
use super::super::error::at;
use super::{Error, Problem, Server, dial_with, with_causes};

/// A server with TLS, in a folder with its certificates. It ends with its folder.
struct Running {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Running {
    /// None if this machine has no server, which is a fault in CI.
    fn start() -> Option<Running> {
        let programs = std::env::var_os("SERIAL_GATE_TEST_PG_PROGRAMS");
        let Some(programs) = programs.filter(|path| !path.is_empty()) else {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
            assert!(
                !is_ci,
                "`CI` is set, and `SERIAL_GATE_TEST_PG_PROGRAMS` is not"
            );
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = Running {
            programs: programs.into(),
            folder: tempfile::tempdir().unwrap(),
            port: free.local_addr().unwrap().port(),
        };
        drop(free);
        running.make_certificates();
        running.give_to_the_owner();
        let data = running.path("data");
        running.run(
            "initdb",
            &["--auth", "trust", "--username", "tests", "--pgdata", &data],
        );
        running.write("data/pg_hba.conf", HBA);
        running.use_certificate("server");
        let settings = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=off \
             -c ssl=on -c ssl_cert_file=used.crt -c ssl_key_file=used.key -c ssl_ca_file={}",
            running.port,
            running.path(""),
            running.path("ca.crt")
        );
        let log = running.path("log");
        let start = [
            "--pgdata",
            &data,
            "--log",
            &log,
            "--wait",
            "start",
            "--options",
            &settings,
        ];
        running.run("pg_ctl", &start);
        running.sql("CREATE ROLE with_password LOGIN PASSWORD 'first'");
        for role in ["certified", "tls_only", "plain_only"] {
            running.sql(&format!("CREATE ROLE {role} LOGIN"));
        }
        Some(running)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The superuser runs no server.
    fn give_to_the_owner(&self) {
        if rustix::process::geteuid().is_root() {
            ran(Command::new("chown").args(["-R", "postgres", &self.path("")]));
        }
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        ran(self.command(program).args(arguments))
    }

    /// Runs a statement as the owner of the server.
    fn sql(&self, sql: &str) -> String {
        let (folder, port) = (self.path(""), self.port.to_string());
        let who = [
            "-h", &folder, "-p", &port, "-U", "tests", "-d", "postgres", "-Atc",
        ];
        self.run("psql", &[&who[..], &[sql]].concat())
    }

    /// An authority and its certificates, another authority, and a certificate that is its own.
    fn make_certificates(&self) {
        for (name, subject, options) in [
            ("ca", "/CN=the authority", &[][..]),
            ("other", "/CN=another authority", &[]),
            (
                "own",
                "/CN=localhost",
                &["-addext", "subjectAltName=DNS:localhost"],
            ),
            (
                "server",
                "/CN=localhost",
                &[
                    "-addext",
                    "subjectAltName=DNS:localhost",
                    "-CA",
                    "ca.crt",
                    "-CAkey",
                    "ca.key",
                ],
            ),
            (
                "client",
                "/CN=certified",
                &["-CA", "ca.crt", "-CAkey", "ca.key"],
            ),
        ] {
            let (key, cert) = (format!("{name}.key"), format!("{name}.crt"));
            let ends = options.contains(&"-CA");
            let kind: &[&str] = match ends {
                true => &["-addext", "basicConstraints=critical,CA:FALSE"],
                false => &[],
            };
            let curve = [
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ];
            let mut command = Command::new("openssl");
            command
                .args(["req", "-x509", "-days", "2", "-subj", subject])
                .args(curve)
                .args(["-keyout", &key, "-out", &cert])
                .args(options)
                .args(kind)
                .current_dir(self.folder.path());
            ran(&mut command);
        }
    }

    /// Has the server show another certificate from now on.
    fn use_certificate(&self, name: &str) {
        for end in ["crt", "key"] {
            let text = fs::read_to_string(self.path(&format!("{name}.{end}"))).unwrap();
            self.write(&format!("data/used.{end}"), &text);
        }
        self.give_to_the_owner();
        if Path::new(&self.path("data/postmaster.pid")).exists() {
            self.run("pg_ctl", &["--pgdata", &self.path("data"), "reload"]);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// The address of a role at a host.
    fn url(&self, who: &str, host: &str, query: &str) -> String {
        let folder = self.path("");
        let query = query.replace("DIR/", &folder);
        format!("postgres://{who}@{host}:{}/postgres?{query}", self.port)
    }

    /// Whether a connection to this address has TLS.
    fn has_tls(&self, url: &str) -> Result<bool, Error> {
        self.has_tls_at_home(url, "no home")
    }

    fn has_tls_at_home(&self, url: &str, home: &str) -> Result<bool, Error> {
        let home = self.path(home);
        let variable = move |name: &str| (name == "HOME").then(|| OsString::from(&home));
        let server: Server = url.parse().unwrap();
        let client = dial_with(&server, |_| {}, &variable);
        let mut client = client.map_err(|error| at(error, &Location::Server(server)))?;
        let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let row = client.query_typed_one(asked, &[]);
        Ok(row.unwrap().get(0))
    }

    /// The same as `psql` sees it; none if it is not let in.
    fn has_tls_in_psql(&self, url: &str) -> Option<bool> {
        let mut command = self.command("psql");
        command
            .env("HOME", self.path("no home"))
            .args([url, "-Atc"]);
        command.arg("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim() == "t")
    }

    /// The error's text and its causes, the same in each run.
    fn refusal(&self, url: &str) -> String {
        let error = self.has_tls(url).unwrap_err();
        let text = with_causes(&error);
        text.replace(&self.port.to_string(), "PORT")
            .replace(&self.path(""), "DIR/")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let data = self.path("data");
        self.run(
            "pg_ctl",
            &["--pgdata", &data, "--mode", "immediate", "stop"],
        );
    }
}

/// Who is let in, and how.
const HBA: &str = "\
local all all trust
hostssl all certified 127.0.0.1/32 cert
hostssl all tls_only 127.0.0.1/32 trust
hostnossl all plain_only 127.0.0.1/32 trust
host all with_password 127.0.0.1/32 scram-sha-256
host all tests 127.0.0.1/32 trust
";

#[track_caller]
fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_mode_of_tls_means_what_it_means_to_psql() {
    let Some(running) = Running::start() else {
        return;
    };
    for (certificate, who, host, query, expected) in [
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=disable",
            Some(false),
        ),
        ("server", "tests", "127.0.0.1", "sslmode=prefer", Some(true)),
        ("server", "tests", "127.0.0.1", "", Some(true)),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=require",
            Some(true),
        ),
        ("server", "tls_only", "127.0.0.1", "sslmode=disable", None),
        (
            "server",
            "tls_only",
            "127.0.0.1",
            "sslmode=prefer",
            Some(true),
        ),
        (
            "server",
            "plain_only",
            "127.0.0.1",
            "sslmode=prefer",
            Some(false),
        ),
        ("server", "plain_only", "127.0.0.1", "sslmode=require", None),
        // A root is looked at in these modes, too.
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=require&sslrootcert=DIR/ca.crt",
            Some(true),
        ),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=require&sslrootcert=DIR/other.crt",
            None,
        ),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=prefer&sslrootcert=DIR/other.crt",
            Some(false),
        ),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/ca.crt",
            Some(true),
        ),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/other.crt",
            None,
        ),
        ("server", "tests", "127.0.0.1", "sslmode=verify-ca", None),
        (
            "server",
            "tests",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/ca.crt",
            Some(true),
        ),
        (
            "server",
            "tests",
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=DIR/ca.crt",
            None,
        ),
        (
            "server",
            "tests",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/other.crt",
            None,
        ),
        ("server", "tests", "localhost", "sslmode=verify-full", None),
        (
            "server",
            "tests",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/none.crt",
            None,
        ),
        // A certificate that is its own authority.
        (
            "own",
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/own.crt",
            Some(true),
        ),
        (
            "own",
            "tests",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/own.crt",
            Some(true),
        ),
        (
            "own",
            "tests",
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=DIR/own.crt",
            None,
        ),
        (
            "own",
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/ca.crt",
            None,
        ),
        // A client's certificate.
        (
            "server",
            "certified",
            "127.0.0.1",
            "sslcert=DIR/client.crt&sslkey=DIR/client.key",
            Some(true),
        ),
        (
            "server",
            "certified",
            "127.0.0.1",
            "sslcert=DIR/own.crt&sslkey=DIR/own.key",
            None,
        ),
        (
            "server",
            "certified",
            "127.0.0.1",
            "sslcert=DIR/client.crt&sslkey=DIR/own.key",
            None,
        ),
        ("server", "certified", "127.0.0.1", "sslmode=require", None),
    ] {
        let used = fs::read(running.path("data/used.crt")).unwrap();
        if used != fs::read(running.path(&format!("{certificate}.crt"))).unwrap() {
            running.use_certificate(certificate);
        }
        let url = running.url(who, host, query);
        let seen = running.has_tls(&url);
        assert_eq!(seen.as_ref().ok().copied(), expected, "{url}: {seen:?}");
        assert_eq!(running.has_tls_in_psql(&url), expected, "psql: {url}");
    }
    // The usual files.
    fs::create_dir_all(running.path("home/.postgresql")).unwrap();
    for (from, to) in [("ca.crt", "root.crt"), ("client.crt", "postgresql.crt")] {
        fs::copy(
            running.path(from),
            running.path(&format!("home/.postgresql/{to}")),
        )
        .unwrap();
    }
    let key = fs::read_to_string(running.path("client.key")).unwrap();
    running.write("home/.postgresql/postgresql.key", &key);
    running.use_certificate("server");
    let url = running.url("certified", "localhost", "sslmode=verify-full");
    assert!(running.has_tls_at_home(&url, "home").unwrap());
    // A socket has no TLS, whatever the mode.
    let url = format!(
        "postgres://tests@/postgres?host={}&port={}&sslmode=verify-full",
        running.path(""),
        running.port
    );
    assert!(!running.has_tls(&url).unwrap());
    // A key that others may read.
    let path = running.path("client.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let certified = "sslcert=DIR/client.crt&sslkey=DIR/client.key";
    let refusals: Vec<String> = [
        ("tests", "127.0.0.1", "sslmode=verify-ca"),
        (
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/other.crt",
        ),
        (
            "tests",
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=DIR/ca.crt",
        ),
        (
            "tests",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/ca.key",
        ),
        ("certified", "127.0.0.1", certified),
        ("plain_only", "127.0.0.1", "sslmode=require"),
    ]
    .into_iter()
    .map(|(who, host, query)| running.refusal(&running.url(who, host, query)))
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the password or the certificates for `postgres://tests@127.0.0.1:PORT/postgres?sslmode=verify-ca` cannot be used: `sslmode=verify-ca` needs the certificate of the server's authority: name its file with `sslrootcert`
    the server of `postgres://tests@127.0.0.1:PORT/postgres?sslmode=verify-ca&sslrootcert=DIR/other.crt` has not proved who it is, so nothing was sent to it: look at `sslrootcert`, and for which hosts its certificate is: error performing TLS handshake: invalid peer certificate: UnknownIssuer
    the server of `postgres://tests@127.0.0.1:PORT/postgres?sslmode=verify-full&sslrootcert=DIR/ca.crt` has not proved who it is, so nothing was sent to it: look at `sslrootcert`, and for which hosts its certificate is: error performing TLS handshake: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")
    the password or the certificates for `postgres://tests@127.0.0.1:PORT/postgres?sslmode=verify-ca&sslrootcert=DIR/ca.key` cannot be used: `DIR/ca.key` has no certificate in PEM form
    the password or the certificates for `postgres://certified@127.0.0.1:PORT/postgres?sslcert=DIR/client.crt&sslkey=DIR/client.key` cannot be used: other users may read `DIR/client.key`: `chmod go= DIR/client.key`
    cannot use the database `postgres://plain_only@127.0.0.1:PORT/postgres?sslmode=require`: is the server up, and may this role connect?: no pg_hba.conf entry for host "127.0.0.1", user "plain_only", database "postgres", SSL encryption
    "#);
}

#[test]
fn a_password_that_is_replaced_is_read_anew() {
    let Some(running) = Running::start() else {
        return;
    };
    let url = running.url("with_password", "127.0.0.1", "passfile=DIR/passwords");
    running.write("passwords", "*:*:*:with_password:first\n");
    assert!(running.has_tls(&url).unwrap());
    running.sql("ALTER ROLE with_password PASSWORD 'second'");
    let old = running.refusal(&url);
    running.write("passwords", "*:*:*:with_password:second\n");
    assert!(running.has_tls(&url).unwrap());
    let in_url = running.url("with_password:second", "127.0.0.1", "");
    assert!(running.has_tls(&in_url).unwrap());
    fs::set_permissions(running.path("passwords"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = running.refusal(&url);
    let none = running.refusal(&running.url("with_password", "127.0.0.1", ""));
    insta::assert_snapshot!([old, open, none].join("\n"), @r#"
    cannot use the database `postgres://with_password@127.0.0.1:PORT/postgres?passfile=DIR/passwords`: is the server up, and may this role connect?: password authentication failed for user "with_password"
    the password or the certificates for `postgres://with_password@127.0.0.1:PORT/postgres?passfile=DIR/passwords` cannot be used: other users may read `DIR/passwords`: `chmod go= DIR/passwords`
    the server of `postgres://with_password@127.0.0.1:PORT/postgres` wants a password, and there is none for it
    "#);
}

#[test]
fn the_first_host_that_lets_this_process_in_is_used() {
    let Some(running) = Running::start() else {
        return;
    };
    // Nobody listens at this one.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = free.local_addr().unwrap().port();
    drop(free);
    let (alive, folder) = (running.port, running.path(""));
    let several = |query: &str| {
        format!("postgres://tests@127.0.0.1:{dead},127.0.0.1:{alive}/postgres?{query}")
    };
    assert!(running.has_tls(&several("")).unwrap());
    let other = format!("postgres://tests@/postgres?host={folder},127.0.0.1&port={dead},{alive}");
    assert!(running.has_tls(&other).unwrap());
    let read_only = "options=-c%20default_transaction_read_only%3Don";
    let any = format!("{read_only}&target_session_attrs=any");
    assert!(running.has_tls(&several(&any)).unwrap());
    let refusal = running.refusal(&several(read_only));
    let refusal = refusal.replace(&dead.to_string(), "DEAD");
    insta::assert_snapshot!(refusal, @"cannot use the database `postgres://tests@127.0.0.1:DEAD,127.0.0.1:PORT/postgres?options=-c%20default_transaction_read_only%3Don`: is the server up, and may this role connect?: none of its hosts lets this process in: `127.0.0.1` at port DEAD: error connecting to server: Connection refused (os error 111); `127.0.0.1` at port PORT: error connecting to server: database does not allow writes");
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/db?connect_timeout=1");
    let server: Server = url.parse().unwrap();
    let begun = Instant::now();
    let Err(error) = dial_with(&server, |_| {}, &|_| None) else {
        panic!("nobody answers");
    };
    assert!(begun.elapsed() < Duration::from_secs(9));
    assert!(
        matches!(error.problem(), Some(Problem::NoServer(_))),
        "{error:?}"
    );
}
