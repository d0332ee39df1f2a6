"""A policy's core module, called by the canonical ABI.

A component of one core module without imports, as Rust and C make it, need not go through the
component API, which converts each element of a list in Python: here a column is copied whole, and
ten thousand jobs are decided some forty times as fast. Layouts are those of the canonical ABI for
`wit/serial-gate.wit`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from struct import Struct
from typing import Any

from wasmtime import Instance, Module, Trap, WasmtimeError

from .component import engine, failed, limited
from .contract import DIALECTS, INTERFACE, Clause, Decision, Hold, Limits, Settings
from .errors import PolicyAnswered, PolicyFailed
from .snapshot import Snapshot

CORE_MODULE, NESTED_COMPONENT = 1, 4
ERRORS = ("invalid-rules", "invalid-snapshot")

# `settings` at 0, `now` at 32, and the pointers of the snapshot from 40 on.
DECIDE = Struct("<B3xIIB3xB3xII4xq")
# The job at 0, the verdict at 8, a hold's two optional numbers from 16 and optional text from 48.
DECISION = Struct("<qB7xB7xqB7xqB3xII4x")
# A text: where it is, and its length.
PAIR = Struct("<II")


def core_module(component: bytes) -> bytes | None:
    """The only core module of a component, or None if there are several."""
    modules = list(_core_modules(component))
    return modules[0] if len(modules) == 1 else None


def _core_modules(component: bytes) -> Iterator[bytes]:
    for section, content in _sections(component):
        if section == CORE_MODULE:
            yield content
        elif section == NESTED_COMPONENT:
            # Usually it only names the exported types.
            yield from _core_modules(content)


def _sections(component: bytes) -> Iterator[tuple[int, bytes]]:
    at = 8
    while at < len(component):
        section, at = component[at], at + 1
        size, shift = 0, 0
        while True:
            byte, at = component[at], at + 1
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        yield section, component[at : at + size]
        at += size


class CorePolicy:
    """The two calls that claims and queues need. Each has a new instance."""

    def __init__(self, module: bytes, limits: Limits) -> None:
        self._engine, self._limits = engine(), limits
        self._module = Module(self._engine, module)

    @classmethod
    def of(cls, component: bytes, limits: Limits) -> CorePolicy | None:
        """None for a component that has to go through the component API. It is a valid one."""
        module = core_module(component)
        if module is None:
            return None
        policy = cls(module, limits)
        exports = {export.name for export in policy._module.exports}
        needed = {f"{INTERFACE}#decide", f"{INTERFACE}#claim-clause", "cabi_realloc", "memory"}
        return policy if not policy._module.imports and needed <= exports else None

    def claim_clause(self, settings: Settings, now: int, dialect: str) -> Clause:
        call = _Call(self, "claim-clause", self._limits.clause_fuel)
        flat = (*call.settings(settings), now, DIALECTS.index(dialect))
        at = call.run(*flat)
        call.check(at, at + 8)
        notes = call.items(at + 16, PAIR)
        has_end, valid_until = call.unpack("<B7xq", at + 24)
        return Clause(
            call.text(at + 8),
            [call.text_of(*note) for note in notes],
            valid_until if call.flag(has_end) else None,
        )

    def decide(self, settings: Settings, now: int, state: Snapshot) -> list[Decision]:
        call = _Call(self, "decide", self._limits.decide_fuel)
        enabled, repos, size, freezes, has_rules, rules, length = call.settings(settings)
        columns: list[array[int]] = [state.ends]
        for table in (state.tasks, state.jobs, state.freezes):
            columns += table.values()
        pairs = [*call.put_text(state.text)]
        for column in columns:
            pairs += (call.put(column.tobytes(), column.itemsize), len(column))
        head = DECIDE.pack(enabled, repos, size, freezes, has_rules, rules, length, now)
        at = call.run(call.put(head + array("I", pairs).tobytes(), 8))
        call.check(at, at + 4)
        return list(_decisions(call, call.items(at + 4, DECISION)))


def _decisions(call: _Call, items: Iterator[tuple[Any, ...]]) -> Iterator[Decision]:
    # Ten thousand take ten milliseconds: the usual ways to make a named tuple would double that.
    decision, hold = partial(tuple.__new__, Decision), partial(tuple.__new__, Hold)
    for job, is_hold, has_task, task, has_freeze, freeze, has_rule, rule, length in items:
        if is_hold == 0:
            yield decision((job, None))
            continue
        for flag in (is_hold, has_task, has_freeze, has_rule):
            if flag > 1:
                call.flag(flag)
        text = call.text_of(rule, length) if has_rule else None
        reason = hold((task if has_task else None, freeze if has_freeze else None, text))
        yield decision((job, reason))


class _Call:
    """One call: what is written before it, and read after it. The policy may be hostile, so that
    whatever it answers is read within its memory and the limit of results."""

    def __init__(self, policy: CorePolicy, function: str, fuel: int) -> None:
        limits = policy._limits
        self._store = limited(policy._engine, limits.memory, fuel)
        self._function, self._left = function, limits.result
        try:
            self._exports: Any = Instance(self._store, policy._module, []).exports(self._store)
            if "_initialize" in self._exports:
                self._exports["_initialize"](self._store)
        except (Trap, WasmtimeError) as cause:
            raise failed(function, self._store, cause) from cause
        self._memory = self._exports["memory"]

    def put(self, data: bytes, align: int = 1) -> int:
        """Writes bytes into memory that the policy gives."""
        if not data:
            return align
        at = self._try(self._exports["cabi_realloc"], 0, 0, align, len(data))
        if at + len(data) > self._memory.data_len(self._store):
            raise self._broken("it gives memory that it does not have")
        self._memory.write(self._store, data, at)
        return at

    def put_text(self, text: str) -> tuple[int, int]:
        data = text.encode()
        return self.put(data), len(data)

    def settings(self, settings: Settings) -> tuple[int, int, int, int, int, int, int]:
        rules = (0, 0, 0) if settings.rules is None else (1, *self.put_text(settings.rules))
        scope = self.put_text(settings.repos)
        return (int(settings.enabled), *scope, int(settings.freeze_enabled), *rules)

    def run(self, *arguments: int) -> int:
        return self._try(self._exports[f"{INTERFACE}#{self._function}"], *arguments)

    def _try(self, function: Any, *arguments: int) -> int:
        try:
            return int(function(self._store, *arguments)) & 0xFFFFFFFF
        # A function of another type fails in the conversions.
        except (Trap, WasmtimeError, TypeError, ValueError) as cause:
            raise failed(self._function, self._store, cause) from cause

    def check(self, at: int, error: int) -> None:
        """Raises the policy's own error."""
        if self.flag(self.unpack("<B", at)[0]):
            case = self.unpack("<B", error)[0]
            if case >= len(ERRORS):
                raise self._broken(f"it has an error of number {case}")
            raise PolicyAnswered(ERRORS[case], self.text(error + 4))

    def flag(self, byte: int) -> bool:
        """A case of two, such as whether there is a value."""
        if byte > 1:
            raise self._broken(f"it has a case of number {byte}")
        return byte == 1

    def _read(self, at: int, length: int) -> bytes:
        self._left -= length
        if self._left < 0:
            raise self._broken("it is larger than `Limits` allows")
        if at + length > self._memory.data_len(self._store):
            raise self._broken("it points beyond the memory")
        return bytes(self._memory.read(self._store, at, at + length))

    def _broken(self, why: str) -> PolicyFailed:
        return PolicyFailed(f"the answer of `{self._function}` cannot be read: {why}")

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        struct = Struct(form)
        return struct.unpack(self._read(at, struct.size))

    def items(self, at: int, struct: Struct) -> Iterator[tuple[Any, ...]]:
        """The items of a list, of this layout."""
        first, count = self.unpack("<II", at)
        return struct.iter_unpack(self._read(first, count * struct.size))

    def text(self, at: int) -> str:
        pointer, length = self.unpack("<II", at)
        return self.text_of(pointer, length)

    def text_of(self, pointer: int, length: int) -> str:
        try:
            return self._read(pointer, length).decode()
        except UnicodeDecodeError as cause:
            raise self._broken("it has a text that is not UTF-8") from cause
