"""What can go wrong, each with what to do about it. None of these lets a job through."""


class HostError(Exception):
    """Any error of this package."""


class InvalidSettings(HostError):
    """The settings have a missing, unknown or mistyped key. In the contract `false` is the open
    state, so nothing is guessed."""


class InvalidRow(HostError):
    """A row of the queue has a value that the contract has no place for."""


class InvalidPolicy(HostError):
    """The file is not a component, or was built for another contract."""


class PolicyFailed(HostError):
    """A call trapped, or ran out of its time or memory. Go on with the last clause that was good
    for the same settings."""


class PolicyAnswered(HostError):
    """The policy's own error: `invalid-rules` or `invalid-snapshot`, with its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"the policy answers `{kind}`: {text}")
        self.kind = kind
        self.text = text


class ClauseRefused(HostError):
    """The guard refuses a clause: no part of it may run."""

    def __init__(self, construct: str, line: int, column: int, what: str, remedy: str) -> None:
        super().__init__(f"[{construct}] {what} at line {line}, column {column}: {remedy}")
        self.construct = construct
        self.line = line
        self.column = column
        self.what = what
        self.remedy = remedy
