// A queue in SQLite, by `node:sqlite`: its rows, and the claim.

import { HostError, InvalidRow } from './errors.mjs';
import { isGuarded } from './guarded.mjs';
import { columns } from './snapshot.mjs';

const COLUMNS = {
  tasks: ['id', 'work_item_id', 'repo', 'stage', 'gate_label'],
  jobs: ['id', 'task_id', 'repo', 'agent', 'status'],
  repo_freeze: ['id', 'repo', 'frozen_at', 'cleared_at', 'reason', 'work_item_id'],
};

/** All tasks, freezes and jobs, in one state of the database. */
export function snapshot(queue) {
  queue.exec('SAVEPOINT snapshot');
  try {
    const [tasks, jobs, freezes] = Object.entries(COLUMNS).map(([table, names]) => rows(queue, table, names));
    return columns({ tasks, jobs, freezes });
  } finally {
    queue.exec('RELEASE snapshot');
  }
}

/** Where a queue lacks one of these, it is NULL. Without any other, jobs would be let through. */
const OPTIONAL = ['work_item_id', 'gate_label', 'frozen_at', 'reason'];

/** The rows of a table in the order of its ids. */
function rows(queue, table, names) {
  // Generated columns are listed by this one only, and SQLite ignores the case of names.
  const found = queue.prepare(`PRAGMA table_xinfo(${table})`).all();
  const there = found.map((column) => column.name.toLowerCase());
  for (const { name, type } of found) {
    const isText = /CHAR|CLOB|TEXT/i.test(type) || ['id', 'task_id'].includes(name.toLowerCase());
    if (names.includes(name.toLowerCase()) && !isText) {
      throw new InvalidRow(
        `the column \`${table}.${name}\` is declared \`${type}\`, so that the database and the policy may compare it differently: declare it TEXT`,
      );
    }
  }
  if (there.length === 0) throw new InvalidRow(`the database has no table \`${table}\`: is it a queue?`);
  const missing = names.find((name) => !there.includes(name) && !OPTIONAL.includes(name));
  if (missing) throw new InvalidRow(`the table \`${table}\` has no column \`${missing}\`: is it a queue?`);
  const listed = names.map((name) => (there.includes(name) ? `${name} AS ${name}` : `NULL AS ${name}`));
  const read = all(queue, `SELECT ${listed} FROM ${table} ORDER BY id`);
  // node:sqlite makes one text of all bytes that are not UTF-8.
  if (read.some((row) => Object.values(row).some((value) => typeof value === 'string' && value.includes('\uFFFD')))) {
    throw new InvalidRow(`a text of \`${table}\` is not UTF-8, or has U+FFFD, which node:sqlite cannot tell apart`);
  }
  return read.map((row) => Object.fromEntries(names.map((name) => [name, row[name] ?? null])));
}

/** 64-bit ids stay whole as BigInt only. */
function all(queue, sql) {
  let statement;
  try {
    statement = queue.prepare(sql);
  } catch (cause) {
    if (!/no such table/.test(cause.message)) throw cause;
    throw new InvalidRow(`${cause.message}: is this database a queue?`);
  }
  statement.setReadBigInts(true);
  return statement.all();
}

/**
 * Makes the first job that may be claimed `running`, and returns its id; undefined if there is none.
 * Other processes may claim at the same time: each job is given once.
 */
export function claim(queue, clause) {
  check(clause);
  const [job] = all(
    queue,
    `UPDATE jobs SET status = 'running' WHERE id = (SELECT id FROM jobs
     WHERE status = 'queued' AND ${clause.sql} ORDER BY id LIMIT 1) RETURNING id`,
  );
  return job?.id;
}

/** The jobs that may be claimed now, in their order. */
export function claimable(queue, clause) {
  check(clause);
  const jobs = all(queue, `SELECT id FROM jobs WHERE status = 'queued' AND ${clause.sql} ORDER BY id`);
  return jobs.map((job) => job.id);
}

function check(clause) {
  if (!isGuarded(clause)) throw new HostError('a clause is untrusted text: pass what `guard.check` returns');
}
