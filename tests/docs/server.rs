//! The server of a document about PostgreSQL: a database and a role of its own, with the names of
//! the document in what is typed and printed.

use std::sync::atomic::{AtomicU32, Ordering};

use serial_gate::store::Location;

use super::page::Section;
use crate::support::engine::{client, parameters};

/// The names in the documents.
const DATABASE: &str = "orchestrator";
const ROLE: &str = "serial_gate_worker";
const AT: &str = "localhost";

pub struct Server {
    database: String,
    role: String,
}

impl Server {
    /// For a section that has the address of a server.
    pub fn of(section: &Section<'_>) -> Option<Server> {
        let is_named = |text: &str| text.contains(&format!("postgres://{AT}/{DATABASE}"));
        let is_used = section.steps.iter().any(|step| is_named(&step.command));
        is_used.then(|| {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let unique = format!("docs_{}_{count}", std::process::id());
            Server {
                role: format!("{unique}_role"),
                database: unique,
            }
        })
    }

    /// The variables by which the server's own programs find it.
    pub fn variables() -> Vec<(&'static str, String)> {
        let named = parameters().into_iter();
        let named = named.filter_map(|(name, value)| match name.as_str() {
            "host" => Some(("PGHOST", value)),
            "port" => Some(("PGPORT", value)),
            "user" => Some(("PGUSER", value)),
            _ => None,
        });
        named.collect()
    }

    /// A command of the document, for this server.
    pub fn in_command(&self, command: &str) -> String {
        let mut command = command.to_owned();
        for (said, real) in self.addresses() {
            command = command.replace(&said, &format!("'{real}'"));
        }
        command
            .replace(DATABASE, &self.database)
            .replace(ROLE, &self.role)
    }

    /// What this server's commands print, in the document's words.
    pub fn in_output(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (said, real) in self.addresses() {
            let shown = Location::of(real.as_ref()).unwrap().to_string();
            line = line
                .replace(&format!("'{shown}'"), &said)
                .replace(&shown, &said);
        }
        line.replace(&self.role, ROLE)
            .replace(&self.database, DATABASE)
    }

    /// The addresses of the document, each with the real one.
    fn addresses(&self) -> [(String, String); 2] {
        let rest: Vec<String> = parameters()
            .into_iter()
            .filter(|(name, _)| name == "host" || name == "port")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let user = parameters().into_iter().find(|(name, _)| name == "user");
        let user = user.map_or_else(String::new, |(_, user)| format!("{user}@"));
        let real = |user: &str| format!("postgres://{user}/{}?{}", self.database, rest.join("&"));
        [
            (format!("postgres://{AT}/{DATABASE}"), real(&user)),
            (
                format!("postgres://{ROLE}@{AT}/{DATABASE}"),
                real(&format!("{}@", self.role)),
            ),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Server { database, role } = self;
        let mut client = client();
        for drop in [
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {role}"),
        ] {
            if let Err(error) = client.execute(&drop, &[]) {
                eprintln!("`{drop}` failed: {error}");
            }
        }
    }
}
