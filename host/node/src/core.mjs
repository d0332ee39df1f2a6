// One call of a core module by the canonical ABI, without any package. Layouts are those of the
// canonical ABI for `wit/`. Each call has a new instance.

import { ClauseRefused, InvalidPolicy, PolicyAnswered, PolicyFailed } from './errors.mjs';

export const INTERFACE = 'serial-gate:policy/serial-gate@0.4.0';
export const GUARD = 'serial-gate:policy/guard@0.4.0';
const DIALECTS = ['sqlite', 'postgres'];
export const ERRORS = ['invalid-rules', 'invalid-snapshot'];
const TABLES = ['tasks', 'jobs', 'repo_freeze'];
/** The most bytes of an answer. */
const RESULT = 16 << 20;
const DECISION = 64;
/** The largest answer without its lists and texts. */
const ANSWER = 52;

const utf8 = new TextEncoder();
const texts = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Call {
  constructor(module, iface, name) {
    this.name = name;
    this.exports = this.try(() => {
      const { exports } = new WebAssembly.Instance(module, {});
      exports._initialize?.();
      return exports;
    });
    this.function = this.exports[`${iface}#${name}`];
    if (!this.function) {
      throw new InvalidPolicy(`the component does not export \`${name}\` of \`${iface}\`: it was built for another contract, or is another component`);
    }
  }

  try(step) {
    try {
      return step();
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError)) throw cause;
      throw new PolicyFailed(
        `\`${this.name}\` trapped (${cause.message}): the policy has a bug, or needs more memory than its limit`,
      );
    }
  }

  run(...flat) {
    const at = this.try(() => this.function(...flat)) >>> 0;
    this.view = new DataView(this.exports.memory.buffer);
    this.left = RESULT;
    if (at + ANSWER > this.view.byteLength) throw this.broken('it points beyond the memory');
    return at;
  }

  /** Writes bytes into memory that the policy gives, and returns their place. */
  put(bytes, align = 1) {
    if (bytes.byteLength === 0) return align;
    const at = this.try(() => this.exports.cabi_realloc(0, 0, align, bytes.byteLength)) >>> 0;
    const memory = new Uint8Array(this.exports.memory.buffer);
    if (at + bytes.byteLength > memory.length) throw this.broken('it gives memory that it does not have');
    memory.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), at);
    return at;
  }

  string(text) {
    const bytes = utf8.encode(text);
    return [this.put(bytes), bytes.length];
  }

  list(numbers) {
    return [this.put(numbers, numbers.BYTES_PER_ELEMENT), numbers.length];
  }

  settings({ enabled, repos, freezeEnabled, rules }) {
    const own = rules === undefined ? [0, 0, 0] : [1, ...this.string(rules)];
    return [Number(enabled), ...this.string(repos), Number(freezeEnabled), ...own];
  }

  u8(at) {
    return this.view.getUint8(at);
  }

  u32(at) {
    return this.view.getUint32(at, true);
  }

  s64(at) {
    return this.view.getBigInt64(at, true);
  }

  /** Counts bytes of the answer, which the policy may have made up. */
  take(at, length) {
    this.left -= length;
    if (this.left < 0) throw this.broken('it is larger than 16 MiB');
    if (at + length > this.view.byteLength) throw this.broken('it points beyond the memory');
  }

  broken(why) {
    return new PolicyFailed(`the answer of \`${this.name}\` cannot be read: ${why}`);
  }

  text(at) {
    const [from, length] = [this.u32(at), this.u32(at + 4)];
    this.take(from, length);
    try {
      return texts.decode(new Uint8Array(this.exports.memory.buffer, from, length));
    } catch {
      throw this.broken('it has a text that is not UTF-8');
    }
  }

  /** The items of a list, each of which has some bytes. */
  items(at, size, item) {
    const [first, length] = [this.u32(at), this.u32(at + 4)];
    this.take(first, size * length);
    return Array.from({ length }, (_, index) => item(first + size * index));
  }

  /** A case of two, such as whether there is a value. */
  flag(at) {
    const byte = this.u8(at);
    if (byte > 1) throw this.broken(`it has a case of number ${byte}`);
    return byte === 1;
  }

  optionalText(at) {
    return this.flag(at) ? this.text(at + 4) : undefined;
  }

  optionalNumber(at) {
    return this.flag(at) ? this.s64(at + 8) : undefined;
  }

  check(at, error) {
    if (!this.flag(at)) return;
    const kind = ERRORS[this.u8(error)];
    if (!kind) throw this.broken(`it has an error of number ${this.u8(error)}`);
    throw new PolicyAnswered(kind, this.text(error + 4));
  }
}

export function describe(module) {
  const call = new Call(module, INTERFACE, 'describe');
  const at = call.run();
  return { name: call.text(at), version: call.text(at + 8), summary: call.text(at + 16) };
}

export function claimClause(module, settings, now, dialect) {
  const call = new Call(module, INTERFACE, 'claim-clause');
  const at = call.run(...call.settings(settings), now, DIALECTS.indexOf(dialect));
  call.check(at, at + 8);
  return {
    text: call.text(at + 8),
    notes: call.items(at + 16, 8, (note) => call.text(note)),
    validUntil: call.optionalNumber(at + 24),
  };
}

export function decide(module, settings, now, state) {
  const call = new Call(module, INTERFACE, 'decide');
  const pairs = [call.string(state.text), call.list(state.ends)];
  for (const table of [state.tasks, state.jobs, state.freezes]) pairs.push(...table.map((column) => call.list(column)));
  const [enabled, repos, size, freezes, hasRules, rules, length] = call.settings(settings);
  // More than 16 arguments go by one pointer: settings at 0, now at 32, the snapshot at 40.
  const head = new DataView(new ArrayBuffer(40 + 8 * pairs.length));
  head.setUint8(0, enabled);
  head.setUint32(4, repos, true);
  head.setUint32(8, size, true);
  head.setUint8(12, freezes);
  head.setUint8(16, hasRules);
  head.setUint32(20, rules, true);
  head.setUint32(24, length, true);
  head.setBigInt64(32, now, true);
  pairs.flat().forEach((number, index) => head.setUint32(40 + 4 * index, number, true));
  const at = call.run(call.put(head, 8));
  call.check(at, at + 4);
  return call.items(at + 4, DECISION, (row) => ({
    job: call.s64(row),
    hold: !call.flag(row + 8) ? undefined : {
      earlierTask: call.optionalNumber(row + 16),
      freeze: call.optionalNumber(row + 32),
      rule: call.optionalText(row + 48),
    },
  }));
}

export function check(module, text, dialect) {
  const call = new Call(module, GUARD, 'check');
  const at = call.run(...call.string(text), DIALECTS.indexOf(dialect));
  if (call.flag(at)) {
    throw new ClauseRefused({
      construct: call.text(at + 4),
      line: call.u32(at + 12),
      column: call.u32(at + 16),
      what: call.text(at + 20),
      remedy: call.text(at + 28),
    });
  }
  return {
    sql: call.text(at + 4),
    isEmpty: call.flag(at + 12),
    reads: call.items(at + 16, 1, (table) => TABLES[call.u8(table)]),
    readsOwnRepoOnly: call.flag(at + 24),
    // None among the names is a job without an agent.
    gated: { allBut: call.flag(at + 28), names: call.items(at + 32, 12, (name) => call.optionalText(name)) },
    obstacle: call.optionalText(at + 40),
  };
}

export function indexes(module) {
  const call = new Call(module, GUARD, 'indexes');
  return call.items(call.run(), 24, (index) => ({
    table: TABLES[call.u8(index)],
    columns: call.items(index + 4, 8, (column) => call.text(column)),
    covers: call.optionalText(index + 12),
  }));
}
