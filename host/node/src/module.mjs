// The core module of a component, for engines without components, such as V8.

import { InvalidPolicy } from './errors.mjs';

const PAGE = 64 << 10;
const [CORE_MODULE, NESTED_COMPONENT] = [1, 4];
const [TABLE, MEMORY] = [4, 5];
/** The most entries of a table. V8 does not end a `table.fill`, however long it is. */
const ENTRIES = 100_000;

/** The one core module of a component, compiled, whose memory cannot grow beyond some bytes. */
export function compile(component, memory) {
  checkForm(component);
  const modules = [...coreModules(component)];
  if (modules.length !== 1) {
    throw new InvalidPolicy(
      `the component has ${modules.length} core modules, so it needs a component runtime: run \`node transpile.mjs POLICY.wasm FOLDER\`, and pass \`FOLDER/policy.js\` to \`Policy.fromTranspiled\``,
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

/** The module with a limit for its memory and its tables: V8 takes no other. */
function limited(module, pages) {
  const parts = [module.subarray(0, 8)];
  for (const { id, content, whole } of sections(module)) {
    if (id === MEMORY) parts.push(section(MEMORY, withLimits(content, 0, pages, 'pages of memory')));
    else if (id === TABLE) parts.push(section(TABLE, withLimits(content, 1, ENTRIES, 'entries of a table')));
    else parts.push(whole);
  }
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function section(id, content) {
  return Uint8Array.from([id, ...toLeb(content.length), ...content]);
}

/** The memories or tables of a section, of which there may be one. A table has the type of its entries before its limits. */
function withLimits(content, bytesOfType, most, what) {
  let [count, at] = leb(content, 0);
  if (count > 1) throw new InvalidPolicy(`the policy has ${count} memories or tables of one kind: a portable policy has one`);
  const limits = toLeb(count);
  for (; count > 0; count--) {
    const type = content.subarray(at, at + bytesOfType);
    if (type.some((byte) => byte !== 0x70)) throw new InvalidPolicy('a table of the policy holds something else than functions');
    const flags = content[at + bytesOfType];
    if (flags > 1) throw new InvalidPolicy('the memory of the policy is shared or has 64 bits');
    let least, own;
    [least, at] = leb(content, at + bytesOfType + 1);
    if (flags === 1) [own, at] = leb(content, at);
    if (least > most) throw new InvalidPolicy(`the policy begins with ${least} ${what}, and the limit is ${most}`);
    limits.push(...type, 1, ...toLeb(least), ...toLeb(Math.min(own ?? most, most)));
  }
  return limits;
}
