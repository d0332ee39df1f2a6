// The components under test, and a queue.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after } from 'node:test';

import { Guard, Policy } from '../src/index.mjs';

/** A built component, whose path is in the environment. */
export function component(variable) {
  const path = process.env[variable];
  assert.ok(path, `set \`${variable}\` to a built component: see CONTRIBUTING.md`);
  return path;
}

export const POLICY = component('SERIAL_GATE_TEST_POLICY');

function closed(one) {
  after(() => one.close());
  return one;
}

export const guard = closed(await Guard.fromFile(component('SERIAL_GATE_TEST_GUARD')));

/** The default policy, called in both ways. */
export const policies = [
  ['the core module', closed(await Policy.fromFile(POLICY))],
  ['jco', closed(Policy.fromTranspiled(component('SERIAL_GATE_TEST_TRANSPILED')))],
];

/** A policy of these bytes. */
export async function policyOf(bytes, limits) {
  const folder = mkdtempSync(join(tmpdir(), 'serial-gate-'));
  const file = join(folder, 'policy.wasm');
  writeFileSync(file, bytes);
  const policy = closed(await Policy.fromFile(file, limits));
  rmSync(folder, { recursive: true });
  return policy;
}

/** Two tasks of one repo, each with its first job. */
export function twoTasks() {
  const queue = new DatabaseSync(':memory:');
  queue.exec(`
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, work_item_id TEXT, repo TEXT, stage TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status TEXT);
    CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, frozen_at TEXT, cleared_at TEXT, reason TEXT);
    INSERT INTO tasks VALUES (1, 'A-1', 'alpha', 'analysis'), (2, 'A-2', 'alpha', 'analysis');
    INSERT INTO jobs VALUES (1, 1, 'alpha', 'analyst', 'queued'), (2, 2, 'alpha', 'analyst', 'queued');`);
  return queue;
}
