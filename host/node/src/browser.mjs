// Workers in a browser. The rest is the same as in Node.

import { GuardComponent, PolicyComponent } from './component.mjs';

export { settings, settingsOf } from './settings.mjs';
export { columns } from './snapshot.mjs';
export * from './errors.mjs';

const FILE = new URL('./browser-worker.mjs', import.meta.url);

function starter(component) {
  return (memory) => {
    const worker = new Worker(FILE, { type: 'module' });
    worker.postMessage({ component, memory });
    return {
      send: (message) => worker.postMessage(message),
      listen: (listener) => (worker.onmessage = ({ data }) => listener(data)),
      failed: (listener) => (worker.onerror = listener),
      end: () => worker.terminate(),
    };
  };
}

async function read(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`\`${new URL(url).pathname}\` is not there (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

export class Policy extends PolicyComponent {
  /** The component at a URL. */
  static async fromUrl(url, limits) {
    return Policy.fromBytes(await read(url), limits);
  }

  /** A component of these bytes. */
  static fromBytes(component, limits) {
    return new Policy(starter(component), limits);
  }
}

export class Guard extends GuardComponent {
  /** The component at a URL. */
  static async fromUrl(url, limits) {
    return new Guard(starter(await read(url)), limits);
  }
}
