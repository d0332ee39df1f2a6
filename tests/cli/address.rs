//! The address of a database in a server, as the options say it: what is refused, and what no text
//! shows. The connection itself is tested in `tests/postgres/`.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Gate, Ran};

/// A port at which nobody listens.
fn dead_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// What a command prints about a database, with these options.
fn refusal(gate: &Gate, variable: &str, options: &[&str], code: i32) -> String {
    let mut command = gate.command(&[options, &["queue"]].concat());
    for name in ["PGPASSWORD", "PGPASSFILE"] {
        command.env_remove(name);
    }
    command.env("HOME", gate.path("home"));
    command.env("SERIAL_GATE_DB", variable);
    let ran: Ran = command.output().unwrap().into();
    let ran = ran.exits(code);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    let folder = gate.path("");
    let folder = fs::canonicalize(folder).unwrap();
    ran.stderr
        .replace(&format!("{}/", folder.to_str().unwrap()), "DIR/")
}

#[test]
fn a_password_in_a_flag_is_refused_with_what_helps() {
    let gate = Gate::empty();
    let url = "postgres://u:secret@127.0.0.1/db";
    let refused = refusal(&gate, "", &["--db", url], 1);
    insta::assert_snapshot!(refused, @"error: `--db` has a password, which every user of this machine can see in the list of processes: leave it out there, and write it into `SERIAL_GATE_DB`, or into `db` or `password_file` of the configuration file, or into the file that `PGPASSFILE` names");
    let in_query = "postgres://u@127.0.0.1/db?password=secret";
    assert_eq!(refusal(&gate, "", &["--db", in_query], 1), refused);
}

#[test]
fn what_is_no_address_is_refused_by_the_name_of_its_option() {
    let gate = Gate::empty();
    let of_variable = refusal(&gate, "postgres://u:se@cret@h/db", &[], 1);
    insta::assert_snapshot!(of_variable, @r"
    error: cannot use the address of a database in `SERIAL_GATE_DB`
      because an `@`, `/` or `?` of its user or password is not escaped: write `%40`, `%2F` or `%3F`
    ");
    let of_flag = refusal(&gate, "", &["--db", "postgres://u@h/db?sslmod=secret"], 1);
    insta::assert_snapshot!(of_flag, @r"
    error: cannot use the address of a database in `--db`
      because it has the parameter `sslmod`, which is not known here; known are `application_name`, `channel_binding`, `connect_timeout`, `dbname`, `host`, `options`, `passfile`, `password`, `port`, `schema`, `sslcert`, `sslkey`, `sslmode`, `sslrootcert`, `target_session_attrs`, `user`
    ");
    gate.write("queue.toml", "db = \"postgres://u:secret@/db\"\n");
    let of_file = refusal(&gate, "", &["--config", "queue.toml"], 1);
    insta::assert_snapshot!(of_file, @r"
    error: cannot use the address of a database in `db` in `queue.toml`
      because it has no host: write one after the `//`, or `?host=/FOLDER` for a socket
    ");
}

#[test]
fn no_error_shows_a_password() {
    let gate = Gate::empty();
    let url = "postgres://u:secret@127.0.0.1/db";
    // Where no address can be.
    for options in [&[url][..], &["queue", url], &["--no-such-flag", url]] {
        refusal(&gate, "", options, 2);
    }
    refusal(&gate, "", &[&format!("--dbb={url}")], 2);
    // Where a repo can be.
    for verb in [
        &["repo", url][..],
        &["freeze", url, "--reason", "why"],
        &["unfreeze", url],
        &["deploy-verdict", url, "--verdict", "healthy"],
        &["task", "add", url],
        &["task", "list", "--repo", url],
        &["job", "list", "--repo", url],
        &["audit", "--repo", url],
    ] {
        let refused = gate.run(verb).exits(2);
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("after `--db`"),
            "{}",
            refused.stderr
        );
    }
    // In a file that is not understood.
    for text in [
        "db = \"postgres://u:secret@h/db\nenabled = true\n",
        "db = [\"postgres://u:secret@h/db\"]\n",
        "password = \"secret\"\n",
    ] {
        gate.write("queue.toml", text);
        refusal(&gate, "", &["--config", "queue.toml"], 1);
    }
    // Next to a database that another file names.
    let gate = Gate::new();
    gate.write("serial-gate.toml", "db = \"postgres://u:secret@h/db\"\n");
    let other = refusal(&gate, "", &[], 1);
    insta::assert_snapshot!(other, @"error: `serial-gate.toml` is next to the database that this command uses, but names another one, `postgres://u@h/db`: remove its `db`, or name the file with `--config`");
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let gate = Gate::empty();
    let port = dead_port();
    let url = format!("postgres://u:secret@127.0.0.1:{port}/db?schema=q");
    let refused = refusal(&gate, &url, &[], 1);
    insta::assert_snapshot!(refused.replace(&port.to_string(), "PORT"), @r"
    error: cannot use the database `postgres://u@127.0.0.1:PORT/db?schema=q`: is the server up, and may this role connect?
      because error connecting to server
      because connection refused
    ");
    // Whichever option names it.
    gate.write("queue.toml", format!("db = \"{url}\"\n"));
    assert_eq!(refusal(&gate, "", &["--config", "queue.toml"], 1), refused);
    let without_password = url.replace(":secret", "");
    assert_eq!(refusal(&gate, "", &["--db", &without_password], 1), refused);
}

#[test]
fn the_password_of_a_file_is_found_from_that_file_s_folder() {
    let gate = Gate::empty();
    let port = dead_port();
    let url = format!("postgres://u@127.0.0.1:{port}/db");
    let at = |folder: &Gate, text: String| {
        folder.write("etc/queue.toml", text);
        let refused = refusal(folder, "", &["--config", "etc/queue.toml"], 1);
        refused.replace(&port.to_string(), "PORT")
    };
    fs::create_dir(gate.path("etc")).unwrap();
    let missing = at(
        &gate,
        format!("db = \"{url}\"\npassword_file = \"password\"\n"),
    );
    insta::assert_snapshot!(missing, @r"
    error: the password or the certificates for `postgres://u@127.0.0.1:PORT/db` cannot be used
      because cannot read `etc/password`
      because no such file or directory
    ");
    gate.write("etc/password", "secret\n");
    fs::set_permissions(gate.path("etc/password"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = at(&gate, format!("db = \"{url}?passfile=password\"\n"));
    insta::assert_snapshot!(open, @r"
    error: the password or the certificates for `postgres://u@127.0.0.1:PORT/db?passfile=etc/password` cannot be used
      because other users may read `etc/password`: `chmod go= etc/password`
    ");
    let of_sqlite = at(
        &gate,
        "db = \"queue.db\"\npassword_file = \"password\"\n".into(),
    );
    insta::assert_snapshot!(of_sqlite, @"error: `etc/queue.toml` has a `password_file`, and its `db` is a file, which needs no password: remove one of them");
}

#[test]
fn a_file_with_passwords_is_refused_by_its_line() {
    let gate = Gate::empty();
    let port = dead_port();
    let url = format!("postgres://u@127.0.0.1:{port}/db");
    gate.write("passwords", "# ours\n127.0.0.1:secret\n");
    fs::set_permissions(gate.path("passwords"), fs::Permissions::from_mode(0o600)).unwrap();
    let variable = vec![("PGPASSFILE", OsString::from(gate.path("passwords")))];
    let gate = gate.with_environment(variable);
    let ran: Ran = gate
        .command(&["--db", &url, "queue"])
        .output()
        .unwrap()
        .into();
    let text = ran.exits(1).stderr;
    assert!(text.contains("line 2 of"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
