"""The claim: one statement, which asks the rule again as it gives the job away."""

from __future__ import annotations

import sqlite3

from .guard import Guarded


def claim(queue: sqlite3.Connection, clause: Guarded) -> int | None:
    """Makes the first job that may be claimed `running`, and returns its id; none if there is none.

    Other processes may claim at the same time: each job is given once."""
    with queue:
        row = queue.execute(
            "UPDATE jobs SET status = 'running' WHERE id = (SELECT id FROM jobs"
            f" WHERE status = 'queued' AND {clause.sql} ORDER BY id LIMIT 1) RETURNING id"
        ).fetchone()
    return None if row is None else int(row[0])


def claimable(queue: sqlite3.Connection, clause: Guarded) -> list[int]:
    """The jobs that may be claimed now, in their order."""
    rows = queue.execute(
        f"SELECT id FROM jobs WHERE status = 'queued' AND {clause.sql} ORDER BY id"
    )
    return [int(row[0]) for row in rows]
