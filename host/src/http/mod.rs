//! The service: the queue over HTTP.
//!
//! Owns the start and the end of the service. Below it, each using the ones before: `transport`
//! (from the socket to an admitted caller), `app` (what every handler has), `api` (a file per
//! resource), `page` (for people), and `routes` (the list). Callers rely on this: nothing here
//! decides what the gate lets through, a thread that serves connections never waits for the
//! database, and after [`serve`] returns, everything that was answered is committed.

mod api;
mod app;
mod page;
mod routes;
mod transport;

pub use transport::body::COMPONENT;
pub use transport::limits::Limits;
pub use transport::secret::Secret;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use serial_gate::alerts::{self, Channel};
use serial_gate::error::with_causes;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::observe::Pace;
use serial_gate::policy::{Runtime, Trust};
use serial_gate::queue::{Error as QueueError, Options, Queue};
use serial_gate::store::{Database, Store};
use serial_gate::worker::branch::{Hooked, Project};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

use app::{App, Parts};
use routes::{Routes, routes, with_layers};
use transport::access::Access;
use transport::actor::Handle;
use transport::connections::Connections;
use transport::counters::Counters;
use transport::hooks::{Hooks, ReadSecret};
use transport::keys::Keys;
use transport::limits::TooFew;
use transport::listen::{self, Listening};
use transport::reader::Reader;
use transport::shutdown::{Shutdown, Trigger, shutdown};
use transport::uploads::Uploads;
use transport::writer::Writer;

/// How long the end of the service waits for background work after the last request.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What the service is started with.
pub struct Service {
    /// The queue's database.
    pub db: Database,
    /// Where to listen.
    pub address: SocketAddr,
    /// How many connections there may be.
    pub limits: Limits,
    /// Proxies in front of the service. Their `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// The settings that this process uses instead of the stored ones.
    pub overrides: Overrides,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// Compiles and runs the policies.
    pub runtime: Runtime,
    /// The keys whose signed policies may run. `None`: all policies may.
    pub trust: Option<Trust>,
    /// The repos that the configuration names.
    pub repos: Vec<String>,
    /// The projects in which workers cut branches. The service only checks the branches' names.
    pub projects: Vec<Project>,
    /// The projects that take webhooks of their forges.
    pub hooks: Vec<Hooked>,
    /// Reads the file with a webhook's secret.
    pub read_secret: ReadSecret,
    /// Where alerts go.
    pub alerts: alerts::Settings,
    /// How many lines of this process's log could not be written.
    pub log_lines_dropped: Arc<AtomicU64>,
}

/// Why the service does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] serial_gate::store::Error),
    #[error(transparent)]
    Policy(#[from] serial_gate::policy::Error),
    #[error(transparent)]
    Files(#[from] TooFew),
    #[error("cannot listen on `{address}`: name another with `--listen ADDRESS:PORT`")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: std::io::Error,
    },
    /// Anyone on the network could use the service.
    #[error(
        "`{address}` can be reached from other machines, and nobody has a token: make one with \
         `serial-gate token add NAME --role operator`"
    )]
    Open { address: SocketAddr },
    /// The operating system refuses a thread, a socket or a signal handler.
    #[error("the service cannot run here")]
    Start(#[source] std::io::Error),
    /// A thread that requests need has panicked.
    #[error(
        "a part of the service failed, and its last request may have no answer: see the log, and \
         start the service again"
    )]
    Ended,
    #[error(transparent)]
    Alerts(#[from] alerts::Error),
    #[error("the OpenAPI document cannot be written")]
    Document(#[source] serde_json::Error),
}

/// Runs the service until SIGTERM or SIGINT. `ready` is called once with the address that it
/// listens on.
pub fn serve(service: Service, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    // A connection to a server may not be opened or closed where connections are served.
    let threads = Threads::start(&service)?;
    let ended = runtime.block_on(run(service, threads, ready));
    // A check that still runs has no caller left.
    runtime.shutdown_timeout(CUT_OFF);
    ended
}

/// Stops the compiler when the shutdown begins.
async fn stop_compiling(runtime: Runtime, mut shutdown: Shutdown) {
    shutdown.cancelled().await;
    runtime.stop_compiling();
}

/// The threads that use the database.
struct Threads {
    writer: Writer,
    reader: Handle<Reader>,
    prober: Handle<Reader>,
    keys: Handle<Keys>,
    alerting: Alerting,
    /// How each queue is opened.
    options: Options,
    trigger: Trigger,
    shutdown: Shutdown,
    /// Notified when a thread ends.
    ended: Arc<Notify>,
    running: [JoinHandle<()>; 4],
}

impl Threads {
    fn start(service: &Service) -> Result<Threads, Error> {
        let mut store = Store::open(&service.db)?;
        let address = service.address;
        // A database's role that may not read them could serve no request.
        let had_tokens = store.had_access_tokens()?;
        if !address.ip().is_loopback() && !had_tokens {
            return Err(Error::Open { address });
        }
        service.runtime.start()?;
        let options = Options {
            runtime: service.runtime.clone(),
            trust: service.trust.clone(),
            repos: service.repos.clone(),
            ..Options::default()
        };
        let open = |options: &Options| {
            let rule = Rule::Active(service.overrides.clone());
            Queue::open(&service.db, rule, options.clone())
        };
        let claiming = Options {
            pace: Some(Pace::default()),
            ..options.clone()
        };
        let (trigger, shutdown) = shutdown();
        let ended = Arc::new(Notify::new());
        let (writer, writing) = Writer::start(
            open(&claiming)?,
            service.lease,
            shutdown.clone(),
            Arc::clone(&ended),
        )
        .map_err(Error::Start)?;
        let spawn = |name| {
            let reader = Reader::new(open(&options)?);
            Handle::spawn(name, reader, Arc::clone(&ended)).map_err(Error::Start)
        };
        let (reader, reading) = spawn("reader")?;
        let (prober, probing) = spawn("prober")?;
        let (keys, finding) =
            Handle::spawn("keys", Keys::new(store), Arc::clone(&ended)).map_err(Error::Start)?;
        Ok(Threads {
            writer,
            reader,
            prober,
            keys,
            alerting: Alerting::start(service, open(&options)?)?,
            options,
            trigger,
            shutdown,
            ended,
            running: [writing, reading, probing, finding],
        })
    }
}

async fn run(
    service: Service,
    threads: Threads,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let Threads {
        writer,
        reader,
        prober,
        keys,
        alerting,
        options,
        trigger,
        shutdown,
        ended,
        running,
    } = threads;
    tokio::spawn(stop_compiling(service.runtime.clone(), shutdown.clone()));
    let Routes {
        guarded,
        public,
        signed,
        document,
        allowed,
        parameters,
    } = routes();
    let address = service.address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| Error::Listen { address, cause })?;
    let address = listener.local_addr().map_err(Error::Start)?;
    let hooks = Arc::new(Hooks::new(service.hooks.clone(), service.read_secret));
    let app = App(Arc::new(Parts {
        writer,
        reader,
        prober,
        access: Arc::new(Access::new(keys, service.proxies.clone())),
        connections: Arc::new(Connections::new(service.limits, service.proxies.clone())),
        answers: Arc::default(),
        uploads: Uploads::default(),
        hooks,
        counters: Arc::new(Counters::new()),
        document: document.to_json().map_err(Error::Document)?,
        allowed,
        parameters: Arc::new(parameters),
        service,
        options,
        checks: Arc::default(),
        steps: Arc::new(Semaphore::new(api::background::STEPS)),
        shutdown,
    }));
    let listening = Listening {
        listener,
        connections: Arc::clone(&app.connections),
        answers: Arc::clone(&app.answers),
        trigger,
    };
    let router = with_layers([guarded, public, signed], app);
    ready(address);
    let stopped = listen::serve(listening, router, &ended).await;
    alerting.end();
    // Each thread finishes its queued requests, and ends when no handle is left.
    for thread in running {
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
        let (settings, stopped) = (service.alerts.clone(), stop.clone());
        let send = move || {
            if let Err(error) = alerts::run(queue, &settings, &Timestamp::now, &stopped) {
                tracing::error!("alerts are no longer sent: {}", with_causes(&error));
            }
        };
        let thread = thread::Builder::new().name("alerts".into()).spawn(send);
        Ok(Alerting {
            stop,
            thread: thread.map_err(Error::Start)?,
        })
    }

    /// An alert that is not sent by then is sent by the next process, after its lease.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the thread that sends alerts failed");
        }
    }
}
