// Mistakes of a host, and hostile components: each has a remedy, and none opens the gate.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';

import {
  ClauseRefused, HostError, InvalidPolicy, InvalidRow, InvalidSettings, Policy, PolicyAnswered, PolicyFailed, claim,
  columns, settings, settingsOf, snapshot,
} from '../src/index.mjs';
import { hostile } from './hostile.mjs';
import { POLICY, guard, policies, policyOf, twoTasks } from './support.mjs';

const GOOD = { enabled: true, repos: '', freezeEnabled: true };
const KEYS = 'the keys of the settings are `enabled`, `repos`, `freezeEnabled`, `rules`';

function says(kind, message) {
  return (error) => {
    assert.ok(error instanceof kind, String(error));
    if (message instanceof RegExp) assert.match(error.message, message);
    else assert.equal(error.message, message);
    return true;
  };
}

test('settings with a wrong key or value are refused', async () => {
  for (const [document, message] of [
    [{ enabled: true, repos: '' }, `\`freezeEnabled\` is missing: ${KEYS}`],
    [
      { enabled: true, repos: '', freeze_enabled: true },
      `\`freeze_enabled\` is unknown, \`freezeEnabled\` is missing: ${KEYS}`,
    ],
    [{ repos: '' }, `\`enabled\` is missing, \`freezeEnabled\` is missing: ${KEYS}`],
    [{ ...GOOD, enabled: 'true' }, '`enabled` is "true": write `true` or `false`'],
    [{ ...GOOD, enabled: undefined }, '`enabled` is undefined: write `true` or `false`'],
    [{ ...GOOD, repos: null }, '`repos` is null: write a string, empty for all repos'],
    [{ ...GOOD, rules: {} }, '`rules` is not a string: pass the JSON object as `JSON.stringify` writes it'],
    [{ ...GOOD, rules: '[]' }, '`rules` is not a JSON object: write `{…}`, or none at all'],
  ]) {
    assert.throws(() => settings(document), says(InvalidSettings, message));
    // A policy takes no others, either.
    for (const [, policy] of policies) {
      await assert.rejects(policy.claimClause(document), says(InvalidSettings, message));
    }
  }
});

test('an id that JavaScript has rounded is refused', () => {
  const rounded = Number.parseInt('9007199254740993', 10);
  const task = { repo: 'a', stage: 'done' };
  const job = { task_id: 1, repo: 'a', agent: 'x', status: 'queued' };
  assert.throws(() => columns({ tasks: [{ id: rounded, ...task }] }), says(InvalidRow, /is beyond 2\^53, where JavaScript rounds/));
  assert.throws(() => columns({ jobs: [{ ...job, id: '7' }] }), says(InvalidRow, 'an id is "7": pass a 64-bit integer'));
  assert.throws(() => columns({ jobs: [{ ...job, id: 1, repo: true }] }), says(InvalidRow, /a column has true/));
});

test('rows with a misspelt or missing column, or out of order, are refused', () => {
  const job = (id, more) => ({ id, task_id: 1, repo: 'a', agent: 'x', status: 'queued', ...more });
  for (const [rows, message] of [
    [{ job: [] }, 'there is no table `job`: write `tasks`, `jobs` and `freezes`'],
    [{ jobs: [job(1, { taskId: 1 })] }, /^a row of `jobs` has `taskId`: the columns are id, task_id, /],
    [{ tasks: [{ id: 1, repo: 'a' }] }, 'a row of `tasks` lacks `stage`: pass null for NULL'],
    [{ jobs: [job(2), job(1)] }, /^the rows of `jobs` are not in the order of their ids/],
    [{ jobs: [job(1), job(1)] }, /^the rows of `jobs` are not in the order of their ids/],
  ]) {
    assert.throws(() => columns(rows), says(InvalidRow, message));
  }
});

test('settings as this project writes them are taken', () => {
  assert.deepEqual(settingsOf({ enabled: true, repos: 'a', freeze_enabled: false }), {
    enabled: true, repos: 'a', freezeEnabled: false, rules: undefined,
  });
  assert.throws(() => settingsOf({ enabled: true, repos: '', freezeEnabled: true }), says(InvalidSettings, /freezeEnabled/));
});

test('an argument of another type, and an option or a limit that does not exist, are named', async () => {
  const [[, policy]] = policies;
  await assert.rejects(policy.claimClause(settings(), { now: 1 }), says(HostError, /^`now` is 1: pass seconds since 1970 as a BigInt/));
  await assert.rejects(policy.claimClause(settings(), { dialekt: 'sqlite' }), says(HostError, /^there is no option `dialekt`/));
  await assert.rejects(policy.decide(settings()), says(HostError, /^a policy decides about a state/));
  await assert.rejects(guard.check({ text: '' }), says(HostError, /pass `.text` of `claimClause`/));
  await assert.rejects(policyOf(hostile(), { claus: 1 }), says(HostError, /^the limit `claus` is 1: the limits are open, clause/));
});

test('a policy that was closed says so, also during a call', async () => {
  const policy = await policyOf(hostile(), { clause: 60_000 });
  const endless = policy.claimClause(settings());
  await new Promise((later) => setTimeout(later, 200));
  policy.close();
  await assert.rejects(endless, says(HostError, 'it was closed during the call'));
  await assert.rejects(policy.describe(), says(HostError, 'it was closed: open another one'));
});

test('what jco has not made is refused with the way to make it', async () => {
  const policy = Policy.fromTranspiled(POLICY);
  await assert.rejects(policy.describe(), says(InvalidPolicy, /run `node transpile.mjs POLICY.wasm FOLDER`/));
  policy.close();
});

test('a file that is no component is refused', async () => {
  const refused = async (bytes, message) => {
    await assert.rejects((await policyOf(bytes)).describe(), says(InvalidPolicy, message));
  };
  await refused(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), /is a core module and not a component/);
  await refused(Buffer.from('SQLite format 3\0'), 'the file is not a component: is it the built policy?');
  await refused(readFileSync(POLICY).subarray(0, 5000), 'the file ends too early: was it cut?');
  const guardFile = readFileSync(process.env.SERIAL_GATE_TEST_GUARD);
  await refused(guardFile, /does not export `describe` of `serial-gate:policy\/serial-gate@/);
});

test('a call that traps, does not end, or takes all memory is ended, and the next call is answered', async () => {
  const policy = await policyOf(hostile(), { clause: 200, memory: 4 << 20 });
  await assert.rejects(policy.describe(), says(PolicyFailed, /^`describe` trapped \(unreachable\)/));
  await assert.rejects(
    policy.claimClause(settings()),
    says(PolicyFailed, '`claimClause` did not end within 200 ms: raise its limit if it needs more'),
  );
  await assert.rejects(policy.decide(settings(), columns({})), says(PolicyFailed, /^`decide` trapped/));
  await assert.rejects(policy.describe(), says(PolicyFailed, /^`describe` trapped/));
});

test('what the policy refuses is told in its words', async () => {
  for (const [, policy] of policies) {
    await assert.rejects(policy.claimClause(settings({ ...GOOD, rules: '{"gated_agent":["dev"]}' })), (error) => {
      assert.ok(error instanceof PolicyAnswered, String(error));
      assert.equal(error.kind, 'invalid-rules');
      assert.match(error.text, /gated_agent/);
      return true;
    });
  }
});

test('a clause outside of the language is refused with its place', async () => {
  await assert.rejects(guard.check("AND jobs.agent = 'x' -- and so on"), (error) => {
    assert.ok(error instanceof ClauseRefused);
    assert.deepEqual([error.construct, error.line, error.column], ['comment', 1, 22]);
    assert.equal(error.message, '[comment] `--` starts a comment at line 1, column 22: remove it');
    return true;
  });
});

test('a clause that the guard has not printed does not run', async () => {
  const queue = twoTasks();
  const message = 'a clause is untrusted text: pass what `guard.check` returns';
  for (const clause of ['TRUE', { sql: 'TRUE' }, undefined, { ...(await guard.check('')) }]) {
    assert.throws(() => claim(queue, clause), says(HostError, message));
  }
});

test('a dialect that does not exist is refused', async () => {
  const message = 'there is no dialect `mysql`: write `sqlite` or `postgres`';
  await assert.rejects(guard.check('', 'mysql'), says(HostError, message));
  await assert.rejects(policies[0][1].claimClause(settings(), { dialect: 'mysql' }), says(HostError, message));
});

test('a database that is no queue is refused', async () => {
  const message = 'the database has no table `tasks`: is it a queue?';
  assert.throws(() => snapshot(new DatabaseSync(':memory:')), says(InvalidRow, message));
  const clause = await guard.check('');
  const claims = () => claim(new DatabaseSync(':memory:'), clause);
  assert.throws(claims, says(InvalidRow, 'no such table: jobs: is this database a queue?'));
});

test('a table that the rule would read otherwise is refused', () => {
  for (const [change, message] of [
    ['ALTER TABLE tasks RENAME COLUMN repo TO repository', 'the table `tasks` has no column `repo`: is it a queue?'],
    ['DROP TABLE tasks; CREATE TABLE tasks (id INTEGER, repo INTEGER, stage TEXT)', /^the column `tasks.repo` is declared `INTEGER`/],
    ["UPDATE tasks SET repo = CAST(x'ff' AS TEXT)", /^a text of `tasks` is not UTF-8/],
  ]) {
    const queue = twoTasks();
    queue.exec(change);
    assert.throws(() => snapshot(queue), says(InvalidRow, message));
  }
});

test('columns in another case and generated ones are read', async () => {
  const queue = twoTasks();
  queue.exec(`DROP TABLE tasks; CREATE TABLE tasks (Id INTEGER PRIMARY KEY, r TEXT, STAGE TEXT,
    Repo TEXT GENERATED ALWAYS AS (r) VIRTUAL); INSERT INTO tasks (Id, r, STAGE) VALUES (1, 'alpha', 'analysis')`);
  const decisions = await policies[0][1].decide(settings(), snapshot(queue));
  assert.deepEqual(decisions.map(({ hold }) => hold === undefined), [true, false]);
});
