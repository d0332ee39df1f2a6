"""The components under test, and a queue."""

import os
import sqlite3
from pathlib import Path

import pytest

from serial_gate_host import Guard, Policy
from serial_gate_host.conform import SCHEMA

FIXTURES = Path(__file__).parents[3] / "tests" / "fixtures"


def component(variable: str) -> Path:
    """A built component, whose path is in the environment."""
    path = os.environ.get(variable)
    assert path, f"set `{variable}` to a built component: see CONTRIBUTING.md"
    return Path(path)


@pytest.fixture(scope="session")
def policy_path() -> Path:
    return component("SERIAL_GATE_TEST_POLICY")


@pytest.fixture(scope="session")
def guard_path() -> Path:
    return component("SERIAL_GATE_TEST_GUARD")


@pytest.fixture(scope="session", params=[True, False], ids=["core module", "component API"])
def policy(request: pytest.FixtureRequest, policy_path: Path) -> Policy:
    """The default policy, called in both ways."""
    return Policy.from_file(policy_path, fast=request.param)


@pytest.fixture(scope="session")
def guard(guard_path: Path) -> Guard:
    return Guard.from_file(guard_path)


@pytest.fixture
def queue() -> sqlite3.Connection:
    """Two tasks of one repo, each with its first job."""
    queue = sqlite3.connect(":memory:")
    queue.executescript(SCHEMA)
    queue.executescript(
        """INSERT INTO tasks (id, work_item_id, repo, stage)
               VALUES (1, 'A-1', 'alpha', 'analysis'), (2, 'A-2', 'alpha', 'analysis');
           INSERT INTO jobs (task_id, repo, agent)
               VALUES (1, 'alpha', 'analyst'), (2, 'alpha', 'analyst')"""
    )
    return queue
