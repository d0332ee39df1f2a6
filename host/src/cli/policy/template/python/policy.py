"""A serial gate's policy: a task waits while an earlier task of its repo is in review, and while its
repo is frozen.

    componentize-py --wit-path wit --world policy componentize --stub-wasi policy -o {file}

The rule is written twice: `reason` decides about one job, `claim_clause` is the same rule as a
condition for the database. The two must let the same jobs through in every state; `serial-gate policy
check` tests this. The manual is `wit/serial-gate.wit`.
"""

from wit_world.exports.serial_gate import (
    Clause,
    Decision,
    Description,
    Dialect,
    Hold,
    Jobs,
    Settings,
    Snapshot,
    Symbols,
    Verdict_Claim,
    Verdict_Hold,
)

IN_REVIEW = """EXISTS (SELECT 1 FROM tasks t
    WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage = 'review')"""
FROZEN = """EXISTS (SELECT 1 FROM repo_freeze f
    WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)"""


class SerialGate:
    def describe(self) -> Description:
        return Description(
            name="{name}",
            version="0.1.0",
            summary="a task waits while an earlier task of its repo is in review",
        )

    def claim_clause(self, settings: Settings, now: int, dialect: Dialect) -> Clause:
        reasons = f"({IN_REVIEW} OR {FROZEN})" if settings.freeze_enabled else IN_REVIEW
        text = f"AND NOT (jobs.agent = 'analyst' AND {reasons})" if settings.enabled else ""
        notes = []
        if settings.rules is not None or settings.repos.strip():
            notes.append("this policy reads neither `repos` nor `rules`")
        return Clause(text=text, notes=notes, valid_until=None)

    def decide(self, settings: Settings, now: int, snapshot: Snapshot) -> list[Decision]:
        state = State(settings, snapshot)
        jobs = snapshot.jobs
        return [
            Decision(job=job, verdict=state.verdict(jobs, row))
            for row, job in enumerate(jobs.id)
            if state.text(jobs.status[row]) == "queued"
        ]


class State:
    """The rows that hold a job, by the symbol of their repo. Rows are in the order of their ids."""

    def __init__(self, settings: Settings, snapshot: Snapshot) -> None:
        self.enabled = settings.enabled
        self.texts = texts(snapshot.symbols)
        tasks, freezes = snapshot.tasks, snapshot.freezes
        self.in_review: dict[int, list[int]] = {}
        for task, repo, stage in zip(tasks.id, tasks.repo, tasks.stage):
            if self.text(stage) == "review":
                self.in_review.setdefault(repo, []).append(task)
        self.newest_freeze: dict[int, int] = {}
        if settings.freeze_enabled:
            for freeze, repo, cleared in zip(freezes.id, freezes.repo, freezes.cleared_at):
                if cleared == NULL:
                    self.newest_freeze[repo] = freeze

    def text(self, symbol: int) -> str | None:
        return self.texts[symbol]

    def verdict(self, jobs: Jobs, row: int) -> Verdict_Claim | Verdict_Hold:
        hold = self.reason(jobs, row)
        return Verdict_Claim() if hold is None else Verdict_Hold(hold)

    def reason(self, jobs: Jobs, row: int) -> Hold | None:
        """Why the queued job of a row may not be claimed now, if there is a reason."""
        # A missing agent is NULL. In the clause, `NOT (NULL)` is not true, so the job is held, too.
        gated = self.text(jobs.agent[row]) in ("analyst", None)
        # NULL equals nothing: a job without a repo is never held.
        repo = jobs.repo[row]
        if not self.enabled or not gated or repo == NULL:
            return None
        earlier = (task for task in self.in_review.get(repo, []) if comes_before(task, jobs, row))
        earlier_task, freeze = next(earlier, None), self.newest_freeze.get(repo)
        if earlier_task is None and freeze is None:
            return None
        return Hold(earlier_task=earlier_task, freeze=freeze, rule=None)


def comes_before(task: int, jobs: Jobs, row: int) -> bool:
    """Whether a task comes before a job. A value that is no task's id has a place in the order, too:
    see `task-id-kind`."""
    kind = jobs.task_id_kind[row]
    return kind == 3 or (kind in (1, 2) and task < jobs.task_id[row])


# A missing value in a column.
NULL = 0


def texts(symbols: Symbols) -> list[str | None]:
    """The text of each symbol, by its number. `ends` counts bytes of UTF-8."""
    whole = symbols.text.encode()
    ends = symbols.ends
    return [None, *(whole[start:end].decode() for start, end in zip(ends, ends[1:]))]
