/**
 * The back end of the firmware tutorial of 2018: one job changes the twins of all devices with a
 * tag, and a query tells how far they are (firmware-patterns.md, part b; jobs.md § 3.1).
 *
 * That the job is completed means only that the twins are written. The tutorial's later form uses a
 * configuration instead.
 * The SDK is called with callbacks, which it takes in its versions of 2018 and of today.
 */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

/** How long a job may run, in seconds. */
const BUDGET = 300;

/** How often the job and the devices are asked, and how long altogether, in milliseconds. */
const POLL = 10;
const PATIENCE = 15_000;

const JOB_ENDS = ["completed", "failed", "cancelled"];

/** Gives every device of this type the new firmware to get; returns the job when it has ended. */
export async function scheduleUpdate(jobs, deviceType, firmware) {
  const patch = {
    etag: "*",
    properties: { desired: { patchId: "Firmware update", firmware } },
  };
  const id = randomUUID();
  const where = condition(deviceType);
  await call(jobs, "scheduleTwinUpdate", id, where, patch, new Date(), BUDGET);
  return poll(`job ${id} to end`, async () => {
    const job = await call(jobs, "getJob", id);
    return JOB_ENDS.includes(job.status) ? job : undefined;
  });
}

/**
 * The later form of the tutorial: no job, but a configuration that holds for every device of this
 * type, also for those that come later, and counts their states itself. Gives its id.
 */
export async function configureUpdate(registry, deviceType, firmware) {
  const id = randomUUID();
  const applied = `SELECT deviceId FROM devices WHERE configurations.[[${id}]].status = 'Applied'`;
  const inState = (states) => {
    const each = states.map((state) => `properties.reported.firmware.fwUpdateStatus = '${state}'`);
    return `${applied} AND (${each.join(" OR ")})`;
  };
  const queries = {
    current: inState(["current"]),
    applying: inState(["downloading", "verifying", "applying"]),
    rebooting: inState(["rebooting"]),
    error: inState(["error"]),
    rolledback: inState(["rolledback"]),
  };
  await call(registry, "addConfiguration", {
    id,
    content: { deviceContent: { "properties.desired.firmware": firmware } },
    targetCondition: condition(deviceType),
    priority: 20,
    metrics: { queries },
  });
  return id;
}

/** How many devices a configuration has in each state, as soon as they are as wanted. */
export function watchConfiguration(registry, id, areAsWanted) {
  return poll(`the metrics of configuration ${id}`, async () => {
    const { metrics } = await call(registry, "getConfiguration", id);
    return areAsWanted(metrics.results ?? {}) ? metrics.results : undefined;
  });
}

/**
 * Watches the devices of this type until each of them is as wanted.
 *
 * Gives the states that were seen, per device and in order; some may have passed unseen.
 */
export async function watchUpdate(registry, deviceType, isAsWanted) {
  const seen = new Map();
  await poll(`the devices of type ${deviceType}`, async () => {
    const firmware = await firmwareOf(registry, deviceType);
    for (const [id, { fwUpdateStatus, fwUpdateSubstatus }] of firmware) {
      const states = seen.get(id) ?? [];
      const state = `${fwUpdateStatus}: ${fwUpdateSubstatus}`;
      if (states.at(-1) !== state) seen.set(id, [...states, state]);
    }
    return firmware.size > 0 && [...firmware.values()].every(isAsWanted) ? seen : undefined;
  });
  return seen;
}

/** What each device of this type reports about its firmware. */
export async function firmwareOf(registry, deviceType) {
  const text = `SELECT * FROM devices WHERE ${condition(deviceType)}`;
  const query = registry.createQuery(text, 100);
  const firmware = new Map();
  while (query.hasMoreResults) {
    const twins = await call(query, "nextAsTwin");
    for (const twin of twins) firmware.set(twin.deviceId, twin.properties.reported.firmware ?? {});
  }
  return firmware;
}

function condition(deviceType) {
  return `tags.devicetype = '${deviceType}'`;
}

function call(client, method, ...given) {
  return promisify(client[method].bind(client))(...given);
}

/** Asks again and again until there is an answer. */
async function poll(what, ask) {
  for (const deadline = Date.now() + PATIENCE; ; await pause(POLL)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`);
  }
}
