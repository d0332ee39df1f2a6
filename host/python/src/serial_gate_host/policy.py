"""A policy: what a host asks it.

Each call has a new instance under limits, so that no answer depends on an earlier one. Times are in
seconds since 1970, and are passed in.
"""

from __future__ import annotations

import time
from array import array
from os import PathLike
from typing import Any

from wasmtime import component as wasm

from .component import Answer, Component
from .contract import (
    DEFAULT_LIMITS,
    DIALECTS,
    INTERFACE,
    Clause,
    Decision,
    Description,
    Hold,
    Limits,
    Settings,
)
from .core import CorePolicy
from .errors import HostError, PolicyAnswered
from .snapshot import Snapshot


class Policy:
    """A policy's component."""

    def __init__(
        self, component: bytes, limits: Limits = DEFAULT_LIMITS, *, fast: bool = True
    ) -> None:
        """`fast` calls the core module directly where there is only one: the answers are the
        same."""
        self._limits = limits
        self._component = Component(component, INTERFACE, limits.memory)
        self._core = CorePolicy.of(component, limits.memory) if fast else None

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], limits: Limits = DEFAULT_LIMITS, *, fast: bool = True
    ) -> Policy:
        with open(path, "rb") as file:
            return cls(file.read(), limits, fast=fast)

    def describe(self) -> Description:
        """Its name, version and rule in one line."""
        return Description(**self._component.call("describe", self._limits.clause_fuel).value)

    def claim_clause(
        self, settings: Settings, now: int | None = None, dialect: str = "sqlite"
    ) -> Clause:
        """The rule as a condition, from `now` on. It is untrusted text: see `Guard`."""
        if dialect not in DIALECTS:
            raise HostError(f"there is no dialect `{dialect}`: write `sqlite` or `postgres`")
        now, fuel = _seconds(now), self._limits.clause_fuel
        if self._core is not None:
            return self._core.claim_clause(settings, now, dialect, fuel)
        answer = self._component.call("claim-clause", fuel, _settings(settings), now, dialect)
        clause = _answered(answer)
        return Clause(clause["text"], clause["notes"], clause["valid-until"])

    def decide(self, settings: Settings, state: Snapshot, now: int | None = None) -> list[Decision]:
        """A verdict for each queued job of the state, in the order of their ids."""
        now, fuel = _seconds(now), self._limits.decide_fuel
        if self._core is not None:
            return self._core.decide(settings, now, state, fuel)
        answer = self._component.call("decide", fuel, _settings(settings), now, _snapshot(state))
        return [
            Decision(decision["job"], hold and Hold(*hold.values()))
            for decision in _answered(answer)
            for hold in [decision["verdict"]]
        ]


def _seconds(now: int | None) -> int:
    return int(time.time()) if now is None else now


def _answered(answer: Answer) -> Any:
    if answer.is_error:
        raise PolicyAnswered(*answer.value)
    return answer.value


def _record(**fields: Any) -> wasm.Record:
    """A record, as wasmtime takes it: an object with the dashes of the contract in its names."""
    record = wasm.Record()
    vars(record).update(fields)
    return record


def _settings(settings: Settings) -> wasm.Record:
    return _record(
        enabled=settings.enabled,
        repos=settings.repos,
        rules=settings.rules,
        **{"freeze-enabled": settings.freeze_enabled},
    )


def _snapshot(state: Snapshot) -> wasm.Record:
    def columns(table: dict[str, array[int]]) -> wasm.Record:
        # A list of bytes is `bytes`, and every other one a `list`.
        return _record(
            **{
                name: column.tobytes() if column.typecode == "B" else column.tolist()
                for name, column in table.items()
            }
        )

    return _record(
        symbols=_record(text=state.text, ends=state.ends.tolist()),
        tasks=columns(state.tasks),
        jobs=columns(state.jobs),
        freezes=columns(state.freezes),
    )
