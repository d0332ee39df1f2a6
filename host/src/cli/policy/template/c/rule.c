// A serial gate's policy: a task waits while an earlier task of its repo is in review, and while its repo is frozen.
//
//   sh build.sh
//
// The rule is written twice: `holds` decides about one job, `exports_gate_claim_clause` is the same rule as a condition
// for the database. The two must let the same jobs through in every state; `serial-gate policy check` tests this. The
// manual is `wit/serial-gate.wit`, and `bindings/policy.h` has it, too. Those files free what is returned; a function
// frees its own arguments.

#include <stdlib.h>
#include <string.h>

#include "bindings/policy.h"

typedef exports_gate_settings_t Settings;
typedef exports_gate_snapshot_t Snapshot;
typedef exports_gate_symbols_t Symbols;
typedef exports_gate_symbol_t Symbol;
typedef exports_gate_list_symbol_t Column;
typedef exports_gate_hold_t Hold;
typedef exports_gate_policy_error_t Error;

// A missing value in a column.
static const Symbol MISSING = 0;

#define IN_REVIEW \
    "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage = 'review')"
#define FROZEN "EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)"

void exports_gate_describe(exports_gate_description_t *description) {
    policy_string_dup(&description->name, "{name}");
    policy_string_dup(&description->version, "0.1.0");
    policy_string_dup(&description->summary, "a task waits while an earlier task of its repo is in review");
}

// Zeroed memory. Without any, the call ends: the host sees that the policy failed, and goes on without it.
static void *allocated(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL && count > 0) abort();
    return memory;
}

static bool is_blank(const policy_string_t *text) {
    for (size_t at = 0; at < text->len; at++) {
        if (memchr(" \t\n\v\f\r", text->ptr[at], 6) == NULL) return false;
    }
    return true;
}

bool exports_gate_claim_clause(Settings *settings, int64_t now, uint8_t dialect, exports_gate_clause_t *clause,
                               Error *error) {
    (void)now, (void)dialect, (void)error;
    const char *text = "";
    if (settings->enabled && settings->freeze_enabled) {
        text = "AND NOT (jobs.agent = 'analyst' AND (" IN_REVIEW " OR " FROZEN "))";
    } else if (settings->enabled) {
        text = "AND NOT (jobs.agent = 'analyst' AND " IN_REVIEW ")";
    }
    memset(clause, 0, sizeof *clause);
    policy_string_dup(&clause->text, text);
    if (settings->rules.is_some || !is_blank(&settings->repos)) {
        clause->notes.ptr = allocated(1, sizeof *clause->notes.ptr);
        clause->notes.len = 1;
        policy_string_dup(&clause->notes.ptr[0], "this policy reads neither `repos` nor `rules`");
    }
    exports_gate_settings_free(settings);
    return true;
}

static bool fits(const Column *column, size_t rows, const Symbols *symbols) {
    if (column->len != rows) return false;
    for (size_t row = 0; row < rows; row++) {
        if (column->ptr[row] >= symbols->ends.len) return false;
    }
    return true;
}

// What breaks the contract in a snapshot, or NULL. C checks no index, so the rest counts on this: the columns that it
// reads have a value for each row, and each symbol has a text.
static const char *fault_of(const Snapshot *state) {
    const Symbols *symbols = &state->symbols;
    if (symbols->ends.len == 0 || symbols->ends.ptr[0] != 0) return "`ends` does not begin with 0";
    for (size_t symbol = 1; symbol < symbols->ends.len; symbol++) {
        uint32_t start = symbols->ends.ptr[symbol - 1], end = symbols->ends.ptr[symbol];
        if (end < start || end > symbols->text.len) return "a text in `ends` is not within `text`";
    }
    size_t tasks = state->tasks.id.len, jobs = state->jobs.id.len, freezes = state->freezes.id.len;
    bool complete = fits(&state->tasks.repo, tasks, symbols) && fits(&state->tasks.stage, tasks, symbols) &&
                    fits(&state->jobs.repo, jobs, symbols) && fits(&state->jobs.agent, jobs, symbols) &&
                    fits(&state->jobs.status, jobs, symbols) && state->jobs.task_id.len == jobs &&
                    state->jobs.task_id_kind.len == jobs && fits(&state->freezes.repo, freezes, symbols) &&
                    fits(&state->freezes.cleared_at, freezes, symbols);
    return complete ? NULL : "a column is too short or too long, or has a symbol without a text";
}

// The symbol of a text: the snapshot has each text once. If no row has it, a number that no symbol has.
static Symbol symbol_of(const Symbols *symbols, const char *text) {
    size_t length = strlen(text);
    for (size_t symbol = 1; symbol < symbols->ends.len; symbol++) {
        uint32_t start = symbols->ends.ptr[symbol - 1], end = symbols->ends.ptr[symbol];
        if (end - start == length && memcmp(symbols->text.ptr + start, text, length) == 0) return symbol;
    }
    return UINT32_MAX;
}

// Whether a task comes before a job. A value that is no task's id has a place in the order, too: see `task-id-kind`.
static bool comes_before(int64_t task, const exports_gate_jobs_t *jobs, size_t row) {
    switch (jobs->task_id_kind.ptr[row]) {
        case 0: return false;
        case 1:
        case 2: return task < jobs->task_id.ptr[row];
        default: return true;
    }
}

// The texts that the rule reads.
typedef struct {
    Symbol queued, analyst, review;
} Texts;

// Whether the queued job of a row may not be claimed now, and why.
static bool holds(const Settings *settings, const Snapshot *state, const Texts *texts, size_t row, Hold *hold) {
    const exports_gate_jobs_t *jobs = &state->jobs;
    const exports_gate_tasks_t *tasks = &state->tasks;
    const exports_gate_freezes_t *freezes = &state->freezes;
    // A missing agent is NULL. In the clause, `NOT (NULL)` is not true, so the job is held, too.
    Symbol agent = jobs->agent.ptr[row];
    bool is_gated = agent == MISSING || agent == texts->analyst;
    // NULL equals nothing: a job without a repo is never held.
    Symbol repo = jobs->repo.ptr[row];
    if (!settings->enabled || !is_gated || repo == MISSING) return false;
    // Rows are in the order of ids: wait for the first task, and name the newest freeze.
    for (size_t task = 0; task < tasks->id.len && !hold->earlier_task.is_some; task++) {
        if (tasks->repo.ptr[task] != repo || tasks->stage.ptr[task] != texts->review) continue;
        if (!comes_before(tasks->id.ptr[task], jobs, row)) continue;
        hold->earlier_task = (policy_option_s64_t){.is_some = true, .val = tasks->id.ptr[task]};
    }
    for (size_t freeze = freezes->id.len; settings->freeze_enabled && freeze-- > 0 && !hold->freeze.is_some;) {
        if (freezes->repo.ptr[freeze] != repo || freezes->cleared_at.ptr[freeze] != MISSING) continue;
        hold->freeze = (policy_option_s64_t){.is_some = true, .val = freezes->id.ptr[freeze]};
    }
    return hold->earlier_task.is_some || hold->freeze.is_some;
}

static void decide(const Settings *settings, const Snapshot *state, exports_gate_list_decision_t *decisions) {
    Texts texts = {
        .queued = symbol_of(&state->symbols, "queued"),
        .analyst = symbol_of(&state->symbols, "analyst"),
        .review = symbol_of(&state->symbols, "review"),
    };
    size_t rows = state->jobs.id.len;
    decisions->ptr = allocated(rows, sizeof *decisions->ptr);
    decisions->len = 0;
    for (size_t row = 0; row < rows; row++) {
        if (state->jobs.status.ptr[row] != texts.queued) continue;
        exports_gate_decision_t *decision = &decisions->ptr[decisions->len++];
        bool is_held = holds(settings, state, &texts, row, &decision->verdict.val.hold);
        decision->job = state->jobs.id.ptr[row];
        decision->verdict.tag = is_held ? EXPORTS_GATE_VERDICT_HOLD : EXPORTS_GATE_VERDICT_CLAIM;
    }
}

bool exports_gate_decide(Settings *settings, int64_t now, Snapshot *state, exports_gate_list_decision_t *decisions,
                         Error *error) {
    (void)now;
    const char *fault = fault_of(state);
    if (fault == NULL) {
        decide(settings, state, decisions);
    } else {
        error->tag = EXPORTS_GATE_POLICY_ERROR_INVALID_SNAPSHOT;
        policy_string_dup(&error->val.invalid_snapshot, fault);
    }
    exports_gate_settings_free(settings);
    exports_gate_snapshot_free(state);
    return fault == NULL;
}

// The bindings ask for this, to link an object file with the contract's types. `build.sh` adds those types itself.
void __component_type_object_force_link_policy(void) {}
