"""Cases: a state of the tables, settings, and what happens to them.

Owns the form of the files, which is that of the reference's fixtures. Each case is run twice: its
claims, and then its operations on a fresh copy. In every state `decide` and the guarded clause must
let the same jobs through.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

from .claim import claim, claimable
from .contract import Settings
from .errors import HostError
from .guard import Guard, Guarded
from .policy import Policy
from .snapshot import snapshot

SCHEMA = """
CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo TEXT, stage TEXT,
    gate_label TEXT);
CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent TEXT,
    status TEXT DEFAULT 'queued');
CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY AUTOINCREMENT, repo TEXT NOT NULL,
    frozen_at TEXT DEFAULT (datetime('now')), cleared_at TEXT, reason TEXT, work_item_id TEXT);
"""
COLUMNS = {
    "tasks": ("id", "work_item_id", "repo", "stage", "gate_label"),
    "jobs": ("id", "task_id", "repo", "agent", "status"),
    "repo_freeze": ("id", "repo", "frozen_at", "cleared_at", "reason", "work_item_id"),
}
Case = dict[str, Any]


def conform(files: list[str], policy: str, guard: str, fast: bool) -> int:
    """Runs the cases of files. Returns the exit status."""
    host = Host(Policy.from_file(policy, fast=fast), Guard.from_file(guard))
    passed = failed = 0
    for name, case, expected in _cases(files):
        result = host.run(case)
        print(json.dumps({"case": case, "expected": result}, separators=(",", ":")))
        differing = _differing(result, expected)
        failed += bool(differing)
        passed += not differing
        for what in differing:
            print(f"{name}: {what}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed", file=sys.stderr)
    return int(failed > 0)


def _cases(files: list[str]) -> Iterator[tuple[str, Case, Case]]:
    for path in files:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                document = json.loads(line)
                case = document.get("case", document)
                name = case.get("name", f"{path}:{number}")
                yield name, case, document.get("expected", {})


def _differing(result: Case, expected: Case) -> list[str]:
    found = []
    for key, value in result.items():
        if key not in expected:
            continue
        if isinstance(value, dict):
            found += [f"final {what}" for what in _differing(value, expected[key])]
        elif value != expected[key]:
            found.append(f"`{key}` is {value!r} and not {expected[key]!r}")
    return found


class Host:
    """A policy and the guard."""

    def __init__(self, policy: Policy, guard: Guard) -> None:
        self._policy, self._guard = policy, guard

    def run(self, case: Case) -> Case:
        """The results of one case."""
        settings = _settings(case.get("settings") or {})
        queue = _queue(case)
        text, clause = self._clause(settings)
        result: Case = {"clause": text, "claimable": self._claimable(queue, settings, clause)}
        order = []
        while (job := claim(queue, clause)) is not None:
            order.append(job)
        result["claim_order"] = order
        if case.get("ops"):
            result["final"] = self._after(case, settings)
        return result

    def _after(self, case: Case, settings: Settings) -> Case:
        """The state after the operations."""
        queue = _queue(case)
        for operation in case["ops"]:
            if operation["op"] == "claim":
                claim(queue, self._clause(settings)[1])
            elif operation["op"] == "settings":
                settings = _settings(operation, settings)
            else:
                _change(queue, settings, operation)
        text, clause = self._clause(settings)
        return {"clause": text, "claimable": self._claimable(queue, settings, clause)}

    def _clause(self, settings: Settings) -> tuple[str, Guarded]:
        text = self._policy.claim_clause(settings, now=0).text
        return text, self._guard.check(text)

    def _claimable(
        self, queue: sqlite3.Connection, settings: Settings, clause: Guarded
    ) -> list[int]:
        jobs = claimable(queue, clause)
        decisions = self._policy.decide(settings, snapshot(queue), now=0)
        decided = [decision.job for decision in decisions if decision.hold is None]
        if decided != jobs:
            raise HostError(f"`decide` lets {decided} through, and the clause {jobs}")
        return jobs


def _settings(document: Case, before: Settings | None = None) -> Settings:
    """The reference's settings: what is left out is as before, or off."""
    before = before or Settings(enabled=False, freeze_enabled=False)
    return Settings(
        enabled=bool(document.get("enabled", before.enabled)),
        repos=document.get("repos", before.repos) or "",
        freeze_enabled=bool(document.get("freeze_enabled", before.freeze_enabled)),
        rules=document.get("rules", before.rules),
    )


def _queue(case: Case) -> sqlite3.Connection:
    queue = sqlite3.connect(":memory:")
    queue.executescript(SCHEMA)
    for table, key in (("tasks", "tasks"), ("jobs", "jobs"), ("repo_freeze", "freezes")):
        for row in case.get(key) or []:
            row = {"status": "queued", **row} if key == "jobs" else row
            _insert(queue, table, {name: row.get(name) for name in COLUMNS[table]})
    queue.commit()
    return queue


def _insert(queue: sqlite3.Connection, table: str, row: Case) -> None:
    marks = ", ".join("?" * len(row))
    names = ", ".join(row)
    queue.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _change(queue: sqlite3.Connection, settings: Settings, operation: Case) -> None:
    """What another program does to the tables. Operations that only ask are left out."""
    kind = operation["op"]
    try:
        with queue:
            if kind == "finish_task":
                queue.execute("UPDATE tasks SET stage = 'done' WHERE id = ?", [operation["id"]])
            elif kind == "set_stage":
                values = [operation["stage"], operation["id"]]
                queue.execute("UPDATE tasks SET stage = ? WHERE id = ?", values)
            elif kind == "finish_job":
                values = [operation.get("status", "done"), operation["id"]]
                queue.execute("UPDATE jobs SET status = ? WHERE id = ?", values)
            elif kind == "create_task":
                _insert(queue, "tasks", _given(operation, ("repo", "stage", "work_item_id")))
            elif kind == "enqueue":
                job = _given(operation, ("task_id", "repo", "agent"))
                _insert(queue, "jobs", {**job, "status": operation.get("status", "queued")})
            elif kind == "set_freeze" and operation["repo"] and settings.freeze_enabled:
                reason = operation.get("reason") or None
                row = {"repo": operation["repo"], "reason": reason}
                _insert(queue, "repo_freeze", {**row, **_given(operation, ("work_item_id",))})
            elif kind == "clear_freeze" and operation["repo"]:
                queue.execute(
                    "UPDATE repo_freeze SET cleared_at = datetime('now')"
                    " WHERE repo = ? AND cleared_at IS NULL",
                    [operation["repo"]],
                )
    except sqlite3.Error:
        # As in the reference, a refused change is one of the results, and the case goes on.
        pass


def _given(operation: Case, names: tuple[str, ...]) -> Case:
    row = {name: operation.get(name) for name in names}
    return {**row, "id": operation["id"]} if operation.get("id") is not None else row
