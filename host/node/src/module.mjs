// The core module of a component, for engines without components, such as V8.

import { InvalidPolicy } from './errors.mjs';

const PAGE = 64 << 10;
const [CORE_MODULE, NESTED_COMPONENT] = [1, 4];
const MEMORY = 5;

/** The one core module of a component, compiled, whose memory cannot grow beyond some bytes. */
export function compile(component, memory) {
  checkForm(component);
  const modules = [...coreModules(component)];
  if (modules.length !== 1) {
    throw new InvalidPolicy(
      `the component has ${modules.length} core modules, so it needs a component runtime: transpile it with jco, and pass the folder`,
    );
  }
  const module = new WebAssembly.Module(limited(modules[0], Math.floor(memory / PAGE)));
  const [imported] = WebAssembly.Module.imports(module);
  if (imported) {
    throw new InvalidPolicy(
      `the component imports \`${imported.module}\`: a portable policy imports nothing (\`--stub-wasi\`, \`-d all\`)`,
    );
  }
  return module;
}

function checkForm(bytes) {
  const head = Array.from(bytes.subarray(0, 8)).join();
  if (head === '0,97,115,109,1,0,0,0') {
    throw new InvalidPolicy(
      'the file is a core module and not a component: build it for `wasm32-wasip2`, or turn it into one with `wasm-tools component new`',
    );
  }
  if (head !== '0,97,115,109,13,0,1,0') throw new InvalidPolicy('the file is not a component: is it the built policy?');
}

function* coreModules(component) {
  for (const { id, content } of sections(component)) {
    if (id === CORE_MODULE) yield content;
    // Usually it only names the exported types.
    if (id === NESTED_COMPONENT) yield* coreModules(content);
  }
}

function* sections(bytes) {
  let at = 8;
  while (at < bytes.length) {
    const begin = at;
    const id = bytes[at];
    const [size, start] = leb(bytes, at + 1);
    at = start + size;
    if (at > bytes.length) throw new InvalidPolicy('the file ends too early: was it cut?');
    yield { id, content: bytes.subarray(start, at), whole: bytes.subarray(begin, at) };
  }
}

/** A number of the binary format, and where the next one begins. */
function leb(bytes, at) {
  let number = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    number += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [number, at];
  }
  throw new InvalidPolicy('the file ends too early: was it cut?');
}

function toLeb(number) {
  const bytes = [];
  for (; number >= 0x80; number = Math.floor(number / 0x80)) bytes.push((number & 0x7f) | 0x80);
  return [...bytes, number];
}

/** The module with a limit for each memory of its own: V8 takes no other. */
function limited(module, pages) {
  const parts = [module.subarray(0, 8)];
  for (const { id, content, whole } of sections(module)) {
    if (id !== MEMORY) {
      parts.push(whole);
      continue;
    }
    let [count, at] = leb(content, 0);
    const memories = toLeb(count);
    for (; count > 0; count--) {
      const flags = content[at++];
      if (flags > 1) throw new InvalidPolicy('the memory of the policy is shared or has 64 bits');
      let least, most;
      [least, at] = leb(content, at);
      if (flags === 1) [most, at] = leb(content, at);
      if (least > pages) throw new InvalidPolicy(`the policy begins with ${least * PAGE} bytes of memory: raise its limit`);
      memories.push(1, ...toLeb(least), ...toLeb(Math.min(most ?? pages, pages)));
    }
    parts.push(Uint8Array.from([MEMORY, ...toLeb(memories.length), ...memories]));
  }
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
