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
    if (typeof value === 'string') return this.#number(this.#texts, value, value.toWellFormed());
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

/** A number or bytes as text. 1 and 1.0 are the same value. */
function shown(value) {
  if (value instanceof Uint8Array) {
    return `x'${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}'`;
  }
  if (typeof value === 'number' && Number.isInteger(value)) return String(BigInt(value));
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw new InvalidRow(`a column has ${JSON.stringify(value)}: pass texts, numbers, bytes or null`);
}

/** An id. JavaScript has to keep it whole. */
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

const COLUMNS = {
  tasks: ['id', 'work_item_id', 'repo', 'stage', 'gate_label'],
  jobs: ['id', 'task_id', 'repo', 'agent', 'status'],
  freezes: ['id', 'repo', 'frozen_at', 'cleared_at', 'reason', 'work_item_id'],
};
/** The columns without which a job would be let through in silence. */
const NEEDED = { tasks: ['id', 'repo', 'stage'], jobs: ['id', 'task_id', 'repo', 'agent', 'status'], freezes: ['id', 'repo', 'cleared_at'] };

/** Refuses tables and columns that nobody knows, columns that are missing, and rows out of order. */
function check(tables) {
  for (const [table, rows] of Object.entries(tables)) {
    if (!Object.hasOwn(COLUMNS, table)) {
      throw new InvalidRow(`there is no table \`${table}\`: write \`tasks\`, \`jobs\` and \`freezes\``);
    }
    let before;
    for (const row of rows) {
      const unknown = Object.keys(row).find((name) => !COLUMNS[table].includes(name));
      if (unknown !== undefined) {
        throw new InvalidRow(`a row of \`${table}\` has \`${unknown}\`: the columns are ${COLUMNS[table].join(', ')}`);
      }
      const missing = NEEDED[table].find((name) => !Object.hasOwn(row, name));
      if (missing !== undefined) throw new InvalidRow(`a row of \`${table}\` lacks \`${missing}\`: pass null for NULL`);
      if (before !== undefined && !(id(row.id) > before)) {
        throw new InvalidRow(`the rows of \`${table}\` are not in the order of their ids, each id once: add ORDER BY id`);
      }
      before = id(row.id);
    }
  }
}

/** The place of a job in the order of tasks. */
function place(value) {
  if (value === null || value === undefined) return [0n, NULL];
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return [id(value), ID];
  if (typeof value === 'string' || value instanceof Uint8Array) return [0n, AFTER_EVERY_ID];
  // A whole number here may be an id that was rounded, and a real one of SQLite has no fraction there either.
  if (typeof value !== 'number' || Number.isNaN(value) || (Number.isInteger(value) && Math.abs(value) < Number(HIGHEST))) return [id(value), ID];
  if (value >= Number(HIGHEST)) return [0n, AFTER_EVERY_ID];
  if (value < Number(LOWEST)) return [LOWEST, BEFORE_ID];
  const whole = Math.ceil(value);
  return [BigInt(whole), whole === value ? ID : BEFORE_ID];
}

/**
 * The state of rows, as objects with the names of the columns. Each list is in the order of its ids;
 * `jobs` has the queued jobs, or all.
 */
export function columns(given) {
  check(given);
  const { tasks = [], jobs = [], freezes = [] } = given;
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
  // The jobs that get a decision.
  const queued = jobs.filter(({ status }) => status === 'queued').map((job) => id(job.id));
  return { text: symbols.text.join(''), ends: Uint32Array.from(symbols.ends), queued, ...tables };
}
