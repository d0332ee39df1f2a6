"""The guard of the clause: what makes a stranger's clause safe to run."""

from __future__ import annotations

from os import PathLike
from typing import NamedTuple

from .component import Component
from .contract import DEFAULT_LIMITS, DIALECTS, GUARD, Limits
from .errors import ClauseRefused, HostError


class Agents(NamedTuple):
    """A set of agents."""

    all_but: bool
    """Whether these are left out, and all others are in it."""
    names: list[str | None]
    """None is a job without an agent."""


class Guarded(NamedTuple):
    """A clause that the guard has printed. Make one by `Guard.check` only."""

    sql: str
    """A condition in parentheses, for a query whose table is `jobs`."""
    is_empty: bool
    """Whether the policy gave no clause: its kill switch is off."""
    reads: list[str]
    """The tables of its sub-selects."""
    reads_own_repo_only: bool
    gated: Agents
    """The agents whose jobs it may hold."""
    obstacle: str | None
    """Why a claim may be slow with many held jobs; none if it is not."""


class Guard:
    """The component `serial_gate_guard.wasm`."""

    def __init__(self, component: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        self._component = Component(component, GUARD, limits.memory)
        self._fuel = limits.clause_fuel

    @classmethod
    def from_file(cls, path: str | PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Guard:
        with open(path, "rb") as file:
            return cls(file.read(), limits)

    def check(self, text: str, dialect: str = "sqlite") -> Guarded:
        """What may run instead of a clause. Raises `ClauseRefused` if nothing may."""
        if dialect not in DIALECTS:
            raise HostError(f"there is no dialect `{dialect}`: write `sqlite` or `postgres`")
        answer = self._component.call("check", self._fuel, text, dialect)
        if answer.is_error:
            refused = answer.value
            raise ClauseRefused(
                refused["construct"],
                refused["line"],
                refused["column"],
                refused["what"],
                refused["remedy"],
            )
        guarded = answer.value
        return Guarded(
            guarded["sql"],
            guarded["is-empty"],
            list(guarded["reads"]),
            guarded["reads-own-repo-only"],
            Agents(guarded["gated"]["all-but"], list(guarded["gated"]["names"])),
            guarded["obstacle"],
        )
