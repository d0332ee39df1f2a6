// Runs cases through a policy and the guard, and prints each with its result:
//
//   node conform.mjs --policy POLICY.wasm --guard GUARD.wasm FILE …
//
// A case is a state of the tables, settings, and what happens to them, in the form of the reference's
// fixtures. It is run twice: its claims, and then its operations on a fresh copy. In every state
// `decide` and the guarded clause must let the same jobs through. Where a file has expected results,
// they are compared, and the exit status is 1 if one differs. `--policy FOLDER/policy.js` takes what
// jco has transpiled.

import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { Guard, HostError, Policy, claim, claimable, settings, snapshot } from './src/index.mjs';

const { DatabaseSync } = await import('node:sqlite').catch(() => {
  console.error(`error: Node ${process.versions.node} has no \`node:sqlite\`: use Node 22.13 or newer`);
  process.exit(2);
});

const SCHEMA = `
CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT, repo TEXT, stage TEXT,
    gate_label TEXT);
CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, repo TEXT, agent TEXT,
    status TEXT DEFAULT 'queued');
CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY AUTOINCREMENT, repo TEXT NOT NULL,
    frozen_at TEXT DEFAULT (datetime('now')), cleared_at TEXT, reason TEXT, work_item_id TEXT);`;
const COLUMNS = {
  tasks: ['id', 'work_item_id', 'repo', 'stage', 'gate_label'],
  jobs: ['id', 'task_id', 'repo', 'agent', 'status'],
  repo_freeze: ['id', 'repo', 'frozen_at', 'cleared_at', 'reason', 'work_item_id'],
};

/** Integers beyond 2^53 become BigInt, which JSON.parse would round. */
function parse(line) {
  return JSON.parse(line, (_, value, { source } = {}) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value);
}

function written(value) {
  return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? JSON.rawJSON(String(item)) : item));
}

class Host {
  constructor(policy, guard) {
    Object.assign(this, { policy, guard });
  }

  async run(given) {
    const set = settingsOf(given.settings ?? {});
    const queue = queueOf(given);
    const { text, clause } = await this.clause(set);
    const result = { clause: text, claimable: await this.claimable(queue, set, clause) };
    result.claim_order = [];
    for (let job = claim(queue, clause); job !== undefined; job = claim(queue, clause)) result.claim_order.push(job);
    queue.close();
    if (given.ops?.length) result.final = await this.after(given, set);
    return result;
  }

  /** The state after the operations. */
  async after(given, set) {
    const queue = queueOf(given);
    for (const operation of given.ops) {
      if (operation.op === 'claim') claim(queue, (await this.clause(set)).clause);
      else if (operation.op === 'settings') set = settingsOf(operation, set);
      else change(queue, set, operation);
    }
    const { text, clause } = await this.clause(set);
    const result = { clause: text, claimable: await this.claimable(queue, set, clause) };
    queue.close();
    return result;
  }

  async clause(set) {
    const { text } = await this.policy.claimClause(set, { now: 0n });
    return { text, clause: await this.guard.check(text) };
  }

  async claimable(queue, set, clause) {
    const jobs = claimable(queue, clause);
    const decisions = await this.policy.decide(set, snapshot(queue), { now: 0n });
    const decided = decisions.filter(({ hold }) => hold === undefined).map(({ job }) => job);
    if (String(decided) !== String(jobs)) throw new HostError(`\`decide\` lets ${decided} through, and the clause ${jobs}`);
    return jobs;
  }
}

/** The reference's settings: what is left out is as before, or off. */
function settingsOf(document, before = settings({ enabled: false, repos: '', freezeEnabled: false })) {
  return settings({
    enabled: Boolean(document.enabled ?? before.enabled),
    repos: 'repos' in document ? document.repos || '' : before.repos,
    freezeEnabled: Boolean(document.freeze_enabled ?? before.freezeEnabled),
    rules: document.rules ?? before.rules,
  });
}

function queueOf(given) {
  const queue = new DatabaseSync(':memory:');
  queue.exec(SCHEMA);
  for (const [table, key] of [['tasks', 'tasks'], ['jobs', 'jobs'], ['repo_freeze', 'freezes']]) {
    for (const row of given[key] ?? []) {
      const whole = key === 'jobs' ? { status: 'queued', ...row } : row;
      insert(queue, table, Object.fromEntries(COLUMNS[table].map((name) => [name, whole[name] ?? null])));
    }
  }
  return queue;
}

function insert(queue, table, row) {
  const names = Object.keys(row);
  queue.prepare(`INSERT INTO ${table} (${names}) VALUES (${names.map(() => '?')})`).run(...Object.values(row));
}

/** What another program does to the tables. Operations that only ask are left out. */
function change(queue, set, operation) {
  const run = (sql, ...values) => queue.prepare(sql).run(...values);
  const given = (...names) => {
    const row = Object.fromEntries(names.map((name) => [name, operation[name] ?? null]));
    return operation.id === undefined || operation.id === null ? row : { ...row, id: operation.id };
  };
  try {
    switch (operation.op) {
      case 'finish_task':
        return run("UPDATE tasks SET stage = 'done' WHERE id = ?", operation.id);
      case 'set_stage':
        return run('UPDATE tasks SET stage = ? WHERE id = ?', operation.stage, operation.id);
      case 'finish_job':
        return run('UPDATE jobs SET status = ? WHERE id = ?', operation.status ?? 'done', operation.id);
      case 'create_task':
        return insert(queue, 'tasks', given('repo', 'stage', 'work_item_id'));
      case 'enqueue':
        return insert(queue, 'jobs', { ...given('task_id', 'repo', 'agent'), status: operation.status ?? 'queued' });
      case 'set_freeze':
        if (!operation.repo || !set.freezeEnabled) return undefined;
        return insert(queue, 'repo_freeze', { ...given('repo', 'work_item_id'), reason: operation.reason || null });
      case 'clear_freeze':
        if (!operation.repo) return undefined;
        return run("UPDATE repo_freeze SET cleared_at = datetime('now') WHERE repo = ? AND cleared_at IS NULL", operation.repo);
      default:
        return undefined;
    }
  } catch (error) {
    // As in the reference, a refused change is one of the results, and the case goes on.
    if (error.code !== 'ERR_SQLITE_ERROR') throw error;
    return undefined;
  }
}

function differing(result, expected, before = '') {
  return Object.entries(result).flatMap(([key, value]) => {
    if (expected?.[key] === undefined) return [];
    if (key === 'final') return differing(value, expected[key], 'final ');
    const [is, wanted] = [written(value), written(expected[key])];
    return is === wanted ? [] : [`${before}\`${key}\` is ${is} and not ${wanted}`];
  });
}

async function main() {
  const { values, positionals: files } = parseArgs({
    options: { policy: { type: 'string' }, guard: { type: 'string' } },
    allowPositionals: true,
  });
  if (!values.policy || !values.guard || files.length === 0) {
    console.error('usage: node conform.mjs --policy POLICY.wasm --guard GUARD.wasm FILE …');
    return 2;
  }
  const isTranspiled = /\.m?js$/.test(values.policy);
  const policy = isTranspiled ? Policy.fromTranspiled(values.policy) : await Policy.fromFile(values.policy);
  const guard = await Guard.fromFile(values.guard);
  const host = new Host(policy, guard);
  let [passed, failed] = [0, 0];
  for (const file of files) {
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
    for (const line of lines) {
      const document = parse(line);
      const given = document.case ?? document;
      const result = await host.run(given);
      console.log(written({ case: given, expected: result }));
      const found = differing(result, document.expected);
      found.forEach((what) => console.error(`${given.name}: ${what}`));
      found.length > 0 ? failed++ : passed++;
    }
  }
  policy.close();
  guard.close();
  console.error(`${passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof HostError) && error.code !== 'ENOENT') throw error;
  console.error(`error: ${error.message}`);
  process.exit(2);
}
