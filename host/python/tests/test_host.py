"""A host of the default policy: what it claims, what it decides, and the reference's cases."""

import sqlite3
from pathlib import Path

import pytest

from serial_gate_host import (
    Guard,
    Hold,
    HostError,
    Policy,
    Settings,
    claim,
    claimable,
    snapshot,
)
from serial_gate_host.conform import conform

from .conftest import FIXTURES


def test_it_holds_the_second_task_until_the_first_is_done(
    policy: Policy, guard: Guard, queue: sqlite3.Connection
) -> None:
    clause = guard.check(policy.claim_clause(Settings()).text)
    assert [claim(queue, clause), claim(queue, clause)] == [1, None]
    queue.execute("UPDATE tasks SET stage = 'done' WHERE id = 1")
    queue.commit()
    assert claim(queue, clause) == 2


def test_a_decision_names_what_the_job_waits_for(policy: Policy, queue: sqlite3.Connection) -> None:
    queue.execute("INSERT INTO repo_freeze (id, repo) VALUES (7, 'beta')")
    queue.execute("INSERT INTO jobs (task_id, repo, agent) VALUES (2, 'beta', 'analyst')")
    decisions = policy.decide(Settings(), snapshot(queue))
    assert [decision.job for decision in decisions] == [1, 2, 3]
    assert [decision.hold for decision in decisions] == [
        None,
        Hold(earlier_task=1, freeze=None, rule=None),
        Hold(earlier_task=None, freeze=7, rule=None),
    ]


def test_a_policy_says_who_it_is_and_what_it_dropped(policy: Policy) -> None:
    assert policy.describe().name == "serial"
    clause = policy.claim_clause(Settings(repos="alpha, org/app"))
    assert clause.valid_until is None
    assert any("org/app" in note for note in clause.notes)


@pytest.mark.parametrize("fast", [True, False], ids=["core module", "component API"])
def test_every_case_of_the_reference_has_its_result(
    fast: bool, policy_path: Path, guard_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(FIXTURES / name) for name in ("edge.jsonl", "random.jsonl")]
    assert conform(files, str(policy_path), str(guard_path), fast) == 0
    printed = capsys.readouterr()
    assert printed.err == "416 passed, 0 failed\n"
    assert printed.out.count("\n") == 416


def test_the_rows_are_of_one_moment_and_any_value_has_its_symbol(
    policy: Policy, queue: sqlite3.Connection
) -> None:
    # A number, a blob, a text that is not UTF-8, and an id beyond what JavaScript can count to.
    queue.execute("DELETE FROM jobs")
    queue.execute("INSERT INTO tasks (id, repo, stage) VALUES (9007199254740993, 5, 'analysis')")
    queue.executemany(
        "INSERT INTO jobs (id, task_id, repo, agent) VALUES (?, ?, ?, 'analyst')",
        [
            (9007199254740993, 9007199254740994, 5),
            (9007199254740995, "no number", b"\xff"),
            (9007199254740997, 1.5, "alpha"),
        ],
    )
    queue.execute("UPDATE tasks SET stage = CAST(x'ff' AS TEXT) WHERE id = 2")
    decisions = policy.decide(Settings(), snapshot(queue))
    assert [(decision.job, decision.hold is None) for decision in decisions] == [
        (9007199254740993, False),
        (9007199254740995, True),
        (9007199254740997, False),
    ]
    assert queue.execute("SELECT typeof(repo) FROM tasks WHERE id = 1").fetchone() == ("text",)


def test_a_claim_is_told_whatever_the_connection_makes_of_rows(
    policy: Policy, guard: Guard, queue: sqlite3.Connection
) -> None:
    clause = guard.check(policy.claim_clause(Settings()).text)
    queue.row_factory = lambda cursor, row: {"id": row[0]}
    assert claimable(queue, clause) == [1]
    assert claim(queue, clause) == 1


def test_a_claim_commits_nothing_of_its_caller(
    policy: Policy, guard: Guard, queue: sqlite3.Connection
) -> None:
    clause = guard.check(policy.claim_clause(Settings()).text)
    queue.execute("UPDATE tasks SET stage = 'done'")
    with pytest.raises(HostError, match="has an open transaction"):
        claim(queue, clause)
    queue.rollback()
    assert claimable(queue, clause) == [1]
    queue.isolation_level = None
    assert [claim(queue, clause), claim(queue, clause)] == [1, None]


def test_the_guard_lists_the_indexes_of_a_queue(guard: Guard) -> None:
    indexes = {(index.table, *index.columns, index.covers) for index in guard.indexes()}
    assert ("repo_freeze", "repo", "id", "cleared_at IS NULL") in indexes
