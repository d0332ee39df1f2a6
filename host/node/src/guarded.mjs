// The clauses that the guard has printed. Nothing else may run.

const guarded = new WeakSet();

/** Notes that the guard has printed a clause. */
export function guard(clause) {
  guarded.add(Object.freeze(clause));
  return clause;
}

export function isGuarded(clause) {
  return typeof clause === 'object' && clause !== null && guarded.has(clause);
}
