// A serial gate's policy: a task waits while an earlier task of its repo is in review, and while its repo is frozen.
//
//   npm run build
//
// The rule is written twice: `reason` decides about one job, `claimClause` is the same rule as a condition for the
// database. The two must let the same jobs through in every state; `serial-gate policy check` tests this. The manual is
// `wit/serial-gate.wit`.

// An id is a number here, which is exact up to 2^53: this policy is for queues whose ids stay below.
type Id = number;
// A value of a text column: 0 is NULL, and any other number is the place of its text.
type Symbol = number;

interface Settings { enabled: boolean; repos: string; freezeEnabled: boolean; rules: string | null | undefined }
interface Symbols { text: string; ends: ArrayLike<number> }
interface Tasks { id: ArrayLike<Id>; repo: ArrayLike<Symbol>; stage: ArrayLike<Symbol> }
interface Jobs {
  id: ArrayLike<Id>; taskId: ArrayLike<Id>; taskIdKind: ArrayLike<number>;
  repo: ArrayLike<Symbol>; agent: ArrayLike<Symbol>; status: ArrayLike<Symbol>;
}
interface Freezes { id: ArrayLike<Id>; repo: ArrayLike<Symbol>; clearedAt: ArrayLike<Symbol> }
interface Snapshot { symbols: Symbols; tasks: Tasks; jobs: Jobs; freezes: Freezes }
interface Hold { earlierTask?: Id; freeze?: Id; rule?: string }
type Verdict = { tag: 'claim' } | { tag: 'hold'; val: Hold };

const NULL = 0;
const IN_REVIEW = `EXISTS (SELECT 1 FROM tasks t
    WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage = 'review')`;
const FROZEN = `EXISTS (SELECT 1 FROM repo_freeze f
    WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)`;

export const serialGate = {
  describe() {
    const summary = 'a task waits while an earlier task of its repo is in review';
    return { name: '{name}', version: '0.1.0', summary };
  },

  claimClause(settings: Settings) {
    const reasons = settings.freezeEnabled ? `(${IN_REVIEW} OR ${FROZEN})` : IN_REVIEW;
    const text = settings.enabled ? `AND NOT (jobs.agent = 'analyst' AND ${reasons})` : '';
    const isUnread = settings.rules != null || settings.repos.trim() !== '';
    const notes = isUnread ? ['this policy reads neither `repos` nor `rules`'] : [];
    return { text, notes, validUntil: undefined };
  },

  decide(settings: Settings, _now: unknown, snapshot: Snapshot) {
    const state = read(settings, snapshot);
    const { jobs } = snapshot;
    const rows = Array.from(jobs.id, (job, row) => ({ job, row }));
    return rows
      .filter(({ row }) => state.texts[jobs.status[row]] === 'queued')
      .map(({ job, row }) => ({ job, verdict: verdict(reason(settings, state, jobs, row)) }));
  },
};

// The rows that hold a job, by the symbol of their repo. Rows are in the order of their ids.
interface State { texts: (string | null)[]; inReview: Map<Symbol, Id[]>; newestFreeze: Map<Symbol, Id> }

function read(settings: Settings, { symbols, tasks, freezes }: Snapshot): State {
  const state: State = { texts: texts(symbols), inReview: new Map(), newestFreeze: new Map() };
  for (let row = 0; row < tasks.id.length; row++) {
    if (state.texts[tasks.stage[row]] !== 'review') continue;
    const repo = tasks.repo[row];
    const before = state.inReview.get(repo);
    if (before) before.push(tasks.id[row]);
    else state.inReview.set(repo, [tasks.id[row]]);
  }
  for (let row = 0; settings.freezeEnabled && row < freezes.id.length; row++) {
    if (freezes.clearedAt[row] === NULL) state.newestFreeze.set(freezes.repo[row], freezes.id[row]);
  }
  return state;
}

// Why the queued job of a row may not be claimed now, if there is a reason.
function reason(settings: Settings, state: State, jobs: Jobs, row: number): Hold | undefined {
  // A missing agent is NULL. In the clause, `NOT (NULL)` is not true, so the job is held, too.
  const agent = state.texts[jobs.agent[row]];
  // NULL equals nothing: a job without a repo is never held.
  const repo = jobs.repo[row];
  if (!settings.enabled || (agent !== 'analyst' && agent !== null) || repo === NULL) return undefined;
  const earlierTask = state.inReview.get(repo)?.find((task) => comesBefore(task, jobs, row));
  const freeze = state.newestFreeze.get(repo);
  return earlierTask === undefined && freeze === undefined ? undefined : { earlierTask, freeze };
}

// Whether a task comes before a job. A value that is no task's id has a place in the order, too: see `task-id-kind`.
function comesBefore(task: Id, jobs: Jobs, row: number): boolean {
  const kind = jobs.taskIdKind[row];
  return kind === 3 || ((kind === 1 || kind === 2) && task < jobs.taskId[row]);
}

function verdict(hold: Hold | undefined): Verdict {
  return hold ? { tag: 'hold', val: hold } : { tag: 'claim' };
}

// The text of each symbol, by its number. `ends` counts bytes of UTF-8, which a string of JavaScript does not have.
function texts({ text, ends }: Symbols): (string | null)[] {
  const found: (string | null)[] = [null];
  let [byte, at] = [0, 0];
  for (let symbol = 1; symbol < ends.length; symbol++) {
    const start = at;
    while (byte < ends[symbol]) {
      const point = text.codePointAt(at) ?? 0;
      byte += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      at += point < 0x10000 ? 1 : 2;
    }
    found.push(text.slice(start, at));
  }
  return found;
}
