// The clauses that the guard has printed. Nothing else may run.

const guarded = new WeakSet();

/** Marks a clause as printed by the guard. */
export function mark(clause) {
  guarded.add(Object.freeze(clause));
  return clause;
}

export function isGuarded(clause) {
  return typeof clause === 'object' && clause !== null && guarded.has(clause);
}
