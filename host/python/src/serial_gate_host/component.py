"""A component in wasmtime: a fresh instance for each call, under limits.

Owns what a failed call is called. Leaves the types of the answers to `policy` and `guard`, and the
fast way for policies of one core module to `core`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wasmtime import Config, Engine, Store, Trap, WasmtimeError
from wasmtime import component as wasm

from .errors import InvalidPolicy, PolicyFailed

MAGIC = b"\0asm"
MODULE, COMPONENT = b"\x01\0\0\0", b"\x0d\0\x01\0"


class Answer(NamedTuple):
    """The result of a call. Records are dicts, with the dashes of the contract in their keys."""

    value: Any
    is_error: bool


def engine() -> Engine:
    """An engine that counts fuel."""
    config = Config()
    config.consume_fuel = True
    return Engine(config)


def limited(engine: Engine, memory: int, fuel: int) -> Store:
    """A store for one call."""
    store = Store(engine)
    store.set_limits(
        memory_size=memory, table_elements=100_000, instances=100, tables=100, memories=10
    )
    store.set_fuel(fuel)
    return store


def check_form(data: bytes) -> None:
    """Refuses what is not a component."""
    if data[:4] != MAGIC:
        raise InvalidPolicy("the file is not WebAssembly: is it the built component?")
    if data[4:8] == MODULE:
        raise InvalidPolicy(
            "the file is a core module and not a component: build it for `wasm32-wasip2`, or turn"
            " it into one with `wasm-tools component new`"
        )
    if data[4:8] != COMPONENT:
        raise InvalidPolicy("the file has another version of the component format")


class Component:
    """A component that exports one interface."""

    def __init__(self, data: bytes, interface: str, memory: int) -> None:
        check_form(data)
        self._engine, self._interface, self._memory = engine(), interface, memory
        try:
            self._component = wasm.Component(self._engine, data)
        except WasmtimeError as cause:
            raise InvalidPolicy(f"the component is not valid: {cause}") from cause
        self._linker = wasm.Linker(self._engine)
        try:
            # A portable policy imports nothing. What others import ends the call.
            self._linker.define_unknown_imports_as_traps(self._component)
        except WasmtimeError as cause:
            raise InvalidPolicy(f"the component imports what no host has: {cause}") from cause

    def call(self, function: str, fuel: int, *arguments: Any) -> Answer:
        """Calls a function of the interface in a new instance."""
        store = limited(self._engine, self._memory, fuel)
        try:
            instance = self._linker.instantiate(store, self._component)
            interface = instance.get_export_index(store, self._interface)
            if interface is None:
                raise InvalidPolicy(
                    f"the component does not export `{self._interface}`: it was built for another"
                    " contract, or is another component"
                )
            export = instance.get_export_index(store, function, interface)
            found = None if export is None else instance.get_func(store, export)
            if found is None:
                raise InvalidPolicy(f"the component has no function `{function}`")
            answer = found(store, *arguments)
        # A function of another type fails in the conversions.
        except (Trap, WasmtimeError, TypeError, ValueError) as cause:
            raise failed(function, store, cause) from cause
        return _answer(answer)


def _answer(answer: Any) -> Answer:
    """A result is a tagged variant only where its two types are of one kind. Otherwise it is its
    value, or its error, which is a variant in this contract."""
    if not isinstance(answer, wasm.Variant):
        return Answer(plain(answer), False)
    if answer.tag in ("ok", "err"):
        return Answer(plain(answer.payload), answer.tag == "err")
    return Answer((answer.tag, answer.payload), True)


def failed(function: str, store: Store, cause: Exception) -> PolicyFailed:
    """Names what ended a call."""
    if store.get_fuel() == 0:
        return PolicyFailed(
            f"`{function}` used all of its fuel: it loops, or the queue is too long for it; raise"
            " `Limits` if it needs more"
        )
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    why = next((line.strip() for line in reversed(lines) if "wasm trap" in line), lines[0])
    return PolicyFailed(
        f"`{function}` trapped ({why}): the policy has a bug, imports something, or needs more"
        " memory than `Limits` allows"
    )


def plain(value: Any) -> Any:
    """A record as a dict, to any depth."""
    if isinstance(value, wasm.Record):
        return {name: plain(field) for name, field in vars(value).items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
