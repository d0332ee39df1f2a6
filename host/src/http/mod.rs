//! The service: the queue over HTTP.
//!
//! Owns the address, the routes and the end. What a request means stands in a file for each kind of
//! thing; none of them decides what the gate lets through. Callers rely on this: a thread that
//! serves connections never waits for the database, and after [`serve`] returns, all that was
//! answered is committed.

mod access;
mod age;
mod answers;
mod body;
mod change;
mod claims;
mod client;
mod connections;
mod cookies;
mod dashboard;
mod deploys;
mod document;
mod events;
mod forms;
mod freezes;
mod head;
mod health;
mod idempotency;
mod keys;
mod limits;
mod listen;
mod metrics;
mod origin;
mod owner;
mod peer;
mod policy;
mod problem;
mod queue;
mod reader;
mod ready;
mod socket;
mod tasks;
mod uploads;
mod waiters;
mod work_metrics;
mod work_view;
mod writer;

pub use access::{NoRole, Secret};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use jiff::Timestamp;
use serial_gate::alerts::{self, Channel};
use serial_gate::error::with_causes;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::observe::Pace;
use serial_gate::policy::{Compiler, Runtime, Stop, Trust};
use serial_gate::queue::{Error as QueueError, Options, Queue};
use serial_gate::store::{Database, Store};
use serial_gate::worker::branch::Project;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};

use access::{Access, Rules};
use answers::Answers;
use connections::Connections;
use keys::Keys;
pub use limits::Limits;
use limits::TooFew;
use metrics::Metrics;
use owner::Owner;
use problem::Problem;
use reader::Reader;
use uploads::Uploads;
use writer::Writer;

/// How long the end of the service waits for what is still under way after the last request was
/// answered or cut off.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What the service is started with.
pub struct Service {
    /// The queue's database.
    pub db: Database,
    /// Where to listen.
    pub address: SocketAddr,
    /// How many connections there may be.
    pub limits: Limits,
    /// Proxies in front of the service: each asks for many clients, whose addresses it tells.
    pub proxies: Vec<IpAddr>,
    /// What this process was told otherwise than its queue's policy says.
    pub overrides: Overrides,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// Compiles policies; this process does, if there is none.
    pub compiler: Option<Compiler>,
    /// Whose policies are run; anybody's, if there is none.
    pub trust: Option<Trust>,
    /// The repos that the configuration names.
    pub repos: Vec<String>,
    /// Where the branches of tasks are cut, by workers. The service looks at their names only.
    pub projects: Vec<Project>,
    /// Where alerts go.
    pub alerts: alerts::Settings,
    /// How many lines of this process's log could not be written.
    pub log_lines_dropped: Arc<AtomicU64>,
}

/// Why the service does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database.
    #[error(transparent)]
    Store(#[from] serial_gate::store::Error),
    /// The engine for policies.
    #[error(transparent)]
    Policy(#[from] serial_gate::policy::Error),
    /// The limit on open files.
    #[error(transparent)]
    Files(#[from] TooFew),
    /// The address.
    #[error("cannot listen on `{address}`: name another with `--listen ADDRESS:PORT`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Anybody could use the service.
    #[error(
        "`{address}` can be reached from other machines, and nobody has a token: make one with `serial-gate token add NAME --role operator`"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The machine has no thread left, or no signals.
    #[error("the service cannot run here")]
    Start(#[source] std::io::Error),
    /// A thread failed that requests need.
    #[error(
        "a part of the service failed, and its last request may have no answer: the log says where, start the service again"
    )]
    Ended,
    /// The alerts.
    #[error(transparent)]
    Alerts(#[from] alerts::Error),
    /// An operation that nobody may call or everybody.
    #[error(transparent)]
    Role(#[from] NoRole),
    /// The OpenAPI document.
    #[error("the OpenAPI document cannot be written")]
    Document(#[source] serde_json::Error),
}

/// What every handler has.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The parts of [`App`].
pub struct Shared {
    writer: Writer,
    reader: Owner<Reader>,
    /// Looks whether there is a clause. The reader may be busy with a long queue, and the writer's
    /// failures count.
    prober: Owner<Reader>,
    access: Access,
    connections: Arc<Connections>,
    answers: Answers,
    uploads: Uploads,
    rules: Rules,
    metrics: Metrics,
    document: String,
    service: Service,
    options: Options,
    /// A policy's check takes a second of a processor, or a minute: one at a time.
    policy_turn: Arc<tokio::sync::Mutex<()>>,
    /// Every other step of a policy's life. None of them waits for a check.
    policy_steps: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Shared {
    /// A queue as everybody sees it, for what takes long. It compiles and calls no policy once
    /// `stop` is told.
    fn open_queue(&self, stop: Stop) -> Result<Queue, QueueError> {
        let rule = Rule::Active(Overrides::default());
        let options = self.options.clone();
        let runtime = options.runtime.map(|runtime| runtime.until(stop));
        Queue::open(&self.service.db, rule, Options { runtime, ..options })
    }
}

/// Runs the service until it is told to stop. `ready` is called once with the address that it
/// listens on.
pub fn serve(service: Service, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let ended = runtime.block_on(run(service, ready));
    // A check that has not seen its stop by now was not answered either.
    runtime.shutdown_timeout(CUT_OFF);
    ended
}

/// From the moment at which the service is told to stop, nothing is compiled any more.
async fn stop_compiling(runtime: Runtime, mut stopping: watch::Receiver<bool>) {
    // It fails when the service has ended.
    let _ = stopping.wait_for(|stopping| *stopping).await;
    runtime.stop_compiling();
}

async fn run(service: Service, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let mut store = Store::open(&service.db)?;
    let address = service.address;
    if !address.ip().is_loopback() && !store.had_access_tokens()? {
        return Err(Error::Open { address });
    }
    let runtime = match service.compiler.clone() {
        Some(compiler) => Runtime::with_compiler(compiler)?,
        None => Runtime::new()?,
    };
    let options = Options {
        runtime: Some(runtime.clone()),
        trust: service.trust.clone(),
        repos: service.repos.clone(),
        ..Options::default()
    };
    let open_with = |options: &Options| {
        let rule = Rule::Active(service.overrides.clone());
        Queue::open(&service.db, rule, options.clone())
    };
    let open = || open_with(&options);
    let claiming = Options {
        pace: Some(Pace::default()),
        ..options.clone()
    };
    let (stopping, told) = watch::channel(false);
    tokio::spawn(stop_compiling(runtime, told.clone()));
    let ended = Arc::new(Notify::new());
    let (writer, writing) = Writer::start(
        open_with(&claiming)?,
        service.lease,
        told,
        Arc::clone(&ended),
    )
    .map_err(Error::Start)?;
    let (reader, reading) =
        Owner::spawn("reader", Reader::new(open()?), Arc::clone(&ended)).map_err(Error::Start)?;
    let (prober, probing) =
        Owner::spawn("prober", Reader::new(open()?), Arc::clone(&ended)).map_err(Error::Start)?;
    let (keys, finding) =
        Owner::spawn("keys", Keys::new(store), Arc::clone(&ended)).map_err(Error::Start)?;
    let alerting = Alerting::start(&service, open()?)?;
    let (routes, document) = document::routes();
    let connections = Connections::new(service.limits, service.proxies.clone());
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| Error::Listen { address, cause })?;
    let address = listener.local_addr().map_err(Error::Start)?;
    let app = App(Arc::new(Shared {
        writer,
        reader,
        prober,
        access: Access::new(keys, service.proxies.clone()),
        connections: Arc::new(connections),
        answers: Answers::default(),
        uploads: Uploads::default(),
        rules: Rules::of(&document)?,
        metrics: Metrics::new(),
        document: document.to_json().map_err(Error::Document)?,
        service,
        options,
        policy_turn: Arc::default(),
        policy_steps: Arc::new(Semaphore::new(policy::STEPS)),
        stopping,
    }));
    let router = with_layers(routes, &app);
    ready(address);
    let stopped = listen::until_told(listener, router, &app, &ended).await;
    drop(app);
    alerting.end();
    // They end when nobody is left to ask them, and finish what they were asked before.
    for thread in [writing, reading, probing, finding] {
        thread.join().map_err(|_| Error::Ended)?;
    }
    stopped.map_err(Error::Start)
}

/// The thread that sends alerts, and watches the waiting lines.
struct Alerting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Alerting {
    fn start(service: &Service, queue: Queue) -> Result<Alerting, Error> {
        service
            .alerts
            .channels
            .iter()
            .try_for_each(Channel::check)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (settings, told) = (service.alerts.clone(), stop.clone());
        let send = move || {
            if let Err(error) = alerts::run(queue, &settings, &Timestamp::now, &told) {
                tracing::error!("no alerts are sent any more: {}", with_causes(&error));
            }
        };
        let thread = thread::Builder::new().name("alerts".into()).spawn(send);
        Ok(Alerting {
            stop,
            thread: thread.map_err(Error::Start)?,
        })
    }

    /// What is under way is sent by the next process, after its lease.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the thread that sends alerts failed");
        }
    }
}

fn with_layers(routes: Router<App>, app: &App) -> Router {
    routes
        .route_layer(from_fn_with_state(app.clone(), access::admit))
        .fallback(|| async {
            Problem::new(
                axum::http::StatusCode::NOT_FOUND,
                "there is nothing here: `/openapi.json` lists what there is",
            )
        })
        .layer(DefaultBodyLimit::max(body::JSON))
        .layer(from_fn_with_state(app.clone(), origin::check))
        .layer(from_fn(body::receive))
        .layer(from_fn(head::check))
        .layer(from_fn(origin::harden))
        .layer(from_fn_with_state(app.clone(), metrics::count))
        .with_state(app.clone())
}
