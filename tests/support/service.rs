//! A running service: the real binary, called over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};

use super::Gate;

/// A running service.
pub struct Service {
    pub gate: Gate,
    process: Child,
    /// Kept open: a service that cannot print its address logs an error.
    _stdout: BufReader<ChildStdout>,
    pub address: String,
    agent: Agent,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    /// The reason of a refusal.
    #[track_caller]
    pub fn detail(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json()["status"], self.status);
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

impl Service {
    /// On a prepared queue, for everybody on this machine.
    pub fn start() -> Service {
        Service::on(Gate::new())
    }

    pub fn on(gate: Gate) -> Service {
        Service::with_log(gate, Stdio::inherit())
    }

    /// Its log goes to `service.log` in the folder.
    pub fn with_log_file(gate: Gate) -> Service {
        let log = std::fs::File::create(gate.path("service.log")).unwrap();
        Service::with_log(gate, log.into())
    }

    /// With a limit on open files, as an option of `ulimit`: `-n 200`.
    pub fn with_open_files(gate: Gate, limit: &str) -> Service {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--json"];
        let command = gate.command_after(&format!("ulimit {limit}"), &arguments);
        let started = start(command, Stdio::inherit());
        Service::of(gate, started)
    }

    /// At an address that another one had.
    pub fn at(gate: Gate, address: &str) -> Service {
        let started = spawn(&gate, address, Stdio::inherit());
        Service::of(gate, started)
    }

    fn with_log(gate: Gate, log: Stdio) -> Service {
        let started = spawn(&gate, "127.0.0.1:0", log);
        Service::of(gate, started)
    }

    fn of(gate: Gate, (process, stdout, address): Started) -> Service {
        Service {
            address,
            agent: agent(),
            gate,
            process,
            _stdout: stdout,
        }
    }

    /// Kills the process, as a power cut would, and starts another at the same address.
    pub fn kill_and_start_again(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.process, self._stdout, _) = spawn(&self.gate, &self.address, Stdio::inherit());
    }

    pub fn request(&self, method: &str, path: &str) -> Asking<'_> {
        Asking {
            service: self,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    pub fn is_ready(&self) -> bool {
        self.get("/readyz").status == 200
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path).json(body).send()
    }

    /// A plain TCP connection.
    pub fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        connection
    }

    /// Sends bytes, and reads until the service closes the connection.
    #[track_caller]
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut connection = self.connect();
        connection.write_all(bytes.as_ref()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Asks the process to end, and waits until it has.
    pub fn stop(mut self) -> std::process::ExitStatus {
        self.terminate();
        self.process.wait().unwrap()
    }

    pub fn terminate(&self) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

type Started = (Child, BufReader<ChildStdout>, String);

fn spawn(gate: &Gate, address: &str, log: Stdio) -> Started {
    start(gate.command(&["serve", "--listen", address, "--json"]), log)
}

fn start(mut command: Command, log: Stdio) -> Started {
    let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).expect(&line);
    let address = answer["listening"].as_str().unwrap().to_owned();
    (process, stdout, address)
}

/// A request that is being built.
pub struct Asking<'a> {
    service: &'a Service,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asking<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        self.body("application/json", body)
    }

    pub fn body(mut self, kind: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", kind)
    }

    #[track_caller]
    pub fn send(self) -> Answer {
        self.try_send().unwrap()
    }

    /// The same, if there may be no answer.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let Asking {
            service,
            method,
            path,
            headers,
            body,
        } = self;
        run(
            &service.agent,
            &service.address,
            method,
            &path,
            headers,
            body,
        )
    }
}

/// Calls a service that may be killed before it answers.
pub fn ask(address: &str, method: &str, path: &str, body: &Value) -> Result<Answer, ureq::Error> {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let method = method.parse().unwrap();
    run(
        &agent(),
        address,
        method,
        path,
        headers,
        body.to_string().into_bytes(),
    )
}

/// The same with a token.
pub fn ask_with_token(
    address: &str,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, ureq::Error> {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("authorization", format!("Bearer {token}")),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    let body = body.to_string().into_bytes();
    run(
        &agent(),
        address,
        method.parse().unwrap(),
        path,
        headers.into(),
        body,
    )
}

fn run(
    agent: &Agent,
    address: &str,
    method: Method,
    path: &str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut response: Response<ureq::Body> = agent.run(request.body(body).unwrap())?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.body_mut().read_to_string()?,
    })
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Makes an access token. Returns its secret.
pub fn access_token(gate: &Gate, name: &str, role: &str) -> String {
    let ran = gate
        .run(&["token", "add", name, "--role", role, "--json"])
        .succeeds();
    ran.json()["token"].as_str().unwrap().to_owned()
}
