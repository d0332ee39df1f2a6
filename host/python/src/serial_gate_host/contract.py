"""The contract's types, as Python has them.

A value of these types is checked when it is made, so that a misspelt key never reaches a policy as
`false`, which opens the gate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .errors import HostError, InvalidSettings

INTERFACE = "serial-gate:policy/serial-gate@0.4.0"
GUARD = "serial-gate:policy/guard@0.4.0"

DIALECTS = ("sqlite", "postgres")


@dataclass(frozen=True)
class Settings:
    """What an operator has set."""

    enabled: bool = True
    """The kill switch. When false, the gate holds nothing."""
    repos: str = ""
    """The scope: names separated by commas. Empty means all repos."""
    freeze_enabled: bool = True
    """Whether a freeze holds anything."""
    rules: str | None = None
    """The policy's own parameters: the text of a JSON object, or none."""

    def __post_init__(self) -> None:
        """Refuses values of another type."""
        for name in ("enabled", "freeze_enabled"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise InvalidSettings(f"`{name}` is {value!r}: write `True` or `False`")
        if not isinstance(self.repos, str):
            raise InvalidSettings(f"`repos` is {self.repos!r}: write a string, empty for all repos")
        if self.rules is not None:
            _check_rules(self.rules)
        for name in ("repos", "rules"):
            try:
                (getattr(self, name) or "").encode()
            except UnicodeEncodeError as cause:
                raise InvalidSettings(f"`{name}` cannot be written as UTF-8: {cause}") from cause

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Settings:
        """The settings of a document such as `{"enabled": true, "repos": "", "freeze_enabled":
        true}`. `rules` may be left out, and no other key."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in mapping if name not in known]
        missing = [name for name in known if name not in mapping and name != "rules"]
        if unknown or missing:
            wrong = [f"`{name}` is unknown" for name in unknown]
            wrong += [f"`{name}` is missing" for name in missing]
            names = ", ".join(f"`{name}`" for name in known)
            raise InvalidSettings(f"{', '.join(wrong)}: the keys of the settings are {names}")
        return cls(**mapping)


def _check_rules(rules: Any) -> None:
    if not isinstance(rules, str):
        raise InvalidSettings(
            "`rules` is not a string: pass the JSON object as `json.dumps` writes it"
        )
    try:
        value = json.loads(rules)
    except (ValueError, RecursionError) as cause:
        raise InvalidSettings(f"`rules` is not JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise InvalidSettings("`rules` is not a JSON object: write `{…}`, or none at all")


@dataclass(frozen=True)
class Limits:
    """What one call may use. Fuel is the count of WebAssembly instructions, so that a policy comes
    to the same end on every machine; a billion of them take about a second."""

    clause_fuel: int = 500_000_000
    """Of `describe` and `claim_clause`."""
    decide_fuel: int = 5_000_000_000
    """Of `decide`."""
    guard_fuel: int = 2_000_000_000
    """Of the guard's calls."""
    memory: int = 64 << 20
    """Bytes of memory."""
    result: int = 16 << 20
    """Bytes of an answer."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) is not int or value < 1:
                raise HostError(f"the limit `{name}` is {value!r}: write a number from 1 on")


DEFAULT_LIMITS = Limits()


class Description(NamedTuple):
    """Who a policy is."""

    name: str
    version: str
    summary: str


class Clause(NamedTuple):
    """A policy's clause. Its text is untrusted: pass it to `Guard.check`, and never into SQL."""

    text: str
    notes: list[str]
    valid_until: int | None
    """The first second since 1970 at which the clause may be another one."""


class Hold(NamedTuple):
    """Why a job may not be claimed now."""

    earlier_task: int | None
    freeze: int | None
    rule: str | None


class Decision(NamedTuple):
    """The verdict for one queued job."""

    job: int
    hold: Hold | None
    """None if it may be claimed."""
