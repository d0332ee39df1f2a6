// The rows of a queue as a policy takes them: columns of numbers, and one table of texts. The rules
// are in the contract at `symbol`, `symbols` and `task-id-kind`.

import { InvalidRow } from './errors.mjs';

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;
/** What the number in `taskId` means. */
const [NULL, ID, BEFORE_ID, AFTER_EVERY_ID] = [0, 1, 2, 3];

const utf8 = new TextEncoder();

/** The number of each value; 0 is NULL. */
class Symbols {
  #texts = new Map();
  #others = new Map();
  #bytes = 0;
  text = [];
  ends = [0];

  of(value) {
    if (value === null || value === undefined) return 0;
    if (typeof value === 'string') return this.#number(this.#texts, value, value);
    const text = shown(value);
    return this.#number(this.#others, text, text);
  }

  #number(known, key, text) {
    const before = known.get(key);
    if (before !== undefined) return before;
    const number = this.ends.length;
    known.set(key, number);
    this.text.push(text);
    this.ends.push((this.#bytes += utf8.encode(text).length));
    return number;
  }
}

/** A value that is no text, as text: 1 and 1.0 are one value. */
function shown(value) {
  if (value instanceof Uint8Array) {
    return `x'${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}'`;
  }
  if (typeof value === 'number' && Number.isInteger(value)) return String(BigInt(value));
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw new InvalidRow(`a column has ${JSON.stringify(value)}: pass texts, numbers, bytes or null`);
}

/** An id. A plain number has to be one that JavaScript keeps whole. */
function id(value) {
  if (typeof value === 'bigint' && value >= LOWEST && value <= HIGHEST) return value;
  if (Number.isSafeInteger(value)) return BigInt(value);
  if (Number.isInteger(value)) {
    throw new InvalidRow(
      `the id ${value} is beyond 2^53, where JavaScript rounds: read ids as BigInt, with \`setReadBigInts(true)\` in node:sqlite`,
    );
  }
  throw new InvalidRow(`an id is ${JSON.stringify(String(value))}: pass a 64-bit integer`);
}

/** The place of a job in the order of tasks. */
function place(value) {
  if (value === null || value === undefined) return [0n, NULL];
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return [id(value), ID];
  if (typeof value !== 'number' || value >= Number(HIGHEST)) return [0n, AFTER_EVERY_ID];
  if (value < Number(LOWEST)) return [LOWEST, BEFORE_ID];
  const whole = Math.ceil(value);
  return [BigInt(whole), whole === value ? ID : BEFORE_ID];
}

/**
 * The state of rows, as objects with the names of the columns. Each list is in the order of its ids;
 * `jobs` has the queued jobs, or all.
 */
export function columns({ tasks = [], jobs = [], freezes = [] }) {
  const symbols = new Symbols();
  const ids = (rows) => BigInt64Array.from(rows, (row) => id(row.id));
  const of = (rows, name) => Uint32Array.from(rows, (row) => symbols.of(row[name]));
  const places = jobs.map((job) => place(job.task_id));
  const tables = {
    tasks: [ids(tasks), of(tasks, 'work_item_id'), of(tasks, 'repo'), of(tasks, 'stage'), of(tasks, 'gate_label')],
    jobs: [
      ids(jobs),
      BigInt64Array.from(places, ([number]) => number),
      Uint8Array.from(places, ([, kind]) => kind),
      of(jobs, 'repo'),
      of(jobs, 'agent'),
      of(jobs, 'status'),
    ],
    freezes: [
      ids(freezes),
      of(freezes, 'repo'),
      of(freezes, 'frozen_at'),
      of(freezes, 'cleared_at'),
      of(freezes, 'reason'),
      of(freezes, 'work_item_id'),
    ],
  };
  return { text: symbols.text.join(''), ends: Uint32Array.from(symbols.ends), ...tables };
}
