"""Runs cases through a policy that is composed with the JSON face: `decide-json` and the guarded
answer of `claim-clause-json` let the jobs through that a case expects.

    python .ci/json_face.py COMPOSED GUARD CASES...
"""

import json
import sqlite3
import sys
from typing import Any

from serial_gate_host import Guard
from serial_gate_host.claim import claimable
from serial_gate_host.component import Component
from serial_gate_host.conform import COLUMNS, _cases, _queue
from serial_gate_host.contract import DEFAULT_LIMITS, INTERFACE

FACE = INTERFACE.replace("/serial-gate@", "/json-face@")
KEYS = {"tasks": "tasks", "jobs": "jobs", "freezes": "repo_freeze"}


def rows(queue: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """The rows as the face takes them: each value a text, or null."""
    names = COLUMNS[table]
    found = queue.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
    shown = ([None if value is None else str(value) for value in row] for row in found)
    return [dict(zip(names, row, strict=True)) for row in shown]


def answered(face: Component, function: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = face.call(function, DEFAULT_LIMITS.decide_fuel, json.dumps(request))
    assert not answer.is_error, answer.value
    return json.loads(answer.value)


def main(composed: str, guard_file: str, *files: str) -> None:
    with open(composed, "rb") as file:
        face = Component(file.read(), FACE, DEFAULT_LIMITS.memory)
    guard = Guard.from_file(guard_file)
    who = json.loads(face.call("describe-json", DEFAULT_LIMITS.clause_fuel).value)
    count = 0
    for name, case, expected in _cases(list(files)):
        queue = _queue(case)
        settings = {**case["settings"], "repos": case["settings"]["repos"] or ""}
        tables = {key: rows(queue, table) for key, table in KEYS.items()}
        asked = {"settings": settings, "now": 0}
        decisions = answered(face, "decide-json", {**asked, **tables})["decisions"]
        decided = [int(one["job"]) for one in decisions if one["verdict"] == "claim"]
        assert decided == expected["claimable"], (name, decided, expected["claimable"])
        clause = answered(face, "claim-clause-json", {**asked, "dialect": "sqlite"})["text"]
        assert claimable(queue, guard.check(clause)) == decided, (name, clause)
        count += 1
    print(f"{who['name']} in JSON: {count} cases")


main(*sys.argv[1:])
