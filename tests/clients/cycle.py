"""A task's whole life by the client that openapi-python-client generates, against a running service.

Called with the address of the service and a token of the role `operator`.
"""

import datetime
import sys

from serial_gate_client import AuthenticatedClient
from serial_gate_client.api.freezes import add_deploy, audit, freezes, unfreeze
from serial_gate_client.api.jobs import add_job, claim, fail, finish, heartbeat, jobs, requeue
from serial_gate_client.api.jobs import job as show_job
from serial_gate_client.api.policy import check, history, rollback, swap
from serial_gate_client.api.queue import queue
from serial_gate_client.api.tasks import add_task, change_task, tasks
from serial_gate_client.api.tasks import task as show_task
from serial_gate_client.models import (
    AddJob,
    AddTask,
    ChangeTask,
    Claim,
    Claimed,
    Deploy,
    DeployVerdict,
    Failure,
    Finish,
    Problem,
    Requeue,
    RollBack,
    Token,
    Unfreeze,
)


def main(address: str, token: str) -> None:
    client = AuthenticatedClient(base_url=address, token=token)

    def take(agent: str) -> Claimed:
        job = claim.sync(client=client, body=Claim(worker="builder-1", agent=agent, wait=5))
        assert isinstance(job, Claimed), job
        return job

    for item in ("A-1", "A-2"):
        task = AddTask(repo="alpha", work_item=item)
        assert add_task.sync_detailed(client=client, body=task).status_code == 201
    job = take("analyst")
    assert job.work_item_id == "A-1" and job.lease_until.tzinfo is not None

    # The second task waits.
    nothing = claim.sync_detailed(client=client, body=Claim(worker="builder-2", agent="analyst"))
    assert nothing.status_code == 204

    kept = heartbeat.sync(job.id, client=client, body=Token(token=job.token))
    assert kept.lease_until > datetime.datetime.now(datetime.timezone.utc)
    failed = fail.sync(job.id, client=client, body=Failure(token=job.token, error="no access"))
    assert failed.status == "failed"
    assert requeue.sync(job.id, client=client, body=Requeue(reason="granted")).status == "queued"
    job = take("analyst")
    assert job.attempt == 2
    finished = Finish(token=job.token, output="all is clear")
    assert finish.sync(job.id, client=client, body=finished).status == "done"
    assert show_job.sync(job.id, client=client).output.text == "all is clear"

    refused = add_job.sync(client=client, body=AddJob(task_id=99, agent="developer"))
    assert isinstance(refused, Problem) and refused.status == 404
    added = add_job.sync(client=client, body=AddJob(task="A-1", agent="developer"))
    job = take("developer")
    assert job.id == added.job_id
    # The reviewer sends the task back, and then a person ends it.
    sent = Finish(token=job.token, stage="rework")
    assert finish.sync(job.id, client=client, body=sent).stage == "rework"
    done = change_task.sync("A-1", client=client, body=ChangeTask(stage="done"))
    assert done.stage == "done" and done.since.tzinfo is not None
    assert show_task.sync("A-1", client=client).stage == "done"

    # Lists, a page at a time.
    page = tasks.sync(client=client, repo="alpha", limit=1)
    assert [task.work_item_id for task in page.tasks] == ["A-2"]
    page = tasks.sync(client=client, repo="alpha", limit=1, before=page.next_)
    assert [task.work_item_id for task in page.tasks] == ["A-1"]
    assert datetime.datetime.fromisoformat(page.tasks[0].since).tzinfo is not None
    done = jobs.sync(client=client, task="A-1", status="done").jobs
    assert {job.agent for job in done} == {"analyst", "developer"}

    # A bad deploy.
    deploy = Deploy(repo="alpha", verdict=DeployVerdict.DEGRADED, deploy="118")
    deployed = add_deploy.sync(client=client, body=deploy)
    state = queue.sync(client=client).serial_gate.per_repo["alpha"]
    assert state.frozen and state.waiting[0].work_item_id == "A-2"
    opened = Unfreeze(repo="alpha", freeze_id=deployed.freeze_id, reason="rolled back")
    assert len(freezes.sync(client=client, active=True).freezes) == 1
    assert unfreeze.sync(client=client, body=opened).cleared == 1
    assert take("analyst").work_item_id == "A-2"
    assert "unfreeze" in {entry.action for entry in audit.sync(client=client, repo="alpha")}

    # The built-in policy with other rules, and back.
    rules = '{"gated_agents":["analyst","planner"]}'
    assert check.sync(client=client, rules=rules).accepted
    swapped = swap.sync(client=client, rules=rules, reason="planners, too")
    back = rollback.sync(client=client, body=RollBack(reason="too early"))
    assert back.generation < swapped.generation
    assert history.sync(client=client)[0].at.tzinfo is not None


main(*sys.argv[1:])
