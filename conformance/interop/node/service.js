/** Handles for the unmodified service SDK: its clients, what they give, the errors they raise. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { eventually } from "./device.js";
import { steer } from "./steer.js";

const installed = createRequire(new URL("../.env/node/package.json", import.meta.url));

export const { Client, JobClient, Registry } = installed("azure-iothub");

/** The SDK's registry client, with all rights or with those of a connection string. */
export function registryOf(hub, connectionString = hub.service) {
  steer(hub);
  return Registry.fromConnectionString(connectionString);
}

/** The client for methods: they go over HTTPS, so its AMQP connection is never opened. */
export function methodsOf(hub, connectionString = hub.service) {
  steer(hub);
  return Client.fromConnectionString(connectionString);
}

/** The client for jobs. */
export function jobsOf(hub, connectionString = hub.service) {
  steer(hub);
  return JobClient.fromConnectionString(connectionString);
}

/** What a call of the registry client gives, without the HTTP answer around it. */
export async function body(call) {
  return (await call).responseBody;
}

/** A new id that no other check uses. */
export function newId(stem = "pump") {
  count += 1;
  return `${stem}-${String(count).padStart(4, "0")}`;
}

let count = 0;

/** So many devices, registered in one call, with the tags given; gives their ids in order. */
export async function register(registry, number, tags) {
  const ids = Array.from({ length: number }, () => newId());
  const devices = ids.map((deviceId) => ({ deviceId, ...(tags && { tags }) }));
  for (let start = 0; start < number; start += BULK_ITEMS_MAX) {
    await registry.addDevices(devices.slice(start, start + BULK_ITEMS_MAX));
  }
  return ids;
}

const BULK_ITEMS_MAX = 100;

/**
 * All rows of a query, and how many came with each page.
 *
 * Awaited without an argument, `next` of this SDK begins again and again with the first page.
 */
export async function pagesOf(query, next = () => query.next(query.continuationToken)) {
  const rows = [];
  const sizes = [];
  while (query.hasMoreResults) {
    const { result } = await next();
    rows.push(...result);
    sizes.push(result.length);
    assert.ok(sizes.length <= PAGES_MAX, `the query does not end: ${sizes.length} pages`);
  }
  return { rows, sizes };
}

const PAGES_MAX = 100;

/**
 * The error that the call must give: of this class, from this HTTP status.
 *
 * The SDK has error classes of its own that it does not export, so they are known by their names.
 */
export async function refused(name, status, call) {
  const error = await call.then(
    () => undefined,
    (error) => error,
  );
  assert.ok(error, `wanted ${name}; nothing was thrown`);
  assert.equal(error.constructor.name, name, `wanted ${name}; got ${error}`);
  assert.equal(error.response?.statusCode, status, `wanted status ${status}; got ${error}`);
  return error;
}

/** The hub's own name of the error, which the SDK passes on in the HTTP answer. */
export function codeOf(error) {
  return error.response.headers["iothub-errorcode"];
}

/** A job in its last state; it must come to one within the budget. */
export async function followJob(jobs, jobId, heard = () => {}) {
  let job;
  await eventually(`job ${jobId} ends`, async () => {
    ({ jobStatus: job } = await jobs.getJob(jobId));
    heard(job);
    return JOB_ENDS.has(job.status);
  });
  return job;
}

const JOB_ENDS = new Set(["completed", "failed", "cancelled"]);
