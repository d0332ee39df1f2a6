//! The triggers: they take a repo's lock and mark the repo when a row changes that can affect its
//! claims, give each freeze its number, and give the clause in force a new version.
//!
//! Owns their text, which is the same for every policy. Leaves the marks to `heads`, where a claim
//! evaluates each marked repo anew, and the locks to `locks`. Callers rely on this: a change of a
//! row by any program takes the lock and makes the mark in the same transaction, with two
//! exceptions. A claim makes its marks itself. And a table's owner can disable its triggers. Every
//! freeze gets a number, by whatever program, even when a cleared row becomes a freeze again; the
//! number is never reused. No statement of another program fails because of a trigger: it needs no
//! right to the gate's tables, reads nothing that a serializable transaction could conflict about,
//! and waits only for claims, which are short.

use super::freeze_number::FREEZE_NUMBER;
use super::functions::{Function, NOW_TEXT};
use super::heads::MARK_ALL;
use super::locks::{Locks, NUMBERS};
use super::own_tables::NOW_MS;
use crate::clause::Table;

/// A trigger: its name, its table, and the statement that makes it.
pub(crate) struct Trigger {
    pub name: String,
    pub table: &'static str,
    pub create: String,
}

/// Every trigger, in a schema that is quoted already.
pub(crate) fn all(schema: &str) -> Vec<Trigger> {
    let mut triggers: Vec<Trigger> = Table::ALL
        .into_iter()
        .flat_map(|table| of_table(schema, table))
        .collect();
    triggers.extend(of_new_tasks(schema));
    triggers.extend(numbers(schema));
    triggers.extend(versions(schema));
    triggers
}

/// The functions of the triggers, which are made before them.
pub(crate) fn functions(schema: &str) -> [String; 6] {
    [
        ("entering", entering(schema)),
        ("changed", changed(schema)),
        ("arrived", arrived()),
        ("emptied", emptied()),
        ("number", number(schema)),
        ("new_version", new_version()),
    ]
    .map(|(name, body)| {
        // Another program's `lock_timeout` may be shorter than a claim.
        let create = Function {
            signature: &format!("serial_gate_{name}()"),
            returns: "RETURNS trigger",
            is_definer: true,
            settings: "SET lock_timeout = 0",
            body: &body,
        }
        .create(schema);
        format!("{create} REVOKE ALL ON FUNCTION {schema}.serial_gate_{name}() FROM PUBLIC;")
    })
}

/// How a trigger is made.
struct New<'a> {
    table: &'static str,
    what: &'a str,
    event: &'a str,
    when: &'a str,
    function: &'a str,
    /// Whether it fires for rows that arrive by replication, too.
    is_always: bool,
}

fn trigger(schema: &str, new: &New<'_>) -> Trigger {
    let New {
        table,
        what,
        event,
        when,
        function,
        ..
    } = new;
    let of = table.strip_prefix("serial_gate_").unwrap_or(table);
    let name = format!("serial_gate_{of}_{what}");
    let each = if event.ends_with("TRUNCATE") {
        "STATEMENT"
    } else {
        "ROW"
    };
    let when = match *when {
        "" => String::new(),
        condition => format!("WHEN ({condition})"),
    };
    let mut create = format!(
        "CREATE OR REPLACE TRIGGER {name} {event} ON {schema}.{table} FOR EACH {each} {when}
         EXECUTE FUNCTION {schema}.serial_gate_{function}();"
    );
    if new.is_always {
        create.push_str(&format!(
            "ALTER TABLE {schema}.{table} ENABLE ALWAYS TRIGGER {name};"
        ));
    }
    Trigger {
        name,
        table,
        create,
    }
}

fn of_table(schema: &str, table: Table) -> [Trigger; 4] {
    let name = table.name();
    // The condition is on the row as it was and became: with a list of columns, a change that
    // another trigger made before would not count.
    let columns = |row: &str| {
        let columns = table.columns().iter();
        let columns = columns.map(|column| format!("{row}.{}", column.name()));
        columns.collect::<Vec<_>>().join(", ")
    };
    let differs = format!(
        "({}) IS DISTINCT FROM ({}){}",
        columns("OLD"),
        columns("NEW"),
        but_no_claim(table)
    );
    [
        ("added", "AFTER INSERT", "", "changed"),
        ("changed", "AFTER UPDATE", differs.as_str(), "changed"),
        ("removed", "AFTER DELETE", "", "changed"),
        ("emptied", "AFTER TRUNCATE", "", "emptied"),
    ]
    .map(|(what, event, when, function)| {
        let new = New {
            table: name,
            what,
            event,
            when,
            function,
            is_always: true,
        };
        trigger(schema, &new)
    })
}

/// A claim gives the job a higher fence than it ever had, and of what a clause can see it changes
/// only the status. Another program that writes the gate's columns like this looks like a claim;
/// the next claim, which evaluates the clause again, finds the wrong head.
fn but_no_claim(table: Table) -> &'static str {
    match table {
        Table::Jobs => {
            " AND (OLD.status = 'queued' AND NEW.status = 'running' \
             AND NEW.gate_fence > coalesce(OLD.gate_fence, 0) \
             AND OLD.id = NEW.id AND OLD.task_id IS NOT DISTINCT FROM NEW.task_id \
             AND OLD.repo IS NOT DISTINCT FROM NEW.repo \
             AND OLD.agent IS NOT DISTINCT FROM NEW.agent) IS NOT TRUE"
        }
        Table::Tasks | Table::RepoFreeze => "",
    }
}

/// Locks and marks the repos of a changed row. A transaction needs one mark a repo, however many
/// rows it changes; it remembers the last repo that it marked. A setting remembers, because a read
/// of the marks could fail a serializable transaction; a savepoint's rollback takes back both.
fn changed(schema: &str) -> String {
    let locks = Locks::of(schema);
    let known = format!(
        "'{}' || coalesce('.' || one, '')",
        schema.replace('\'', "''")
    );
    format!(
        "DECLARE
            repos text[];
            one text;
            known text;
         BEGIN
            IF TG_OP = 'INSERT' THEN repos := ARRAY[NEW.repo::text];
            ELSIF TG_OP = 'DELETE' THEN repos := ARRAY[OLD.repo::text];
            ELSIF OLD.repo IS NOT DISTINCT FROM NEW.repo THEN repos := ARRAY[NEW.repo::text];
            ELSE repos := ARRAY[OLD.repo::text, NEW.repo::text];
            END IF;
            FOREACH one IN ARRAY repos LOOP
                known := {known};
                CONTINUE WHEN current_setting('{MARKED}', TRUE) = known;
                PERFORM {};
                INSERT INTO serial_gate_mark (no_repo, repo)
                VALUES (one IS NULL, coalesce(one, ''));
                PERFORM set_config('{MARKED}', known, TRUE);
            END LOOP;
            RETURN NULL;
         END",
        locks.write("one"),
    )
}

/// The setting with the repo that this transaction has marked last.
pub(super) const MARKED: &str = "serial_gate.marked";

/// A new task's row has its id already, and nobody else sees it before the commit. The lock keeps
/// later tasks of the repo from being started meanwhile; `AFTER INSERT` would come only at the end
/// of a statement with many rows. Another trigger may change the repo after this, so the lock is
/// taken there again.
fn entering(schema: &str) -> String {
    let locks = Locks::of(schema);
    format!(
        "DECLARE one text := NEW.repo;
         BEGIN
            PERFORM {};
            RETURN NEW;
         END",
        locks.write("one")
    )
}

/// Counts a task that comes after a higher one of its repo was started: its id was given out before
/// that, or by another program.
fn arrived() -> String {
    format!(
        "BEGIN
            INSERT INTO serial_gate_late_task (at, repo, task, started)
            SELECT {NOW_TEXT}, NEW.repo, NEW.id, s.task FROM serial_gate_started s
            WHERE s.no_repo = (NEW.repo IS NULL) AND s.repo = coalesce(NEW.repo::text, '') COLLATE \"C\"
                AND s.task > NEW.id;
            RETURN NULL;
         END"
    )
}

fn of_new_tasks(schema: &str) -> [Trigger; 2] {
    let table = Table::Tasks.name();
    [
        ("entering", "BEFORE INSERT", "", "entering"),
        // After `added`, which takes the lock: triggers fire in the order of their names.
        (
            "arrived",
            "AFTER INSERT",
            "NEW.stage IS DISTINCT FROM 'done'",
            "arrived",
        ),
    ]
    .map(|(what, event, when, function)| {
        let new = New {
            table,
            what,
            event,
            when,
            function,
            is_always: true,
        };
        trigger(schema, &new)
    })
}

/// `TRUNCATE` locks the table against every claim until it is committed.
fn emptied() -> String {
    format!("BEGIN {MARK_ALL}; RETURN NULL; END")
}

/// A freeze gets a number when its row is inserted, and a row that becomes a freeze gets a new one.
///
/// The numbers follow the time in milliseconds, so that they grow even when the last ones are lost,
/// as in a restored backup. A sequence cannot be moved and read in one step, so it is moved by one
/// session at a time, and only when it is a second behind: a session that takes the next number
/// meanwhile does not come that far. The lock is the session's, not the transaction's, which would
/// keep it for as long as it likes.
fn number(schema: &str) -> String {
    let sequence = format!("{schema}.{FREEZE_NUMBER}").replace('\'', "''");
    let (locks, is_behind) = (
        Locks::of(schema),
        format!("(SELECT s.last_value FROM {FREEZE_NUMBER} s) < {NOW_MS} - 1000"),
    );
    let (hold, let_go) = (locks.hold(NUMBERS), locks.let_go(NUMBERS));
    format!(
        "BEGIN
            IF {is_behind} THEN
                BEGIN
                    PERFORM {hold};
                    IF {is_behind} THEN
                        PERFORM setval('{sequence}', {NOW_MS});
                    END IF;
                    PERFORM {let_go};
                EXCEPTION WHEN query_canceled OR OTHERS THEN
                    PERFORM {let_go};
                    RAISE;
                END;
            END IF;
            NEW.gate_number := nextval('{sequence}');
            RETURN NEW;
         END"
    )
}

fn numbers(schema: &str) -> [Trigger; 2] {
    let again = "NEW.cleared_at IS NULL \
        AND (OLD.cleared_at IS NOT NULL OR OLD.repo IS DISTINCT FROM NEW.repo)";
    [
        ("numbered", "BEFORE INSERT", ""),
        ("renumbered", "BEFORE UPDATE", again),
    ]
    .map(|(what, event, when)| {
        let new = New {
            table: Table::RepoFreeze.name(),
            what,
            event,
            when,
            function: "number",
            is_always: false,
        };
        trigger(schema, &new)
    })
}

/// A new version of the clause: greater than every earlier one, even if the last was lost, as in a
/// restored backup.
fn new_version() -> String {
    format!(
        "BEGIN
            UPDATE serial_gate_clause_version SET version = greatest(version + 1, {NOW_MS});
            RETURN NULL;
         END"
    )
}

/// Fires whenever another generation becomes active, or the active one changes.
fn versions(schema: &str) -> [Trigger; 4] {
    [
        ("activated", "AFTER INSERT", "NEW.state = 'active'"),
        (
            "changed",
            "AFTER UPDATE",
            "OLD.state = 'active' OR NEW.state = 'active'",
        ),
        ("removed", "AFTER DELETE", "OLD.state = 'active'"),
        ("emptied", "AFTER TRUNCATE", ""),
    ]
    .map(|(what, event, when)| {
        let new = New {
            table: "serial_gate_generation",
            what,
            event,
            when,
            function: "new_version",
            is_always: false,
        };
        trigger(schema, &new)
    })
}
