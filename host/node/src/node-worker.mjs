// The worker of `node.mjs`.

import { parentPort, workerData } from 'node:worker_threads';

import { serve } from './worker.mjs';

serve(
  { send: (message) => parentPort.postMessage(message), listen: (listener) => parentPort.on('message', listener) },
  workerData,
);
