//! A connection pooler between the processes of a queue and its server. Each transaction may get
//! another session, so nothing of a process may stay in one.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::engine::parameters;
use crate::support::look::until;
use crate::support::programs::required;
use crate::support::service::Service;
use crate::support::{Gate, token};

/// pgbouncer in transaction mode, with fewer sessions than the queue has processes. Its socket is in
/// its folder.
struct Pooler {
    process: Child,
    folder: TempDir,
}

const PORT: &str = "6432";

impl Pooler {
    fn start() -> Option<Pooler> {
        let program = required("SERIAL_GATE_TEST_PGBOUNCER", "the tests of a pooler")?;
        required("SERIAL_GATE_TEST_PG", "the tests of a pooler")?;
        let folder = tempfile::tempdir().unwrap();
        let server: Vec<String> = parameters()
            .into_iter()
            .filter(|(name, _)| name != "dbname")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let path = folder.path().display();
        let settings = format!(
            "[databases]\n* = {}\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n\
             unix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 3\nmax_client_conn = 100\n",
            server.join(" ")
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        // It does not run as the root user.
        let mut command = match rustix::process::geteuid().is_root() {
            false => Command::new(&program),
            true => {
                let owned = Command::new("chown")
                    .args(["--recursive", "postgres"])
                    .arg(folder.path())
                    .status();
                assert!(owned.unwrap().success());
                // Unlike `runuser` it becomes the program, which can then be ended.
                let mut command = Command::new("setpriv");
                command
                    .args([
                        "--reuid=postgres",
                        "--regid=postgres",
                        "--init-groups",
                        "--",
                    ])
                    .arg(&program);
                command
            }
        };
        let process = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Pooler { process, folder };
        until("the pooler listens", || pooler.socket().exists());
        Some(pooler)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{PORT}"))
    }

    /// An address of the server, by way of the pooler.
    fn address(&self, direct: &str) -> String {
        let schema = direct.split_once("schema=").unwrap().1;
        let named = parameters().into_iter();
        let named = named.filter(|(name, _)| name == "dbname" || name == "user");
        let named: Vec<String> = named
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "postgres:///?host={}&port={PORT}&{}&schema={schema}",
            self.folder.path().display(),
            named.join("&")
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn many_processes_share_a_few_sessions_and_every_job_is_given_once() {
    let Some(pooler) = Pooler::start() else {
        return;
    };
    let gate = Gate::in_server();
    let address = pooler.address(&gate.place().location.to_string());
    let gate = gate.with_environment(vec![("SERIAL_GATE_DB", address.into())]);
    gate.run(&["init"]).succeeds();
    for repo in ["alpha", "beta", "gamma", "delta"] {
        gate.run(&["task", "add", repo]).succeeds();
        gate.run(&["task", "add", repo]).succeeds();
    }
    for round in 0..2 {
        let claims: Vec<Child> = (0..8).map(|_| gate.spawn(&["claim", "--json"])).collect();
        let ran = claims
            .into_iter()
            .map(|claim| claim.wait_with_output().unwrap());
        let mut given = Vec::new();
        for output in ran.filter(|output| output.status.success()) {
            let claimed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let (job, task) = (claimed["id"].to_string(), claimed["task_id"].to_string());
            gate.run(&["job", "finish", &job, "--token", &token(&claimed)])
                .succeeds();
            gate.run(&["task", "done", &task]).succeeds();
            given.push(claimed["id"].as_i64().unwrap());
        }
        given.sort_unstable();
        let expected: Vec<i64> = (0..4).map(|repo| 2 * repo + 1 + round).collect();
        assert_eq!(given, expected);
    }
    let service = Service::on(gate);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claimed = service
        .post("/v1/claim", &json!({"worker": "w-1"}))
        .is(200)
        .json();
    let freeze = json!({"repo": "alpha", "reason": "bad deploy"});
    service.post("/v1/freezes", &freeze).is(200);
    let prolonged = json!({"token": token(&claimed)});
    service
        .post(&format!("/v1/jobs/{}/heartbeat", claimed["id"]), &prolonged)
        .is(200);
    assert!(service.is_ready());
}
