// Runs a serial gate's policy in Node.

export { LIMITS } from './component.mjs';
export * from './errors.mjs';
export { Guard, Policy } from './node.mjs';
export { claim, claimable, snapshot } from './queue.mjs';
export { settings, settingsOf } from './settings.mjs';
export { columns } from './snapshot.mjs';
