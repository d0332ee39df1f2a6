"""The guard of the clause: what makes a stranger's clause safe to run."""

from __future__ import annotations

from dataclasses import dataclass, field
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


class Index(NamedTuple):
    """An index that `obstacle` counts on."""

    table: str
    columns: list[str]
    covers: str | None
    """The rows that it covers, as SQL; none for all."""


@dataclass(frozen=True)
class Guarded:
    """A clause that the guard has printed. Only `Guard.check` makes one."""

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
    """Why a claim may be slow with many held jobs, or None."""
    _made_by: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._made_by is not _THE_GUARD:
            raise HostError("a clause is untrusted text: `guard.check` makes what may run")


_THE_GUARD = object()
_TABLES = {"repo-freeze": "repo_freeze"}


class Guard:
    """The guard's component, which `serial-gate policy kit` writes as `guard.wasm`."""

    def __init__(self, component: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        self._component = Component(component, GUARD, limits.memory)
        self._fuel = limits.guard_fuel

    @classmethod
    def from_file(cls, path: str | PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Guard:
        with open(path, "rb") as file:
            return cls(file.read(), limits)

    def check(self, text: str, dialect: str = "sqlite") -> Guarded:
        """What may run instead of a clause. Raises `ClauseRefused` if nothing may."""
        if dialect not in DIALECTS:
            raise HostError(f"there is no dialect `{dialect}`: write `sqlite` or `postgres`")
        if not isinstance(text, str):
            raise HostError("the guard reads a clause's text: pass `.text` of `claim_clause`")
        try:
            text.encode()
        except UnicodeEncodeError as cause:
            raise HostError(f"the clause cannot be written as UTF-8: {cause}") from cause
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
            [_TABLES.get(table, table) for table in guarded["reads"]],
            guarded["reads-own-repo-only"],
            Agents(guarded["gated"]["all-but"], list(guarded["gated"]["names"])),
            guarded["obstacle"],
            _THE_GUARD,
        )

    def indexes(self) -> list[Index]:
        """The indexes that a database needs, so that a clause without an obstacle is fast."""
        answer = self._component.call("indexes", self._fuel)
        return [
            Index(
                _TABLES.get(index["table"], index["table"]), list(index["columns"]), index["covers"]
            )
            for index in answer.value
        ]
