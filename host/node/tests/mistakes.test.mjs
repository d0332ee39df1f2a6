// Mistakes of a host, and hostile components: each has a remedy, and none opens the gate.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';

import {
  ClauseRefused, HostError, InvalidPolicy, InvalidRow, InvalidSettings, PolicyAnswered, PolicyFailed, claim, columns,
  settings, snapshot,
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
    [{ ...GOOD, repos: null }, '`repos` is null: write a text, empty for all repos'],
    [{ ...GOOD, rules: {} }, '`rules` is no text: pass the JSON object as `JSON.stringify` writes it'],
    [{ ...GOOD, rules: '[]' }, '`rules` is no JSON object: write `{…}`, or none at all'],
  ]) {
    assert.throws(() => settings(document), says(InvalidSettings, message));
    // A policy takes no others, either.
    for (const [, policy] of policies) {
      assert.throws(() => policy.claimClause(document), says(InvalidSettings, message));
    }
  }
});

test('an id that JavaScript has rounded is refused', () => {
  const rounded = Number.parseInt('9007199254740993', 10);
  assert.throws(() => columns({ tasks: [{ id: rounded }] }), says(InvalidRow, /is beyond 2\^53, where JavaScript rounds/));
  assert.throws(() => columns({ jobs: [{ id: '7' }] }), says(InvalidRow, 'an id is "7": pass a 64-bit integer'));
  assert.throws(() => columns({ jobs: [{ id: 1, repo: true }] }), says(InvalidRow, /a column has true/));
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
  assert.throws(() => policies[0][1].claimClause(settings(), { dialect: 'mysql' }), says(HostError, message));
});

test('a database that is no queue is refused', () => {
  const message = 'the database has no table `tasks`: is it a queue?';
  assert.throws(() => snapshot(new DatabaseSync(':memory:')), says(InvalidRow, message));
});
