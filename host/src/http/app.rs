//! What every handler has.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::policy::Stop;
use serial_gate::queue::{Error, Options, Queue};
use tokio::sync::{Mutex, Semaphore};

use super::Service;
use super::transport::access::Access;
use super::transport::actor::Handle;
use super::transport::answers::Answers;
use super::transport::connections::Connections;
use super::transport::counters::Counters;
use super::transport::hooks::Hooks;
use super::transport::parameters::Parameters;
use super::transport::reader::Reader;
use super::transport::shutdown::Shutdown;
use super::transport::uploads::Uploads;
use super::transport::writer::Writer;

/// The service's parts, for a handler.
#[derive(Clone)]
pub struct App(pub Arc<Parts>);

/// The parts of [`App`].
pub struct Parts {
    pub writer: Writer,
    pub reader: Handle<Reader>,
    /// For short looks: whether there is a clause, for `/readyz`, and whether an agent is known. Not
    /// the reader, which may be busy with a long queue, and not the writer, whose failures count
    /// towards a rollback.
    pub prober: Handle<Reader>,
    pub access: Arc<Access>,
    pub connections: Arc<Connections>,
    pub answers: Arc<Answers>,
    pub uploads: Uploads,
    pub hooks: Arc<Hooks>,
    pub counters: Arc<Counters>,
    pub document: String,
    /// The methods of each path, as the header `Allow` lists them.
    pub allowed: HashMap<String, String>,
    /// What each operation takes in its query string.
    pub parameters: Arc<Parameters>,
    pub service: Service,
    pub options: Options,
    /// Checks of policies, one at a time: each takes between a second and a minute of a processor.
    pub checks: Arc<Mutex<()>>,
    /// All other steps with policies. They do not wait for checks.
    pub steps: Arc<Semaphore>,
    pub shutdown: Shutdown,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Arc<Access> {
    fn from_ref(app: &App) -> Arc<Access> {
        Arc::clone(&app.access)
    }
}

impl Parts {
    /// A queue under the stored settings, for long work. After `stop`, it compiles and calls no
    /// policy.
    pub fn open_queue(&self, stop: Stop) -> Result<Queue, Error> {
        let rule = Rule::Active(Overrides::default());
        let options = self.options.clone();
        let runtime = options.runtime.until(stop);
        Queue::open(&self.service.db, rule, Options { runtime, ..options })
    }
}
