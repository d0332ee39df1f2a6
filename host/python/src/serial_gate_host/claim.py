"""The claim: one statement, which asks the rule again as it gives the job away."""

from __future__ import annotations

import sqlite3
from typing import Any

from .errors import HostError, InvalidRow
from .guard import Guarded


def claim(queue: sqlite3.Connection, clause: Guarded) -> int | None:
    """Makes the first job that may be claimed `running`, and returns its id, or None.

    Other processes may claim at the same time, and other threads with connections of their own:
    each job is given once. The claim is a transaction of its own, so it is refused while the
    connection has another one open."""
    if queue.in_transaction:
        raise HostError(
            "the connection has an open transaction, and a claim is one of its own: commit it, or"
            " claim on another connection"
        )
    rows = _run(
        queue,
        "UPDATE jobs SET status = 'running' WHERE id = (SELECT id FROM jobs"
        f" WHERE status = 'queued' AND {_sql(clause)} ORDER BY id LIMIT 1) RETURNING id",
    )
    if queue.in_transaction:
        queue.execute("COMMIT")
    return int(rows[0][0]) if rows else None


def claimable(queue: sqlite3.Connection, clause: Guarded) -> list[int]:
    """The jobs that may be claimed now, in their order."""
    sql = f"SELECT id FROM jobs WHERE status = 'queued' AND {_sql(clause)} ORDER BY id"
    return [int(row[0]) for row in _run(queue, sql)]


def _sql(clause: Guarded) -> str:
    if not isinstance(clause, Guarded):
        raise HostError("a clause is untrusted text: pass what `guard.check` returns")
    return clause.sql


def _run(queue: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """All rows, as tuples, whatever the connection makes of rows."""
    cursor = queue.cursor()
    cursor.row_factory = None
    try:
        return cursor.execute(sql).fetchall()
    except sqlite3.OperationalError as cause:
        if "no such table" in str(cause):
            raise InvalidRow(f"{cause}: is this database a queue?") from cause
        raise
