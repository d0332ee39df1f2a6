// The worker of `browser.mjs`. Its first message says what to run.

import { serve } from './worker.mjs';

addEventListener(
  'message',
  ({ data: given }) => {
    const port = {
      send: (message) => postMessage(message),
      listen: (listener) => addEventListener('message', ({ data }) => listener(data)),
    };
    serve(port, given);
  },
  { once: true },
);
