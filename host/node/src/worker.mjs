// What runs in a worker, which can be ended: the calls of one component.
//
// Owns the way of a call: a core module by the canonical ABI, or what jco has made of a component.

import * as core from './core.mjs';
import * as jco from './jco.mjs';
import { packed } from './message.mjs';
import { compile } from './module.mjs';

/** Answers the messages of a port, `[name, ...arguments]`, one after another. The first, `[]`, asks whether it is ready. */
export function serve(port, { component, transpiled, memory }) {
  let calls;
  port.listen(async ([name, ...parameters]) => {
    try {
      calls ??= transpiled ? await jco.open(transpiled) : opened(compile(component, memory));
      port.send({ value: name && (await calls[name](...parameters)) });
    } catch (error) {
      port.send({ error: packed(error) });
    }
  });
}

function opened(module) {
  const { describe, claimClause, decide, check, indexes } = core;
  const of = { describe, claimClause, decide, check, indexes };
  return Object.fromEntries(Object.entries(of).map(([name, call]) => [name, (...rest) => call(module, ...rest)]));
}
