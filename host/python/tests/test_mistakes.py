"""Mistakes of a host, and hostile components: each has a remedy, and none opens the gate."""

import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serial_gate_host import (
    ClauseRefused,
    Guard,
    HostError,
    InvalidPolicy,
    InvalidRow,
    InvalidSettings,
    Limits,
    Policy,
    PolicyAnswered,
    PolicyFailed,
    Settings,
    claim,
    snapshot,
)
from serial_gate_host.guard import Guarded

from . import hostile

GOOD = {"enabled": True, "repos": "", "freeze_enabled": True}
KEYS = "the keys of the settings are `enabled`, `repos`, `freeze_enabled`, `rules`"


def says(error: type[HostError], call: Callable[[], object]) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"enabled": True, "repos": ""}, f"`freeze_enabled` is missing: {KEYS}"),
        (
            {"enabled": True, "repos": "", "freezeEnabled": True},
            f"`freezeEnabled` is unknown, `freeze_enabled` is missing: {KEYS}",
        ),
        ({**GOOD, "freeze-enabled": True}, f"`freeze-enabled` is unknown: {KEYS}"),
        ({**GOOD, "enabled": "true"}, "`enabled` is 'true': write `True` or `False`"),
        ({**GOOD, "enabled": 1}, "`enabled` is 1: write `True` or `False`"),
        ({**GOOD, "repos": None}, "`repos` is None: write a string, empty for all repos"),
        (
            {**GOOD, "rules": {"gated_agents": ["dev"]}},
            "`rules` is not a string: pass the JSON object as `json.dumps` writes it",
        ),
        ({**GOOD, "rules": "[]"}, "`rules` is not a JSON object: write `{…}`, or none at all"),
    ],
)
def test_settings_with_a_wrong_key_or_value_are_refused(
    document: dict[str, Any], said: str
) -> None:
    assert says(InvalidSettings, lambda: Settings.from_mapping(document)) == said


def test_good_settings_are_taken() -> None:
    assert Settings.from_mapping(GOOD) == Settings()


def test_a_file_that_is_no_component_is_refused(policy_path: Path, guard_path: Path) -> None:
    module = b"\0asm\x01\0\0\0"
    assert "is a core module and not a component" in says(InvalidPolicy, lambda: Policy(module))
    assert "is not WebAssembly" in says(InvalidPolicy, lambda: Policy(b"SQLite format 3\0"))
    cut = policy_path.read_bytes()[:5000]
    assert "is not valid" in says(InvalidPolicy, lambda: Policy(cut))
    guard_as_policy = Policy.from_file(guard_path)
    said = says(InvalidPolicy, guard_as_policy.describe)
    assert "does not export `serial-gate:policy/serial-gate@" in said


def test_a_call_that_does_not_end_is_ended(policy_path: Path, queue: sqlite3.Connection) -> None:
    for fast in (True, False):
        policy = Policy.from_file(policy_path, Limits(decide_fuel=1000), fast=fast)
        state = snapshot(queue)
        said = says(PolicyFailed, lambda: policy.decide(Settings(), state))
        assert said.startswith("`decide` used all of its fuel"), said


def test_a_call_that_wants_too_much_memory_is_ended(
    policy_path: Path, queue: sqlite3.Connection
) -> None:
    queue.executemany(
        "INSERT INTO tasks (work_item_id, repo, stage) VALUES (?, 'alpha', 'analysis')",
        [(str(n) * 100,) for n in range(20_000)],
    )
    for fast in (True, False):
        policy = Policy.from_file(policy_path, Limits(memory=4 << 20), fast=fast)
        state = snapshot(queue)
        said = says(PolicyFailed, lambda: policy.decide(Settings(), state))
        assert said.startswith("`decide` trapped"), said


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        # An error of a case that does not exist.
        (words(1, 0, 7, 0, 0), "it has an error of number 7"),
        # A text that is not in the memory, at its end, and one that is not UTF-8.
        (words(0, 0, 2**31, 1, 0, 0), "it points beyond the memory"),
        (words(0, 0, 65_536 - 4, 5, 0, 0), "it points beyond the memory"),
        (words(0, 0, 40, 1, 0, 0, 0, 0, 0, 0, 0xFF), "it has a text that is not UTF-8"),
        # Many notes that share one long text.
        (words(0, 0, 0, 0, 0, 2**29), "it is larger than `Limits` allows"),
        (
            words(0, 0, 0, 0, 64, 1000) + bytes(40) + words(20_000, 40_000) * 1000,
            "it is larger than",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_failure_of_the_policy(answer: bytes, said: str) -> None:
    policy = Policy(hostile.component(answer))
    assert said in says(PolicyFailed, lambda: policy.claim_clause(Settings()))


def test_no_decision_is_invented(queue: sqlite3.Connection) -> None:
    # Two million decisions in a memory that has room for a thousand.
    policy = Policy(hostile.component(words(0, 0, 2_000_000)))
    state = snapshot(queue)
    said = says(PolicyFailed, lambda: policy.decide(Settings(), state))
    assert said.startswith("the answer of `decide` cannot be read"), said


def test_a_clause_that_the_guard_has_not_printed_does_not_run(
    policy: Policy, guard: Guard, queue: sqlite3.Connection
) -> None:
    raw: Any = policy.claim_clause(Settings())
    untrusted = "a clause is untrusted text: pass what `guard.check` returns"
    assert says(HostError, lambda: claim(queue, raw)) == untrusted
    assert says(HostError, lambda: claim(queue, raw.text)) == untrusted
    assert "pass `.text` of `claim_clause`" in says(HostError, lambda: guard.check(raw))
    good = guard.check(raw.text)
    assert "`guard.check` makes what may run" in says(
        HostError, lambda: Guarded("TRUE", False, [], True, good.gated, None)
    )


def test_an_argument_of_another_type_is_named(policy: Policy, queue: sqlite3.Connection) -> None:
    state, given = snapshot(queue), Settings()
    document: Any = dict(GOOD)
    for call in (
        lambda: policy.claim_clause(document),
        lambda: policy.decide(document, state),
    ):
        assert says(InvalidSettings, call).startswith("pass `Settings`")
    odd: Any = "now"
    assert says(HostError, lambda: policy.claim_clause(given, now=odd)).startswith("`now` is 'now'")
    assert says(HostError, lambda: policy.decide(given, state, now=2**70)).startswith("`now` is ")
    assert says(HostError, lambda: Limits(memory=0)).startswith("the limit `memory` is 0")


def test_what_the_policy_refuses_is_told_in_its_words(policy: Policy) -> None:
    settings = Settings(rules='{"gated_agent": ["dev"]}')
    with pytest.raises(PolicyAnswered) as raised:
        policy.claim_clause(settings)
    assert raised.value.kind == "invalid-rules"
    assert "gated_agent" in raised.value.text


def test_a_clause_outside_of_the_language_is_refused_with_its_place(guard: Guard) -> None:
    with pytest.raises(ClauseRefused) as raised:
        guard.check("AND jobs.agent = 'x' -- and so on")
    assert (raised.value.construct, raised.value.line, raised.value.column) == ("comment", 1, 22)
    assert str(raised.value) == ("[comment] `--` starts a comment at line 1, column 22: remove it")


def test_a_dialect_that_does_not_exist_is_refused(policy: Policy, guard: Guard) -> None:
    for call in (
        lambda: policy.claim_clause(Settings(), dialect="mysql"),
        lambda: guard.check("", dialect="mysql"),
    ):
        assert says(HostError, call) == (
            "there is no dialect `mysql`: write `sqlite` or `postgres`"
        )


def test_a_database_that_is_no_queue_is_refused(policy: Policy, guard: Guard) -> None:
    said = says(InvalidRow, lambda: snapshot(sqlite3.connect(":memory:")))
    assert said == "the database has no table `tasks`: is it a queue?"
    clause = guard.check(policy.claim_clause(Settings()).text)
    said = says(InvalidRow, lambda: claim(sqlite3.connect(":memory:"), clause))
    assert said == "no such table: jobs: is this database a queue?"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE tasks RENAME COLUMN repo TO repository", "has no column `repo`"),
        ("ALTER TABLE jobs RENAME COLUMN agent TO role", "has no column `agent`"),
        ("CREATE TABLE t (id INTEGER, repo INTEGER, stage TEXT)", "`tasks.repo` is declared"),
    ],
)
def test_a_table_that_the_rule_would_read_otherwise_is_refused(
    change: str, said: str, queue: sqlite3.Connection
) -> None:
    queue.execute(change)
    if change.startswith("CREATE"):
        queue.executescript("DROP TABLE tasks; ALTER TABLE t RENAME TO tasks")
    assert said in says(InvalidRow, lambda: snapshot(queue))


def test_columns_in_another_case_and_generated_ones_are_read(
    policy: Policy, queue: sqlite3.Connection
) -> None:
    queue.executescript(
        """DROP TABLE tasks; CREATE TABLE tasks (Id INTEGER PRIMARY KEY, r TEXT, STAGE TEXT,
               Repo TEXT GENERATED ALWAYS AS (r) VIRTUAL);
           INSERT INTO tasks (Id, r, STAGE) VALUES (1, 'alpha', 'analysis')"""
    )
    decisions = policy.decide(Settings(), snapshot(queue))
    assert [decision.hold is None for decision in decisions] == [True, False]


def test_a_decision_about_another_job_is_refused(queue: sqlite3.Connection) -> None:
    # One decision, for job 0, where jobs 1 and 2 are queued.
    policy = Policy(hostile.component(words(0, 64, 1) + bytes(200)))
    state = snapshot(queue)
    said = says(PolicyFailed, lambda: policy.decide(Settings(), state))
    assert said.startswith("`decide` answers for other jobs than those that are queued"), said
