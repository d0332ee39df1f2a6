// A component in a worker with a deadline: V8 counts no instructions, so a call that does not end is
// ended with its worker.

import { HostError, PolicyFailed, unpacked } from './errors.mjs';
import { guard } from './guarded.mjs';
import { settings as checked } from './settings.mjs';

const DIALECTS = ['sqlite', 'postgres'];

/** What a component may use: times in milliseconds, memory in bytes. */
export const LIMITS = { open: 30_000, clause: 500, decide: 5_000, memory: 64 << 20 };

class Component {
  #start;
  #worker;
  #last = Promise.resolve();

  /** `start` makes a worker: see `node.mjs` and `browser.mjs`. */
  constructor(start, limits) {
    this.limits = { ...LIMITS, ...limits };
    this.#start = () => start(this.limits.memory);
  }

  /** Ends the worker. Without this, a program does not end. */
  close() {
    this.#worker?.end();
    this.#worker = undefined;
  }

  /** Calls come one after another, so that none spends the time of another. */
  call(milliseconds, name, ...parameters) {
    const run = async () => {
      if (!this.#worker) {
        this.#worker = this.#start();
        // It compiles the component first.
        await this.#answer(this.limits.open, 'the start', []);
      }
      return this.#answer(milliseconds, `\`${name}\``, [name, ...parameters]);
    };
    this.#last = this.#last.then(run, run);
    return this.#last;
  }

  /** Sends a message, and waits for its answer. A worker that gives none, or fails, is ended: the next call starts another. */
  #answer(milliseconds, what, message) {
    const worker = this.#worker;
    return new Promise((done, fail) => {
      const end = (error) => {
        clearTimeout(late);
        this.close();
        fail(error);
      };
      const late = setTimeout(() => {
        end(new PolicyFailed(`${what} did not end within ${milliseconds} ms: raise its limit if it needs more`));
      }, milliseconds);
      worker.failed((cause) => end(new PolicyFailed(`the worker ended: ${cause?.message ?? cause}`)));
      worker.listen(({ value, error }) => {
        clearTimeout(late);
        if (error) fail(unpacked(error));
        else done(value);
      });
      worker.send(message);
    });
  }
}

/** A policy. Times are in seconds since 1970, as BigInt, and are passed in or are the present. */
export class PolicyComponent extends Component {
  /** Its name, version and rule in one line. */
  describe() {
    return this.call(this.limits.clause, 'describe');
  }

  /** The rule as a condition, from `now` on. Its text is untrusted: pass it to the guard. */
  claimClause(settings, { now = present(), dialect = 'sqlite' } = {}) {
    check(dialect);
    return this.call(this.limits.clause, 'claimClause', checked(settings), now, dialect);
  }

  /** A verdict for each queued job of a state, in the order of their ids; `hold` is undefined if it may be claimed. */
  decide(settings, state, { now = present() } = {}) {
    return this.call(this.limits.decide, 'decide', checked(settings), now, state);
  }
}

/** The guard of the clause. */
export class GuardComponent extends Component {
  /** What may run instead of a clause. It throws `ClauseRefused` if nothing may. */
  async check(text, dialect = 'sqlite') {
    check(dialect);
    return guard(await this.call(this.limits.clause, 'check', String(text), dialect));
  }
}

function present() {
  return BigInt(Math.floor(Date.now() / 1000));
}

function check(dialect) {
  if (!DIALECTS.includes(dialect)) throw new HostError(`there is no dialect \`${dialect}\`: write \`sqlite\` or \`postgres\``);
}
