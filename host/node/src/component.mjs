// A component in a worker with a deadline: V8 counts no instructions, so a call that does not end is
// ended with its worker.

import { HostError, PolicyFailed } from './errors.mjs';
import { mark } from './guarded.mjs';
import { unpacked } from './message.mjs';
import { settings as checked } from './settings.mjs';

const DIALECTS = ['sqlite', 'postgres'];

/** What a component may use: times in milliseconds, memory in bytes. */
export const LIMITS = { open: 30_000, clause: 500, decide: 5_000, memory: 64 << 20 };

class Component {
  #start;
  #worker;
  #last = Promise.resolve();
  #isClosed = false;
  /** Ends the call that runs, with an error. */
  #end;

  /** `start` makes a worker: see `node.mjs` and `browser.mjs`. */
  constructor(start, limits = {}) {
    for (const [name, value] of Object.entries(limits)) {
      if (!Object.hasOwn(LIMITS, name) || !(value > 0)) {
        throw new HostError(`the limit \`${name}\` is ${value}: the limits are ${Object.keys(LIMITS).join(', ')}, numbers above 0`);
      }
    }
    this.limits = { ...LIMITS, ...limits };
    this.#start = () => start(this.limits.memory);
  }

  /** Ends the worker and the call that runs. Without this, a program does not end. */
  close() {
    this.#isClosed = true;
    this.#end?.(new HostError('it was closed during the call'));
    this.#stop();
  }

  #stop() {
    this.#worker?.end();
    this.#worker = undefined;
  }

  /** Calls come one after another, so that none spends the time of another. */
  call(milliseconds, name, ...parameters) {
    const run = async () => {
      if (this.#isClosed) throw new HostError('it was closed: open another one');
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
      const late = setTimeout(() => {
        this.#end(new PolicyFailed(`${what} did not end within ${milliseconds} ms: raise its limit if it needs more`));
      }, milliseconds);
      this.#end = (error) => {
        clearTimeout(late);
        this.#end = undefined;
        this.#stop();
        fail(error);
      };
      worker.failed((cause) => this.#end?.(new PolicyFailed(`the worker ended: ${cause?.message ?? cause}`)));
      worker.listen(({ value, error }) => {
        clearTimeout(late);
        this.#end = undefined;
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
  async claimClause(settings, options = {}) {
    const { now, dialect } = checkOptions({ now: present(), dialect: 'sqlite', ...options });
    return this.call(this.limits.clause, 'claimClause', checked(settings), now, dialect);
  }

  /** A verdict for each queued job of a state, in the order of their ids; `hold` is undefined if it may be claimed. */
  async decide(settings, state, options = {}) {
    const { now } = checkOptions({ now: present(), ...options });
    if (!(state?.ends instanceof Uint32Array)) {
      throw new HostError('a policy decides about a state: pass what `snapshot` or `columns` returns');
    }
    const decisions = await this.call(this.limits.decide, 'decide', checked(settings), now, state);
    const jobs = decisions.map(({ job }) => job);
    if (jobs.length !== state.queued.length || jobs.some((job, at) => BigInt(job) !== state.queued[at])) {
      throw new PolicyFailed('`decide` answers for other jobs than those that are queued: the policy has a bug, or rounds ids beyond 2^53');
    }
    return decisions;
  }
}

/** The guard of the clause. */
export class GuardComponent extends Component {
  /** What may run instead of a clause. It throws `ClauseRefused` if nothing may. */
  async check(text, dialect = 'sqlite') {
    checkOptions({ dialect });
    if (typeof text !== 'string') throw new HostError("the guard reads a clause's text: pass `.text` of `claimClause`");
    return mark(await this.call(this.limits.clause, 'check', text, dialect));
  }

  /** The indexes that a database needs, so that a clause without an obstacle is fast. */
  indexes() {
    return this.call(this.limits.clause, 'indexes');
  }
}

function present() {
  return BigInt(Math.floor(Date.now() / 1000));
}

function checkOptions(options) {
  for (const [name, value] of Object.entries(options)) {
    if (name === 'dialect' && !DIALECTS.includes(value)) {
      throw new HostError(`there is no dialect \`${value}\`: write \`sqlite\` or \`postgres\``);
    }
    if (name === 'now' && BigInt.asIntN(64, typeof value === 'bigint' ? value : -1n) !== value) {
      throw new HostError(`\`now\` is ${value}: pass seconds since 1970 as a BigInt, such as \`0n\``);
    }
    if (name !== 'dialect' && name !== 'now') throw new HostError(`there is no option \`${name}\`: write \`{ now, dialect }\``);
  }
  return options;
}
