"""The rows of a queue as a policy takes them: columns of numbers, and one table of texts.

The rules are in the contract at `symbol`, `symbols` and `task-id-kind`.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any

from .errors import InvalidRow

LOWEST, HIGHEST = -(2**63), 2**63 - 1

# What the number in `task_id` means.
NULL, ID, BEFORE_ID, AFTER_EVERY_ID = range(4)

# The columns of each table: the contract's names, in its order, and the database's.
COLUMNS = {
    "tasks": {
        "work-item": "work_item_id",
        "repo": "repo",
        "stage": "stage",
        "label": "gate_label",
    },
    "jobs": {"task-id": "task_id", "repo": "repo", "agent": "agent", "status": "status"},
    "repo_freeze": {
        "repo": "repo",
        "frozen-at": "frozen_at",
        "cleared-at": "cleared_at",
        "reason": "reason",
        "work-item": "work_item_id",
    },
}

# Where a queue lacks one of these, it is NULL. Without any other, jobs would be let through.
OPTIONAL = ("work_item_id", "gate_label", "frozen_at", "reason")

Numbers = array  # of "q" (64 bits), "I" (a symbol) or "B" (a kind)


@dataclass(frozen=True)
class Snapshot:
    """The state of a queue."""

    text: str
    ends: Numbers[int]
    tasks: dict[str, Numbers[int]]
    jobs: dict[str, Numbers[int]]
    freezes: dict[str, Numbers[int]]
    queued: list[int]
    """The jobs that get a decision."""


class _Symbols(defaultdict[Any, int]):
    """The number of each value. SQLite's equal values are Python's equal keys: 1 is 1.0, and
    neither is the text `1`."""

    def __init__(self) -> None:
        super().__init__(count(1).__next__, {None: 0})

    def column(self, values: Sequence[Any]) -> Numbers[int]:
        return array("I", list(map(self.__getitem__, values)))

    def texts(self) -> tuple[str, Numbers[int]]:
        values = [value for value in self if value is not None]
        try:
            # Nearly always all are plain texts.
            text, texts = "".join(values), values
        except TypeError:
            text, texts = "", []
        lengths: Iterable[int] = map(len, texts)
        if not texts or not text.isascii():
            texts = [_shown(value) for value in values]
            text, lengths = "".join(texts), (len(text.encode()) for text in texts)
        return text, array("I", accumulate(lengths, initial=0))


def _shown(value: Any) -> str:
    """A value of a text column as text."""
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _ids(table: str, values: Sequence[Any]) -> Numbers[int]:
    try:
        return array("q", values)
    except (TypeError, OverflowError) as cause:
        raise InvalidRow(
            f"an id of `{table}` is not a 64-bit integer: declare it INTEGER PRIMARY KEY"
        ) from cause


def _task_ids(values: Sequence[Any]) -> tuple[Numbers[int], Numbers[int]]:
    try:
        # Nearly always each is an integer.
        return array("q", values), array("B", bytes([ID]) * len(values))
    except (TypeError, OverflowError):
        places = [_place(value) for value in values]
        return array("q", [n for n, _ in places]), array("B", [kind for _, kind in places])


def _place(value: Any) -> tuple[int, int]:
    """The place of a job in the order of tasks."""
    if value is None:
        return 0, NULL
    if isinstance(value, (str, bytes)) or value > HIGHEST:
        return 0, AFTER_EVERY_ID
    if isinstance(value, int):
        return value, ID
    if value < LOWEST:
        return LOWEST, BEFORE_ID
    whole = math.ceil(value)
    return (0, AFTER_EVERY_ID) if whole > HIGHEST else (whole, ID if whole == value else BEFORE_ID)


def snapshot(queue: sqlite3.Connection) -> Snapshot:
    """All tasks, freezes and jobs of a queue in SQLite, in one state of the database."""
    tasks, jobs, freezes = _tables(queue)
    symbols = _Symbols()
    of_tasks, of_jobs, of_freezes = (
        _numbers(table, rows, symbols)
        for table, rows in zip(COLUMNS, (tasks, jobs, freezes), strict=True)
    )
    text, ends = symbols.texts()
    statuses = zip(jobs["id"], jobs["status"], strict=True)
    queued = [job for job, status in statuses if status == "queued"]
    return Snapshot(text, ends, of_tasks, of_jobs, of_freezes, queued)


def _numbers(table: str, rows: dict[str, list[Any]], symbols: _Symbols) -> dict[str, Numbers[int]]:
    """The columns of a table under the contract's names, in its order."""
    numbers = {"id": _ids(table, rows["id"])}
    for name, column in COLUMNS[table].items():
        if name == "task-id":
            numbers[name], numbers["task-id-kind"] = _task_ids(rows[column])
        else:
            numbers[name] = symbols.column(rows[column])
    return numbers


def _tables(queue: sqlite3.Connection) -> list[dict[str, list[Any]]]:
    try:
        with _reading(queue, str):
            return [
                _columns(queue, table, list(names.values())) for table, names in COLUMNS.items()
            ]
    except sqlite3.OperationalError as cause:
        if "UTF-8" not in str(cause):
            raise
    # Two texts that are not UTF-8 are equal only if their bytes are.
    with _reading(queue, lambda data: data.decode(errors="surrogateescape")):
        return [_columns(queue, table, list(names.values())) for table, names in COLUMNS.items()]


@contextmanager
def _reading(queue: sqlite3.Connection, text_factory: Any) -> Iterator[None]:
    """One state, plain rows, and texts that are made like this."""
    before = queue.text_factory, queue.row_factory
    queue.text_factory, queue.row_factory = text_factory, None
    is_first = not queue.in_transaction
    try:
        if is_first:
            queue.execute("BEGIN")
        yield
    finally:
        if is_first and queue.in_transaction:
            queue.execute("ROLLBACK")
        queue.text_factory, queue.row_factory = before


def _columns(queue: sqlite3.Connection, table: str, names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a table in the order of its ids."""
    # Generated columns are listed by this one only, and SQLite ignores the case of names.
    declared = queue.execute(f"PRAGMA table_xinfo({table})").fetchall()
    there = {column[1].lower(): column[2].upper() for column in declared}
    if not there:
        raise InvalidRow(f"the database has no table `{table}`: is it a queue?")
    for name in names:
        kind = there.get(name, "TEXT")
        if name != "task_id" and not any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
            raise InvalidRow(
                f"the column `{table}.{name}` is declared `{kind}`, so that the database and the"
                " policy may compare it differently: declare it TEXT"
            )
    missing = [name for name in names if name not in there and name not in OPTIONAL]
    if missing:
        raise InvalidRow(f"the table `{table}` has no column `{missing[0]}`: is it a queue?")
    listed = ["id", *names]
    shown = ", ".join(name if name in there else "NULL" for name in listed)
    columns: dict[str, list[Any]] = {name: [] for name in listed}
    rows = queue.execute(f"SELECT {shown} FROM {table} ORDER BY id")
    # By the hundred, so that few rows live at once: Python's collector counts what lives.
    while some := rows.fetchmany(500):
        for column, values in zip(columns.values(), zip(*some, strict=True), strict=True):
            column += values
    return columns
