// Errors on their way from a worker to its host: a message keeps no class.

import * as errors from './errors.mjs';

/** An error for a message. Whatever is not this package's own is a failure of the policy. */
export function packed(error) {
  if (!(error instanceof errors.HostError)) return { name: 'PolicyFailed', fields: { message: String(error?.message ?? error) } };
  return { name: error.name, fields: { ...error, message: error.message } };
}

/** The same error again. */
export function unpacked({ name, fields }) {
  const error = Object.create(errors[name].prototype);
  Error.captureStackTrace?.(error);
  return Object.assign(error, { name }, fields);
}
