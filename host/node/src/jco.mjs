// A component that `jco transpile --instantiation async` has turned into JavaScript: for policies of
// several core modules, such as those on QuickJS or in Python.

import { ERRORS, INTERFACE } from './core.mjs';
import { InvalidPolicy, PolicyAnswered, PolicyFailed } from './errors.mjs';

/** The calls of the module at a URL. Each has a new instance. */
export async function open(url) {
  const made = await import(url).catch((cause) => ({ cause }));
  if (!made.instantiate) {
    const why = made.cause ? ` (${made.cause.message})` : '';
    throw new InvalidPolicy(`this is not what jco made of a component${why}: run \`node transpile.mjs POLICY.wasm FOLDER\`, and pass \`FOLDER/policy.js\``);
  }
  const compiled = new Map();
  const read = async (path) => {
    const file = new URL(path, url);
    if (file.protocol !== 'file:') return WebAssembly.compileStreaming(fetch(file));
    const { readFile } = await import('node:fs/promises');
    return WebAssembly.compile(await readFile(file));
  };
  const module = (path) => {
    if (!compiled.has(path)) compiled.set(path, read(path));
    return compiled.get(path);
  };
  const call = async (name, ...parameters) => {
    try {
      const instance = await made.instantiate(module, {});
      const gate = instance[INTERFACE] ?? instance.serialGate;
      if (!gate) throw new InvalidPolicy(`the component does not export \`${INTERFACE}\`: it was built for another contract`);
      return gate[name](...parameters);
    } catch (cause) {
      // jco throws the contract's errors as they are, or as the payload of an error of its own.
      const answered = cause?.payload ?? cause;
      if (ERRORS.includes(answered?.tag)) throw new PolicyAnswered(answered.tag, answered.val);
      if (cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError) {
        throw new PolicyFailed(`\`${name}\` trapped (${cause.message}): the policy has a bug, or imports something`);
      }
      if (cause instanceof WebAssembly.CompileError) {
        throw new InvalidPolicy(`this engine cannot compile the policy: Node 22.13 or newer can (${cause.message})`);
      }
      throw cause;
    }
  };
  return {
    describe: () => call('describe'),
    claimClause: (...parameters) => call('claimClause', ...parameters),
    decide: async (settings, now, state) => {
      const decisions = await call('decide', settings, now, snapshot(state));
      return decisions.map(({ job, verdict }) => ({ job, hold: verdict.val }));
    },
  };
}

/** The columns with jco's names. */
function snapshot({ text, ends, tasks, jobs, freezes }) {
  const named = (table, ...names) => Object.fromEntries(names.map((name, at) => [name, table[at]]));
  return {
    symbols: { text, ends },
    tasks: named(tasks, 'id', 'workItem', 'repo', 'stage', 'label'),
    jobs: named(jobs, 'id', 'taskId', 'taskIdKind', 'repo', 'agent', 'status'),
    freezes: named(freezes, 'id', 'repo', 'frozenAt', 'clearedAt', 'reason', 'workItem'),
  };
}
