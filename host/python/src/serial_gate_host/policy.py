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
from .errors import HostError, InvalidSettings, PolicyAnswered, PolicyFailed
from .snapshot import HIGHEST, LOWEST, Snapshot


class Policy:
    """A policy's component."""

    def __init__(
        self, component: bytes, limits: Limits = DEFAULT_LIMITS, *, fast: bool = True
    ) -> None:
        """`fast` calls the core module directly where there is only one: the answers are the
        same."""
        self._limits = limits
        self._component = Component(component, INTERFACE, limits.memory)
        self._core = CorePolicy.of(component, limits) if fast else None

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
        now, asked = _seconds(now), _settings(settings)
        if self._core is not None:
            return self._core.claim_clause(settings, now, dialect)
        fuel = self._limits.clause_fuel
        answer = self._component.call("claim-clause", fuel, asked, now, dialect)
        clause = _answered(answer)
        return Clause(clause["text"], clause["notes"], clause["valid-until"])

    def decide(self, settings: Settings, state: Snapshot, now: int | None = None) -> list[Decision]:
        """A verdict for each queued job of the state, in the order of their ids."""
        now, asked = _seconds(now), _settings(settings)
        if not isinstance(state, Snapshot):
            raise HostError("a policy decides about a state: pass what `snapshot` returns")
        if self._core is not None:
            decisions = self._core.decide(settings, now, state)
        else:
            fuel = self._limits.decide_fuel
            answer = self._component.call("decide", fuel, asked, now, _snapshot(state))
            decisions = [Decision(one["job"], _hold(one["verdict"])) for one in _answered(answer)]
        if [decision.job for decision in decisions] != state.queued:
            raise PolicyFailed(
                "`decide` answers for other jobs than those that are queued: the policy has a bug,"
                " or rounds ids beyond 2^53"
            )
        return decisions


def _seconds(now: int | None) -> int:
    if now is None:
        return int(time.time())
    if type(now) is not int or not LOWEST <= now <= HIGHEST:
        raise HostError(f"`now` is {now!r}: pass seconds since 1970, as an integer")
    return now


def _hold(verdict: dict[str, Any] | None) -> Hold | None:
    if verdict is None:
        return None
    return Hold(verdict["earlier-task"], verdict["freeze"], verdict["rule"])


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
    if not isinstance(settings, Settings):
        raise InvalidSettings("pass `Settings`: `Settings.from_mapping` makes them of a document")
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
