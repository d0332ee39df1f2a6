"""Runs a serial gate's policy in Python.

A policy is a WebAssembly component that says which queued jobs may be claimed. A host asks it for a
clause, passes the clause through the guard, and claims by what the guard prints:

    policy = Policy.from_file("default.wasm")
    guard = Guard.from_file("guard.wasm")
    clause = guard.check(policy.claim_clause(Settings()).text)
    job = claim(sqlite3.connect("queue.db"), clause)

The contract is `wit/serial-gate.wit` of the project, and `wit/guard.wit`.
"""

from .claim import claim, claimable
from .contract import Clause, Decision, Description, Hold, Limits, Settings
from .errors import (
    ClauseRefused,
    HostError,
    InvalidPolicy,
    InvalidRow,
    InvalidSettings,
    PolicyAnswered,
    PolicyFailed,
)
from .guard import Guard, Guarded, Index
from .policy import Policy
from .snapshot import Snapshot, snapshot

__all__ = [
    "Clause",
    "ClauseRefused",
    "Decision",
    "Description",
    "Guard",
    "Guarded",
    "Hold",
    "HostError",
    "Index",
    "InvalidPolicy",
    "InvalidRow",
    "InvalidSettings",
    "Limits",
    "Policy",
    "PolicyAnswered",
    "PolicyFailed",
    "Settings",
    "Snapshot",
    "claim",
    "claimable",
    "snapshot",
]
