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

/** The rows of a table in the order of its ids. A column that is not there is NULL. */
function rows(queue, table, names) {
  const there = queue.prepare(`PRAGMA table_info(${table})`).all().map((column) => column.name);
  if (there.length === 0) throw new InvalidRow(`the database has no table \`${table}\`: is it a queue?`);
  const listed = names.map((name) => (there.includes(name) ? name : `NULL AS ${name}`));
  return all(queue, `SELECT ${listed} FROM ${table} ORDER BY id`);
}

/** 64-bit ids stay whole as BigInt only. */
function all(queue, sql) {
  const statement = queue.prepare(sql);
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
