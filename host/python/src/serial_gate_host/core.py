"""A policy's core module, called by the canonical ABI.

A component of one core module without imports, as Rust and C make it, need not go through the
component API, which converts each element of a list in Python: here a column is copied whole, and
ten thousand jobs are decided some forty times as fast. Layouts are those of the canonical ABI for
`wit/serial-gate.wit`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from struct import Struct
from typing import Any

from wasmtime import Instance, Module, Store, Trap, WasmtimeError

from .component import check_form, engine, failed
from .contract import DIALECTS, INTERFACE, Clause, Decision, Hold, Settings
from .errors import PolicyAnswered
from .snapshot import Snapshot

CORE_MODULE, NESTED_COMPONENT = 1, 4
ERRORS = ("invalid-rules", "invalid-snapshot")

# `settings` at 0, `now` at 32, and the pointers of the snapshot from 40 on.
DECIDE = Struct("<B3xIIB3xB3xII4xq")
# The job at 0, the verdict at 8, a hold's two optional numbers from 16 and optional text from 48.
DECISION = Struct("<qB7xB7xqB7xqB3xII4x")


def core_module(component: bytes) -> bytes | None:
    """The one core module of a component; none if there are several."""
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

    def __init__(self, module: bytes, memory: int) -> None:
        self._engine, self._memory = engine(), memory
        self._module = Module(self._engine, module)

    @classmethod
    def of(cls, component: bytes, memory: int) -> CorePolicy | None:
        """None for a component that has to go through the component API."""
        check_form(component)
        module = core_module(component)
        if module is None:
            return None
        policy = cls(module, memory)
        exports = {export.name for export in policy._module.exports}
        needed = {f"{INTERFACE}#decide", f"{INTERFACE}#claim-clause", "cabi_realloc", "memory"}
        return policy if not policy._module.imports and needed <= exports else None

    def claim_clause(self, settings: Settings, now: int, dialect: str, fuel: int) -> Clause:
        call = _Call(self, "claim-clause", fuel)
        flat = (*call.settings(settings), now, DIALECTS.index(dialect))
        at = call.run(*flat)
        call.check(at, at + 8)
        notes, count = call.pair(at + 16)
        has_end, valid_until = call.unpack("<B7xq", at + 24)
        return Clause(
            call.text(at + 8),
            [call.text(notes + 8 * note) for note in range(count)],
            valid_until if has_end else None,
        )

    def decide(self, settings: Settings, now: int, state: Snapshot, fuel: int) -> list[Decision]:
        call = _Call(self, "decide", fuel)
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
        first, count = call.pair(at + 4)
        data = call.read(first, count * DECISION.size)
        return [_decision(call, *fields) for fields in DECISION.iter_unpack(data)]


def _decision(
    call: _Call,
    job: int,
    is_hold: int,
    has_task: int,
    task: int,
    has_freeze: int,
    freeze: int,
    has_rule: int,
    rule: int,
    length: int,
) -> Decision:
    if not is_hold:
        return Decision(job, None)
    return Decision(
        job,
        Hold(
            task if has_task else None,
            freeze if has_freeze else None,
            call.read(rule, length).decode() if has_rule else None,
        ),
    )


class _Call:
    """One call: what is written before it, and read after it."""

    def __init__(self, policy: CorePolicy, function: str, fuel: int) -> None:
        self._store = store = Store(policy._engine)
        store.set_limits(memory_size=policy._memory)
        store.set_fuel(fuel)
        self._function = function
        try:
            self._exports: Any = Instance(store, policy._module, []).exports(store)
            if "_initialize" in self._exports:
                self._exports["_initialize"](store)
        except (Trap, WasmtimeError) as cause:
            raise failed(function, store, cause) from cause
        self._memory = self._exports["memory"]

    def put(self, data: bytes, align: int = 1) -> int:
        """Writes bytes into memory that the policy gives."""
        if not data:
            return align
        at = int(self._try(self._exports["cabi_realloc"], 0, 0, align, len(data)))
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
        return int(self._try(self._exports[f"{INTERFACE}#{self._function}"], *arguments))

    def _try(self, function: Any, *arguments: int) -> int:
        try:
            return int(function(self._store, *arguments)) & 0xFFFFFFFF
        except (Trap, WasmtimeError) as cause:
            raise failed(self._function, self._store, cause) from cause

    def check(self, at: int, error: int) -> None:
        """Raises the policy's own error."""
        if self.unpack("<B", at)[0]:
            case = self.unpack("<B", error)[0]
            raise PolicyAnswered(ERRORS[case], self.text(error + 4))

    def read(self, at: int, length: int) -> bytes:
        return bytes(self._memory.read(self._store, at, at + length))

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        struct = Struct(form)
        return struct.unpack(self.read(at, struct.size))

    def pair(self, at: int) -> tuple[int, int]:
        first, second = self.unpack("<II", at)
        return first, second

    def text(self, at: int) -> str:
        pointer, length = self.pair(at)
        return self.read(pointer, length).decode()
