// A page in a real browser, over its debugging port.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.css': 'text/css', '.html': 'text/html', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves a folder. Paths in `files` are other files. */
export async function serve(root, files) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    try {
      const content = await readFile(files[path] ?? join(root, path));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A page. `evaluate` runs an expression in it, and waits for its promise. */
export async function open(program, url) {
  const folder = mkdtempSync(join(tmpdir(), 'serial-gate-browser-'));
  const arguments_ = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'];
  const browser = spawn(program, arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
  const port = await new Promise((found, fail) => {
    let text = '';
    browser.stderr.on('data', (data) => {
      text += data;
      const line = /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(text);
      if (line) found(line[1]);
    });
    browser.once('exit', () => fail(new Error(`the browser ended: ${text}`)));
  });
  const target = await (await fetch(`http://127.0.0.1:${port}/json/new?about:blank`, { method: 'PUT' })).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((opened) => socket.addEventListener('open', opened));
  const waiting = new Map();
  const said = [];
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.method === 'Runtime.exceptionThrown') said.push(message.params.exceptionDetails.exception?.description);
    waiting.get(message.id)?.(message);
  });
  let number = 0;
  const call = (method, params = {}) => new Promise((done) => {
    waiting.set(++number, done);
    socket.send(JSON.stringify({ id: number, method, params }));
  });
  await call('Runtime.enable');
  await call('Page.enable');
  const loaded = new Promise((done) => socket.addEventListener('message', ({ data }) => {
    if (JSON.parse(data).method === 'Page.loadEventFired') done();
  }));
  await call('Page.navigate', { url });
  await loaded;
  return {
    said,
    evaluate: async (expression) => {
      const { result, error } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (error) throw new Error(error.message);
      if (result.exceptionDetails) throw new Error(result.exceptionDetails.exception?.description ?? result.exceptionDetails.text);
      return result.result.value;
    },
    close: async () => {
      socket.close();
      const ended = new Promise((end) => browser.once('exit', end));
      browser.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
