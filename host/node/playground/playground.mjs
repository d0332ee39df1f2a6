// The page: what is in its fields goes through the policy and the guard whenever it changes.
//
// The components are those of `serial-gate policy kit kit`, in this folder.

import { Guard, Policy, columns, settings } from '../src/browser.mjs';

const field = (id) => document.getElementById(id);

let policy;
let guard;

async function load() {
  try {
    policy = await Policy.fromUrl(new URL('kit/default.wasm', import.meta.url));
    guard = await Guard.fromUrl(new URL('kit/guard.wasm', import.meta.url));
  } catch (error) {
    throw new Error(`${error.message}: write the components with \`serial-gate policy kit playground/kit\``);
  }
}

/** Ids stay whole: the JSON's own digits, and not what JavaScript rounds them to. */
function parse(text) {
  return JSON.parse(text, (_, value, { source } = {}) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value);
}

/** Runs a step, and shows its error instead if it fails. */
async function shown(step) {
  try {
    await step();
    field('error').textContent = '';
  } catch (error) {
    field('error').textContent = error.message;
  }
}

async function decide() {
  field('verdicts').replaceChildren();
  const given = settings(parse(field('settings').value));
  const rows = parse(field('state').value);
  const [decisions, clause] = [
    await policy.decide(given, columns(rows)),
    await policy.claimClause(given),
  ];
  field('verdicts').replaceChildren(...decisions.map((decision) => line(decision, rows.jobs ?? [])));
  field('clause').value = clause.text;
  await check();
}

function line({ job, hold }, jobs) {
  const { repo, agent } = jobs.find(({ id }) => BigInt(id) === job) ?? {};
  const row = document.createElement('tr');
  row.className = hold ? 'hold' : 'claim';
  row.append(...[job, repo ?? '–', agent ?? '–', hold ? reasons(hold) : 'may be claimed'].map((text) => {
    const cell = document.createElement('td');
    cell.textContent = String(text);
    return cell;
  }));
  return row;
}

function reasons({ earlierTask, freeze, rule }) {
  const all = [
    earlierTask !== undefined && `waits for task ${earlierTask}`,
    freeze !== undefined && `the repo is frozen (freeze ${freeze})`,
    rule,
  ];
  return all.filter(Boolean).join('; ');
}

async function check() {
  field('runs').textContent = '';
  field('cost').textContent = '';
  const guarded = await guard.check(field('clause').value);
  field('runs').textContent = guarded.sql;
  field('cost').textContent = guarded.obstacle
    ? `A claim may be slow: ${guarded.obstacle}`
    : 'A claim costs the same however many jobs are held.';
}

field('settings').addEventListener('input', () => shown(decide));
field('state').addEventListener('input', () => shown(decide));
field('clause').addEventListener('input', () => shown(check));
field('policy').addEventListener('change', () => shown(async () => {
  const [file] = field('policy').files;
  const next = await Policy.fromBytes(new Uint8Array(await file.arrayBuffer()));
  const { name, version, summary } = await next.describe();
  policy.close();
  policy = next;
  field('described').textContent = `${name} ${version}: ${summary}`;
  await decide();
}));

await shown(async () => {
  await load();
  await decide();
});
document.body.dataset.ready = 'yes';
