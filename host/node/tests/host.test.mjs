// A host of the default policy: what it claims, and what it decides.

import assert from 'node:assert/strict';
import test from 'node:test';

import { claim, settings, snapshot } from '../src/index.mjs';
import { guard, policies, twoTasks } from './support.mjs';

for (const [way, policy] of policies) {
  test(`by ${way}, the second task waits until the first is done`, async () => {
    const queue = twoTasks();
    const clause = await guard.check((await policy.claimClause(settings())).text);
    assert.deepEqual([claim(queue, clause), claim(queue, clause)], [1n, undefined]);
    queue.exec("UPDATE tasks SET stage = 'done' WHERE id = 1");
    assert.equal(claim(queue, clause), 2n);
  });

  test(`by ${way}, a decision names what the job waits for`, async () => {
    const queue = twoTasks();
    queue.exec("INSERT INTO repo_freeze (id, repo) VALUES (7, 'beta')");
    queue.exec("INSERT INTO jobs VALUES (3, 2, 'beta', 'analyst', 'queued')");
    const decisions = await policy.decide(settings(), snapshot(queue));
    assert.deepEqual(decisions, [
      { job: 1n, hold: undefined },
      { job: 2n, hold: { earlierTask: 1n, freeze: undefined, rule: undefined } },
      { job: 3n, hold: { earlierTask: undefined, freeze: 7n, rule: undefined } },
    ]);
  });

  test(`by ${way}, a policy says who it is and what it dropped`, async () => {
    assert.equal((await policy.describe()).name, 'serial');
    const clause = await policy.claimClause(settings({ enabled: true, repos: 'alpha, org/app', freezeEnabled: true }));
    assert.equal(clause.validUntil, undefined);
    assert.match(clause.notes.join(), /org\/app/);
  });

  test(`by ${way}, any value of a row has its symbol`, async () => {
    const queue = twoTasks();
    queue.exec('DELETE FROM jobs');
    queue.exec("INSERT INTO tasks (id, repo, stage) VALUES (9007199254740993, 5, 'analysis')");
    queue.exec(`INSERT INTO jobs (id, task_id, repo, agent, status) VALUES
      (9007199254740993, 9007199254740994, 5, 'analyst', 'queued'),
      (9007199254740995, 'no number', x'ff', 'analyst', 'queued'),
      (9007199254740997, 1.5, 'alpha', 'analyst', 'queued')`);
    const decisions = await policy.decide(settings(), snapshot(queue));
    assert.deepEqual(
      decisions.map(({ job, hold }) => [job, hold === undefined]),
      [[9007199254740993n, false], [9007199254740995n, true], [9007199254740997n, false]],
    );
  });
}

test('the guard says what runs and what it reads', async () => {
  const clause = await guard.check("AND (jobs.agent <> 'dev' OR jobs.agent IS NULL)", 'postgres');
  assert.deepEqual({ ...clause }, {
    sql: '(("jobs"."agent" <> \'dev\') OR ("jobs"."agent" IS NULL))',
    isEmpty: false,
    reads: [],
    readsOwnRepoOnly: true,
    gated: { allBut: false, names: ['dev'] },
    obstacle: undefined,
  });
});

test('the guard lists the indexes of a queue', async () => {
  const indexes = await guard.indexes();
  assert.ok(indexes.some(({ table, columns, covers }) => `${table} ${columns} ${covers}` === 'repo_freeze repo,id cleared_at IS NULL'));
});
