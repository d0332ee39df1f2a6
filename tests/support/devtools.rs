//! Chromium's DevTools protocol over a pair of pipes.
//!
//! A message is a JSON object, ended by a NUL. Owns the process and the order of messages: one
//! command at a time. Events are dropped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A running browser, with a profile that is removed at the end.
pub struct Browser {
    pipe: Mutex<Pipe>,
    _profile: TempDir,
}

struct Pipe {
    process: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    last: u64,
}

impl Browser {
    pub fn start(program: &OsStr) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads commands from descriptor 3 and writes answers to 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--window-size=1000,900",
                "--no-first-run",
                // It opens no connection but to the page.
                "--no-default-browser-check",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-default-apps",
                "--disable-extensions",
                "--disable-quic",
                "--disable-sync",
                // It needs neither a large `/dev/shm` nor a graphics card.
                "--disable-dev-shm-usage",
                "--disable-gpu",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = messages(process.stdout.take().unwrap());
        Browser {
            pipe: Mutex::new(Pipe {
                process,
                commands,
                answers,
                last: 0,
            }),
            _profile: profile,
        }
    }

    /// Sends a command, to the browser or to a tab of it; its result or its error.
    pub fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, Value> {
        let mut pipe = self.pipe.lock().unwrap();
        pipe.last += 1;
        let mut command = json!({"id": pipe.last, "method": method, "params": parameters});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        write!(pipe.commands, "{command}\0").unwrap();
        loop {
            let answer = pipe.answers.recv_timeout(Duration::from_secs(60));
            let mut answer = answer.unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == pipe.last {
                return match answer["error"].take() {
                    Value::Null => Ok(answer["result"].take()),
                    error => Err(error),
                };
            }
        }
    }
}

fn messages(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    spawn(move || {
        for message in BufReader::new(from).split(b'\0').map_while(Result::ok) {
            // What the browser's end cuts off is not JSON.
            let Ok(message) = serde_json::from_slice(&message) else {
                return;
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Drop for Browser {
    /// Lets the browser end its processes, for up to five seconds.
    fn drop(&mut self) {
        let Ok(pipe) = self.pipe.get_mut() else {
            return;
        };
        let close = json!({"id": pipe.last + 1, "method": "Browser.close"});
        let _ = write!(pipe.commands, "{close}\0");
        for _ in 0..100 {
            if !matches!(pipe.process.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let _ = pipe.process.kill();
        let _ = pipe.process.wait();
    }
}
