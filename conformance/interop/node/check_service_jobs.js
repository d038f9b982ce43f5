/** Jobs through the service SDK, with devices at the other end (jobs.md § 3 to § 13). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, codeOf, followJob, newId, pagesOf, refused } from "./service.js";

/** What a job may take here, in seconds: no job needs it, and every job ends by it. */
const BUDGET = 60;

check(
  "A twin job patches the devices its condition selects, and no other, once each",
  async function twinJob(hub) {
    const { registry, jobs, ids, where } = await withFleet(hub, 3);
    const [other] = await service.register(registry, 1, { site: "elsewhere" });
    const jobId = newId("job");
    const patch = { etag: "*", tags: { seen: 1 }, properties: { desired: { rpm: 900 } } };
    const made = jobs.scheduleTwinUpdate(jobId, where, patch, new Date(), BUDGET);
    const created = { jobId, type: "scheduleUpdateTwin", status: "queued" };
    device.equal("answer", (await made).jobStatus, created);
    const job = await followJob(jobs, jobId);
    assert.deepEqual([job.status, job.queryCondition], ["completed", where]);
    assert.equal(job.maxExecutionTimeInSeconds, BUDGET);
    device.equal("statistics", job.deviceJobStatistics, statistics(3, { succeededCount: 3 }));
    for (const id of ids) {
      const { tags, properties } = await body(registry.getTwin(id));
      assert.deepEqual([tags.seen, properties.desired.rpm], [1, 900]);
      assert.equal(properties.desired.$version, 2);
    }
    assert.equal((await body(registry.getTwin(other))).properties.desired.$version, 1);
  },
);

check(
  "A connected device hears of a twin job's patch, an absent one finds it on its return",
  async function heard(hub) {
    const { registry, jobs } = await withFleet(hub, 0);
    const [here, away] = [hub.newDevice(), hub.newDevice()];
    const site = newId("site");
    for (const { id } of [here, away]) await registry.updateTwin(id, { tags: { site } }, "*");
    const listener = await device.connected(hub, here.connectionString);
    const { desired } = await device.watchDesired(listener, here.id);
    const patch = { etag: "*", properties: { desired: { mode: "eco", old: null } } };
    const job = await runTwinJob(jobs, `tags.site = '${site}'`, patch);
    assert.equal(job.status, "completed");
    device.equal("notification", await desired.take(), { mode: "eco", old: null, $version: 2 });
    const client = await device.connected(hub, away.connectionString);
    device.equal("desired", (await device.read(client)).desired, { mode: "eco", $version: 2 });
  },
);

check(
  "A job without start and budget, and one with a callback, run at once",
  async function defaults(hub) {
    const { registry, jobs, ids, where } = await withFleet(hub, 1);
    const patch = (key) => ({ etag: "*", tags: { [key]: true } });
    const [plain, called] = [newId("job"), newId("job")];
    await jobs.scheduleTwinUpdate(plain, where, patch("plain"));
    assert.equal((await followJob(jobs, plain)).status, "completed");
    const [failure] = await new Promise((resolve) =>
      jobs.scheduleTwinUpdate(called, where, patch("called"), (...given) => resolve(given)),
    );
    assert.equal(failure, null);
    const job = await followJob(jobs, called);
    assert.deepEqual([job.status, job.maxExecutionTimeInSeconds], ["completed", 3600]);
    const { tags } = await body(registry.getTwin(ids[0]));
    assert.deepEqual([tags.plain, tags.called], [true, true]);
  },
);

check(
  "A method job calls each device, and its rows keep what each device answered",
  async function methodJob(hub) {
    const { jobs, ids, where, registry } = await withMethods(hub, [200, 404]);
    const jobId = newId("job");
    const method = { methodName: "count", payload: { from: 3 }, responseTimeoutInSeconds: 10 };
    const made = await jobs.scheduleDeviceMethod(jobId, where, method, new Date(), BUDGET);
    const created = { jobId, type: "scheduleDeviceMethod", status: "queued" };
    device.equal("answer", made.jobStatus, created);
    const job = await followJob(jobs, jobId);
    assert.equal(job.status, "completed");
    // An answer is a success, whatever its status.
    device.equal("statistics", job.deviceJobStatistics, statistics(2, { succeededCount: 2 }));
    const rows = await rowsOf(registry, jobId);
    const answers = rows.map((row) => [row.deviceId, row.outcome.deviceMethodResponse]);
    const answer = (status) => ({ status, payload: { from: 3 } });
    device.equal("answers", answers, [[ids[0], answer(200)], [ids[1], answer(404)]]);
    device.equal("statuses", statusesOf(rows), ["completed", "completed"]);
  },
);

check(
  "A device that stays away fails its row at the deadline, and the job is completed",
  async function staysAway(hub) {
    const { registry, jobs, ids, where } = await withFleet(hub, 1);
    const jobId = newId("job");
    await jobs.scheduleDeviceMethod(jobId, where, { methodName: "count" }, new Date(), 1);
    const job = await followJob(jobs, jobId);
    assert.equal(job.status, "completed");
    device.equal("statistics", job.deviceJobStatistics, statistics(1, { failedCount: 1 }));
    const [row] = await rowsOf(registry, jobId);
    assert.deepEqual([row.deviceId, row.status], [ids[0], "failed"]);
    assert.equal(row.error.code, "JobRunPreconditionFailed");
  },
);

check(
  "A device that comes before the deadline is called then; until then the job cannot be cancelled",
  async function comesLater(hub) {
    const me = hub.newDevice();
    const { registry, jobs } = await withFleet(hub, 0);
    const jobId = newId("job");
    const where = `deviceId = '${me.id}'`;
    await jobs.scheduleDeviceMethod(jobId, where, { methodName: "count" }, new Date(), BUDGET);
    await reaches(jobs, jobId, "running");
    const error = await refused("Error", 405, jobs.cancelJob(jobId));
    assert.equal(codeOf(error), "OperationNotAllowedInCurrentState");
    assert.equal((await read(jobs, jobId)).status, "running");
    const client = await device.connected(hub, me.connectionString);
    await answering(client, me.id, 200);
    assert.equal((await followJob(jobs, jobId)).status, "completed");
    device.equal("statuses", statusesOf(await rowsOf(registry, jobId)), ["completed"]);
  },
);

check(
  "A job of the future is scheduled, can be cancelled, and then never touches a device",
  async function cancelled(hub) {
    const { registry, jobs, ids, where } = await withFleet(hub, 1);
    const jobId = newId("job");
    const inAnHour = new Date(Date.now() + 3_600_000);
    const patch = { etag: "*", tags: { late: true } };
    const made = await jobs.scheduleTwinUpdate(jobId, where, patch, inAnHour, BUDGET);
    assert.equal(made.jobStatus.status, "queued");
    await reaches(jobs, jobId, "scheduled");
    assert.equal((await jobs.cancelJob(jobId)).jobStatus.status, "cancelled");
    assert.equal((await read(jobs, jobId)).status, "cancelled");
    const listed = await pagesOf(jobs.createQuery("scheduleUpdateTwin", "cancelled"));
    assert.ok(listed.rows.some((job) => job.jobId === jobId));
    await refused("Error", 405, jobs.cancelJob(jobId));
    assert.equal((await body(registry.getTwin(ids[0]))).tags.late, undefined);
  },
);

check("A job starts at its time and not before", async function startTime(hub) {
  const { registry, jobs, ids, where } = await withFleet(hub, 1);
  const jobId = newId("job");
  const start = new Date(Date.now() + 1500);
  const patch = { etag: "*", tags: { started: true } };
  await jobs.scheduleTwinUpdate(jobId, where, patch, start, BUDGET);
  const early = await body(registry.getTwin(ids[0]));
  assert.ok(early.tags.started === undefined || Date.now() >= start);
  const job = await followJob(jobs, jobId);
  assert.equal(job.status, "completed");
  assert.equal(Date.parse(job.startTime), start.getTime());
  assert.ok(Date.parse(job.endTime) >= start.getTime());
  assert.equal((await body(registry.getTwin(ids[0]))).tags.started, true);
});

check("An id is used once; unknown ids give 404; bad ids ArgumentError", async function ids(hub) {
  const { jobs, where } = await withFleet(hub, 1);
  const jobId = newId("job");
  const patch = { etag: "*", tags: { n: 1 } };
  const schedule = (id) => jobs.scheduleTwinUpdate(id, where, patch, new Date(), BUDGET);
  await schedule(jobId);
  const before = await followJob(jobs, jobId);
  // The SDK has one class for every 409.
  const again = await refused("DeviceAlreadyExistsError", 409, schedule(jobId));
  assert.equal(codeOf(again), "JobAlreadyExists");
  device.equal("job", await read(jobs, jobId), before);
  for (const call of ["getJob", "cancelJob"]) {
    assert.equal(codeOf(await refused("Error", 404, jobs[call](newId("none")))), "JobNotFound");
  }
  await schedule(`${"j".repeat(60)}-064`);
  for (const bad of ["j".repeat(65), "a b"]) await refused("ArgumentError", 400, schedule(bad));
});

check(
  "A condition that does not parse is taken, and fails the job with a reason",
  async function badCondition(hub) {
    const { jobs } = await withFleet(hub, 1);
    const patch = { etag: "*", tags: { n: 1 } };
    for (const condition of ["SELECT * FROM devices", "tags.site =", "deviceId IN ('a')"]) {
      const job = await runTwinJob(jobs, condition, patch);
      assert.equal(job.status, "failed", condition);
      assert.ok(job.failureReason);
    }
  },
);

check(
  "A patch in the wrong shape gives ArgumentError, and there is no such job",
  async function badPatch(hub) {
    const { jobs, where } = await withFleet(hub, 1);
    const jobId = newId("job");
    const schedule = (patch) => jobs.scheduleTwinUpdate(jobId, where, patch, new Date(), BUDGET);
    await refused("ArgumentError", 400, schedule({ etag: "*", desired: { rpm: 900 } }));
    await refused("Error", 404, jobs.getJob(jobId));
    await schedule({ etag: "*", properties: { desired: { rpm: 900 } } });
    assert.equal((await followJob(jobs, jobId)).status, "completed");
  },
);

check(
  "The list of jobs comes in pages, each job once, and by type and status",
  async function list(hub) {
    const { jobs, where } = await withMethods(hub, [200]);
    const newIds = (count) => Array.from({ length: count }, () => newId("job"));
    const [twinIds, methodIds] = [newIds(4), newIds(3)];
    const patch = { etag: "*", tags: { n: 1 } };
    for (const id of twinIds) await jobs.scheduleTwinUpdate(id, where, patch, new Date(), BUDGET);
    for (const id of methodIds) {
      await jobs.scheduleDeviceMethod(id, where, { methodName: "count" }, new Date(), BUDGET);
    }
    for (const id of [...twinIds, ...methodIds]) await followJob(jobs, id);
    const listed = async (...query) => {
      const { rows, sizes } = await pagesOf(jobs.createQuery(...query));
      const found = rows.map((job) => job.jobId);
      assert.equal(new Set(found).size, found.length, "a job came twice");
      assert.ok(sizes.every((size) => size <= (query[2] ?? 100)));
      return [...twinIds, ...methodIds].filter((id) => found.includes(id));
    };
    device.equal("all", await listed(null, null, 2), [...twinIds, ...methodIds]);
    device.equal("methods", await listed("scheduleDeviceMethod", null, 2), methodIds);
    device.equal("twins", await listed("scheduleUpdateTwin", "completed"), twinIds);
    device.equal("failed", await listed(null, "failed"), []);
  },
);

check(
  "A job over a thousand devices reaches them all",
  async function thousand(hub) {
    const { registry, jobs, where, ids } = await withFleet(hub, 1000);
    const job = await runTwinJob(jobs, where, { etag: "*", properties: { desired: { n: 1 } } });
    assert.equal(job.status, "completed");
    const all = statistics(1000, { succeededCount: 1000 });
    device.equal("statistics", job.deviceJobStatistics, all);
    const text = `SELECT COUNT() AS n FROM devices WHERE ${where} AND properties.desired.n = 1`;
    device.equal("rows", (await registry.createQuery(text).next()).result, [{ n: ids.length }]);
    const rows = await rowsOf(registry, job.jobId);
    device.equal("devices", rows.map((row) => row.deviceId), ids);
  },
);

check("Jobs need the right of the service policy", async function rights(hub) {
  const { where } = await withFleet(hub, 1);
  const schedule = (policy) => {
    const jobs = service.jobsOf(hub, hub.policy(policy));
    const patch = { etag: "*", tags: { n: 1 } };
    return jobs.scheduleTwinUpdate(newId("job"), where, patch, new Date(), BUDGET);
  };
  await schedule("service");
  for (const policy of ["registryReadWrite", "device"]) {
    await refused("UnauthorizedError", 401, schedule(policy));
  }
});

async function withFleet(hub, number) {
  const registry = service.registryOf(hub);
  const site = newId("site");
  const ids = await service.register(registry, number, { site });
  return { registry, jobs: service.jobsOf(hub), ids, where: `tags.site = '${site}'` };
}

/** Connected devices that answer the method `count` with these statuses. */
async function withMethods(hub, statuses) {
  const ids = [];
  for (const status of statuses) {
    const me = hub.newDevice();
    await answering(await device.connected(hub, me.connectionString), me.id, status);
    ids.push(me.id);
  }
  const where = `deviceId IN [${ids.map((id) => `'${id}'`)}]`;
  return { registry: service.registryOf(hub), jobs: service.jobsOf(hub), ids, where };
}

function answering(client, id, status) {
  const answer = (request, response) => response.send(status, request.payload, () => {});
  return device.answerMethod(client, id, "count", answer);
}

async function runTwinJob(jobs, condition, patch) {
  const jobId = newId("job");
  await jobs.scheduleTwinUpdate(jobId, condition, patch, new Date(), BUDGET);
  return followJob(jobs, jobId);
}

async function read(jobs, jobId) {
  return (await jobs.getJob(jobId)).jobStatus;
}

function reaches(jobs, jobId, status) {
  const isThere = async () => (await read(jobs, jobId)).status === status;
  return device.eventually(`job ${jobId} is ${status}`, isThere);
}

function statusesOf(rows) {
  return rows.map((row) => row.status);
}

function statistics(deviceCount, counts) {
  const none = { succeededCount: 0, failedCount: 0, runningCount: 0, pendingCount: 0 };
  return { deviceCount, ...none, ...counts };
}

/** What a job came to on each device, in the order of their ids. */
async function rowsOf(registry, jobId) {
  const text = `SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '${jobId}'`;
  const { rows } = await pagesOf(registry.createQuery(text));
  return rows.sort((left, right) => (left.deviceId < right.deviceId ? -1 : 1));
}

await run();
