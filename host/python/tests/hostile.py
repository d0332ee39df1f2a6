"""Components that mean harm: a core module that answers with what the test says."""

from wasmtime import wat2wasm

INTERFACE = "serial-gate:policy/serial-gate@0.4.0"


def component(answer: bytes, decide: str = "(i32.const 0)") -> bytes:
    """A component whose `claim-clause` answers with these bytes, and `decide` with this code."""
    data = "".join(f"\\{byte:02x}" for byte in answer)
    module = wat2wasm(
        f"""(module
            (memory (export "memory") 1)
            (data (i32.const 0) "{data}")
            (table 1 funcref)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
            (func (export "{INTERFACE}#claim-clause")
                (param i32 i32 i32 i32 i32 i32 i32 i64 i32) (result i32) i32.const 0)
            (func (export "{INTERFACE}#decide") (param i32) (result i32) {decide}))"""
    )
    size, rest = b"", len(module)
    while rest >= 0x80:
        size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
    return b"\0asm\x0d\0\x01\0\x01" + size + bytes([rest]) + bytes(module)
