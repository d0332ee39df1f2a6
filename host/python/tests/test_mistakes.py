"""Mistakes of a host, and hostile components: each has a remedy, and none opens the gate."""

import sqlite3
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
    snapshot,
)

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
        ({**GOOD, "repos": None}, "`repos` is None: write a text, empty for all repos"),
        (
            {**GOOD, "rules": {"gated_agents": ["dev"]}},
            "`rules` is no text: pass the JSON object as `json.dumps` writes it",
        ),
        ({**GOOD, "rules": "[]"}, "`rules` is no JSON object: write `{…}`, or none at all"),
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


def test_a_database_that_is_no_queue_is_refused() -> None:
    said = says(InvalidRow, lambda: snapshot(sqlite3.connect(":memory:")))
    assert said == "the database has no table `tasks`: is it a queue?"
