// The playground in a real browser: the policy and the guard run in the page.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { open, serve } from './browser.mjs';
import { POLICY, component } from './support.mjs';

/** Waits in the page until an expression is true. */
const until = (expression) => `new Promise((done) => {
  const look = () => ((${expression}) ? done() : setTimeout(look, 20));
  look();
})`;
const table = `[...document.querySelectorAll('#verdicts tr')].map((row) => row.lastChild.textContent)`;
const write = (id, text) => `(() => {
  const field = document.getElementById('${id}');
  field.value = ${JSON.stringify(text)};
  field.dispatchEvent(new Event('input'));
})()`;

test('the page decides, guards, and says what is wrong', async () => {
  // Before anything is open: a missing browser fails the test, and keeps nothing running.
  const browser = component('SERIAL_GATE_TEST_CHROMIUM');
  const server = await serve(fileURLToPath(new URL('..', import.meta.url)), {
    '/playground/kit/default.wasm': POLICY,
    '/playground/kit/guard.wasm': component('SERIAL_GATE_TEST_GUARD'),
  });
  const page = await open(browser, `${server.address}/playground/index.html`);
  try {
    await page.evaluate(until('document.body.dataset.ready'));
    assert.deepEqual(await page.evaluate(table), [
      'may be claimed', 'waits for task 1', 'the repo is frozen (freeze 1)',
    ]);
    assert.match(await page.evaluate("document.getElementById('runs').textContent"), /^\(NOT \(\("jobs"\."agent" = 'analyst'\)/);

    await page.evaluate(write('settings', '{"enabled": true, "repos": "", "freeze_enabled": true}'));
    await page.evaluate(until("document.getElementById('error').textContent"));
    assert.match(await page.evaluate("document.getElementById('error').textContent"), /^`freeze_enabled` is unknown/);

    await page.evaluate(write('settings', '{"enabled": true, "repos": "beta", "freezeEnabled": true}'));
    await page.evaluate(until(`${table}[1] === 'may be claimed'`));

    await page.evaluate(write('clause', 'AND jobs.id = 1 OR TRUE'));
    await page.evaluate(until("document.getElementById('error').textContent"));
    assert.match(await page.evaluate("document.getElementById('error').textContent"), /at line 1, column/);
    assert.deepEqual(page.said, []);
  } finally {
    await page.close();
    server.close();
  }
});
