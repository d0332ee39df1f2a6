// What can go wrong, each with what to do about it. None of these lets a job through.

/** Any error of this package. */
export class HostError extends Error {
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** The settings have a missing, unknown or mistyped key. */
export class InvalidSettings extends HostError {}

/** A row of the queue has a value that the contract has no place for. */
export class InvalidRow extends HostError {}

/** The file is not a component, or this host cannot run it. */
export class InvalidPolicy extends HostError {}

/** A call trapped, or ran out of its time or memory: go on with the last clause that was good. */
export class PolicyFailed extends HostError {}

/** The policy's own error: its `kind` is `invalid-rules` or `invalid-snapshot`. */
export class PolicyAnswered extends HostError {
  constructor(kind, text) {
    super(`the policy answers \`${kind}\`: ${text}`);
    this.kind = kind;
    this.text = text;
  }
}

/** The guard refuses a clause: no part of it may run. */
export class ClauseRefused extends HostError {
  constructor({ construct, line, column, what, remedy }) {
    super(`[${construct}] ${what} at line ${line}, column ${column}: ${remedy}`);
    Object.assign(this, { construct, line, column, what, remedy });
  }
}
