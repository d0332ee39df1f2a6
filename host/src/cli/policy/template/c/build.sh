# Builds the policy: a core module by zig's clang, which brings its own C library, and a component around it. Another
# compiler: CC='/opt/wasi-sdk/bin/clang --target=wasm32-wasi' sh build.sh
set -eu
cd "$(dirname "$0")"
PATH="$PWD/venv/bin:$PATH"
: "${CC:=python3 -m ziglang cc --target=wasm32-wasi}"

mkdir -p build
# The stack has 64 KiB, where zig would reserve 16 MiB, at the lowest addresses: an overflow traps.
$CC -std=c17 -Wall -Wextra -Werror -Oz -mexec-model=reactor -Wl,--strip-all,-z,stack-size=65536 \
    rule.c bindings/policy.c -o build/c.wasm
# C has nothing to run at the start here. With this export the component would get a second module that calls it, and
# hosts without components could not use it.
wasm-tools print build/c.wasm | grep -v '(export "_initialize"' | wasm-tools parse -o build/core.wasm
wasm-tools component embed wit --world policy build/core.wasm -o build/typed.wasm
wasm-tools component new build/typed.wasm -o {file}
