// What an operator has set, checked before a policy sees it: a key that is missing or misspelt would
// reach the policy as `false`, and in the contract `false` is the open state.

import { InvalidSettings } from './errors.mjs';

const KEYS = ['enabled', 'repos', 'freezeEnabled', 'rules'];

/** The settings with these keys, of which only `rules` may be left out. */
export function settings(given = { enabled: true, repos: '', freezeEnabled: true }) {
  if (typeof given !== 'object' || given === null) throw new InvalidSettings('the settings are an object with the keys `enabled`, `repos` and `freezeEnabled`');
  const unknown = Object.keys(given).filter((key) => !KEYS.includes(key));
  const missing = KEYS.filter((key) => key !== 'rules' && !Object.hasOwn(given, key));
  if (unknown.length > 0 || missing.length > 0) {
    const wrong = [...unknown.map((key) => `\`${key}\` is unknown`), ...missing.map((key) => `\`${key}\` is missing`)];
    throw new InvalidSettings(`${wrong.join(', ')}: the keys of the settings are ${KEYS.map((key) => `\`${key}\``).join(', ')}`);
  }
  for (const key of ['enabled', 'freezeEnabled']) {
    if (typeof given[key] !== 'boolean') {
      throw new InvalidSettings(`\`${key}\` is ${JSON.stringify(given[key])}: write \`true\` or \`false\``);
    }
  }
  if (typeof given.repos !== 'string') {
    throw new InvalidSettings(`\`repos\` is ${JSON.stringify(given.repos)}: write a string, empty for all repos`);
  }
  if (given.rules !== undefined && given.rules !== null) checkRules(given.rules);
  return Object.freeze({ ...given, rules: given.rules ?? undefined });
}

function checkRules(rules) {
  if (typeof rules !== 'string') {
    throw new InvalidSettings('`rules` is not a string: pass the JSON object as `JSON.stringify` writes it');
  }
  let value;
  try {
    value = JSON.parse(rules);
  } catch (cause) {
    throw new InvalidSettings(`\`rules\` is not JSON: ${cause.message}`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new InvalidSettings('`rules` is not a JSON object: write `{…}`, or none at all');
  }
}

/** The settings as this project writes them, with `freeze_enabled`: `serial-gate policy settings --json`, or a case. */
export function settingsOf({ enabled, repos, freeze_enabled: freezeEnabled, rules, ...unknown }) {
  return settings({ ...unknown, enabled, repos, freezeEnabled, rules });
}
