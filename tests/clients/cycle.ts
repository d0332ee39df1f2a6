// A task's whole life by the types that openapi-typescript generates, against a running service.
//
// Called with the address of the service and a token of the role `operator`.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./serial-gate.d.ts";

const [baseUrl, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

async function take(agent: string): Promise<components["schemas"]["Claimed"]> {
  const { data } = await client.POST("/v1/claim", { body: { worker: "builder-1", agent, wait: 5 } });
  assert(data);
  return data;
}

async function finish(job: components["schemas"]["Claimed"]) {
  const { data } = await client.POST("/v1/jobs/{id}/finish", {
    params: { path: { id: job.id } },
    body: { token: job.token },
  });
  assert.equal(data?.status, "done");
}

for (const work_item of ["B-1", "B-2"]) {
  const added = await client.POST("/v1/tasks", { body: { repo: "beta", work_item } });
  assert.equal(added.response.status, 201);
}
const first = await take("analyst");
assert.equal(first.work_item_id, "B-1");
assert(!Number.isNaN(Date.parse(first.lease_until)) && first.lease_until.endsWith("Z"));

// The second task waits.
const nothing = await client.POST("/v1/claim", { body: { worker: "builder-2", agent: "analyst" } });
assert.equal(nothing.response.status, 204);

await finish(first);
const task_id = first.task_id!;
const refused = await client.POST("/v1/jobs", { body: { task_id: 99, agent: "developer" } });
assert.equal(refused.error?.status, 404);
await client.POST("/v1/jobs", { body: { task_id, agent: "developer" } });
await finish(await take("developer"));
const done = await client.PATCH("/v1/tasks/{task}", {
  params: { path: { task: "B-1" } },
  body: { stage: "done" },
});
assert.equal(done.data?.stage, "done");

// Lists, a page at a time.
const query = { repo: "beta", limit: 1 };
const newest = await client.GET("/v1/tasks", { params: { query } });
assert.deepEqual(newest.data?.tasks.map((task) => task.work_item_id), ["B-2"]);
const older = await client.GET("/v1/tasks", {
  params: { query: { ...query, before: newest.data?.next! } },
});
assert.deepEqual(older.data?.tasks.map((task) => task.work_item_id), ["B-1"]);
const jobs = await client.GET("/v1/jobs", { params: { query: { task: "B-1", status: "done" } } });
assert.deepEqual(jobs.data?.jobs.map((job) => job.agent).sort(), ["analyst", "developer"]);

// A bad deploy.
const deployed = await client.POST("/v1/deploys", {
  body: { repo: "beta", verdict: "degraded", deploy: "119" },
});
const queue = await client.GET("/queue");
assert.equal(queue.data?.serial_gate.per_repo.beta?.frozen, true);
const opened = await client.POST("/serial-gate/unfreeze", {
  body: { repo: "beta", freeze_id: deployed.data?.freeze_id, reason: "rolled back" },
});
assert.equal(opened.data?.cleared, 1);
assert.equal((await take("analyst")).work_item_id, "B-2");
