// Workers in Node.

import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

import { GuardComponent, PolicyComponent } from './component.mjs';

const FILE = new URL('./node-worker.mjs', import.meta.url);

function starter(given) {
  return (memory) => {
    const worker = new Worker(FILE, { workerData: { ...given, memory } });
    return {
      send: (message) => worker.postMessage(message),
      listen: (listener) => worker.removeAllListeners('message').on('message', listener),
      failed: (listener) => worker.removeAllListeners('error').on('error', listener),
      end: () => worker.terminate(),
    };
  };
}

export class Policy extends PolicyComponent {
  /** The component of a file. */
  static async fromFile(path, limits) {
    return new Policy(starter({ component: await readFile(path) }), limits);
  }

  /** What `jco transpile --instantiation async` has made of a component: the path of its `.js` file. */
  static fromTranspiled(path, limits) {
    return new Policy(starter({ transpiled: pathToFileURL(path).href }), limits);
  }
}

export class Guard extends GuardComponent {
  /** The component of a file. */
  static async fromFile(path, limits) {
    return new Guard(starter({ component: await readFile(path) }), limits);
  }
}
