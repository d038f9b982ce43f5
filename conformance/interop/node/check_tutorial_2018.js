/**
 * The firmware tutorial of 2018, in `tutorial-2018`, with the official Node SDKs of today and of
 * then (firmware-patterns.md, part b; sdk-wire-facts.md on the SDKs of 2018).
 */

import assert from "node:assert/strict";
import { promisify } from "node:util";

import * as device from "./device.js";
import { atEnd, check, run } from "./runner.js";
import { wireOf } from "./sdk.js";
import { body, newId, registryOf } from "./service.js";
import {
  configureUpdate,
  firmwareOf,
  scheduleUpdate,
  watchConfiguration,
  watchUpdate,
} from "./tutorial-2018/back_end.js";
import { startDevice } from "./tutorial-2018/device.js";
import { OF_2018, TODAY } from "./tutorial-2018/sdk.js";

const CHECK_VALUE = "c0ffee77";
const FIRMWARE = {
  fwVersion: "9.1.0",
  fwPackageURI: "https://files.example/fw-9.1.bin",
  fwPackageCheckValue: CHECK_VALUE,
};

/** Every state of a device that is updated, in order. */
const STATES = [
  "current: ",
  "downloading: Start downloading",
  "downloading: Finished downloading",
  "verifying: Start verifying download",
  "verifying: Finished verifying download",
  "applying: Start applying image",
  "applying: Finished applying image",
  "rebooting: Start reboot",
  "rebooting: Finished reboot",
  "current: ",
];

check(
  "The job is completed, and the query sees all chillers, and only them, through every phase",
  function rollOut(hub) {
    return rollsOut(hub, TODAY);
  },
);

check("The same with the SDKs of 2018 on both sides", function rollOutOf2018(hub) {
  return rollsOut(hub, OF_2018);
});

check("Chillers of 2018 are updated by a back end of today", function oldDevices(hub) {
  return rollsOut(hub, { ...TODAY, connected: OF_2018.connected });
});

check(
  "A chiller sends eleven reported patches, one a step, and each is acknowledged",
  function elevenPatches(hub) {
    return sendsElevenPatches(hub, TODAY);
  },
);

check("A chiller of 2018 does the same", function elevenPatchesOf2018(hub) {
  return sendsElevenPatches(hub, OF_2018);
});

check(
  "The service SDK of 2018 writes twins with a bare star and a bare etag",
  async function bareEtags(hub) {
    const me = hub.newDevice();
    const registry = OF_2018.registryOf(hub);
    const update = promisify(registry.updateTwin.bind(registry));
    const twin = await update(me.id, { tags: { n: 1 } }, "*");
    await update(me.id, { tags: { n: 2 } }, twin.etag);
    device.equal("tags", (await body(registryOf(hub).getTwin(me.id))).tags, { n: 2 });
  },
);

check(
  "A chiller that was away finds the new firmware when it connects",
  async function away(hub) {
    const { registry, jobs, type } = await withChillers(hub, 0);
    const me = hub.newDevice();
    await registry.updateTwin(me.id, { tags: { devicetype: type } }, "*");
    assert.equal((await scheduleUpdate(jobs, type, FIRMWARE)).status, "completed");
    assert.deepEqual([...(await firmwareOf(registry, type))], [[me.id, {}]]);
    const client = await device.connected(hub, me.connectionString);
    await startDevice(client, CHECK_VALUE);
    await watchUpdate(registry, type, isUpdated);
  },
);

check(
  "An insecure URI is refused by the device, and the version of before stays",
  async function insecure(hub) {
    const { registry, jobs, type, chillers } = await withChillers(hub, 1);
    const firmware = { ...FIRMWARE, fwPackageURI: "http://files.example/fw-9.1.bin" };
    assert.equal((await scheduleUpdate(jobs, type, firmware)).status, "completed");
    await watchUpdate(registry, type, ({ fwUpdateStatus }) => fwUpdateStatus === "error");
    const [patch] = patchesOf(chillers[0].id).slice(1);
    assert.equal(stateOf(patch), "error: Insecure package URI");
    assert.equal((await firmwareOf(registry, type)).get(chillers[0].id).currentFwVersion, "1.0.0");
  },
);

check(
  "A bad image is not applied: error, then rolled back to the version of before",
  async function badImage(hub) {
    const { registry, jobs, type, chillers } = await withChillers(hub, 1);
    await scheduleUpdate(jobs, type, { ...FIRMWARE, fwPackageCheckValue: "bad" });
    await watchUpdate(registry, type, ({ fwUpdateStatus }) => fwUpdateStatus === "rolledback");
    const states = patchesOf(chillers[0].id).map(stateOf);
    const end = ["error: Image verification failed", "rolledback: Rolled back to: 1.0.0"];
    device.equal("states", states.slice(1), [...STATES.slice(0, 4), ...end]);
    await scheduleUpdate(jobs, type, FIRMWARE);
    await watchUpdate(registry, type, isUpdated);
  },
);

check(
  "The same job once more changes nothing: the firmware is up to date",
  async function again(hub) {
    const { registry, jobs, type, chillers } = await withChillers(hub, 1);
    await scheduleUpdate(jobs, type, FIRMWARE);
    await watchUpdate(registry, type, isUpdated);
    assert.equal((await scheduleUpdate(jobs, type, FIRMWARE)).status, "completed");
    const isUpToDate = (each) => each.fwUpdateSubstatus === "Firmware already up to date";
    await watchUpdate(registry, type, isUpToDate);
    assert.equal(patchesOf(chillers[0].id).length, 12);
    const { currentFwVersion } = (await firmwareOf(registry, type)).get(chillers[0].id);
    assert.equal(currentFwVersion, FIRMWARE.fwVersion);
  },
);

check(
  "The later form, a configuration, updates chillers of now and later, and counts their states",
  async function laterForm(hub) {
    const { registry, type, chillers } = await withChillers(hub, 2);
    const id = await configureUpdate(registry, type, FIRMWARE);
    atEnd(() => registry.removeConfiguration(id));
    const current = (number) => (counts) => counts.current === number;
    await watchUpdate(registry, type, isUpdated);
    await watchConfiguration(registry, id, current(2));
    const [late] = await connected(hub, type, 1, TODAY);
    await watchUpdate(registry, type, isUpdated);
    const counts = await watchConfiguration(registry, id, current(3));
    const none = { applying: 0, rebooting: 0, error: 0, rolledback: 0 };
    device.equal("counts", counts, { current: 3, ...none });
    for (const each of [...chillers, late]) {
      assert.equal(stateOf(patchesOf(each.id).at(-1)), STATES.at(-1));
    }
    await registry.removeConfiguration(id);
    const isGone = async () => !("firmware" in (await twinOf(hub, late.id)).properties.desired);
    await device.eventually("its settings are gone", isGone);
  },
);

async function rollsOut(hub, sdk) {
  const { registry, jobs, type, chillers } = await withChillers(hub, 3, sdk);
  const [other] = await connected(hub, newId("heater"), 1, sdk);
  const job = await scheduleUpdate(jobs, type, FIRMWARE);
  assert.equal(job.status, "completed");
  const { succeededCount, failedCount } = job.deviceJobStatistics;
  assert.deepEqual([succeededCount, failedCount], [3, 0]);
  const seen = await watchUpdate(registry, type, isUpdated);
  device.equal("devices", [...seen.keys()].sort(), chillers.map((each) => each.id).sort());
  for (const states of seen.values()) followsEachOther(states);
  for (const { id } of chillers) {
    const { desired, reported } = (await twinOf(hub, id)).properties;
    device.equal("desired", [desired.patchId, desired.firmware], ["Firmware update", FIRMWARE]);
    assert.equal(desired.$version, 2);
    const { lastFwUpdateStartTime: start, lastFwUpdateEndTime: end } = reported.firmware;
    assert.ok(start.endsWith("Z") && start <= end);
  }
  assert.equal((await twinOf(hub, other.id)).properties.desired.$version, 1);
}

async function sendsElevenPatches(hub, sdk) {
  const { registry, jobs, type, chillers } = await withChillers(hub, 1, sdk);
  await scheduleUpdate(jobs, type, FIRMWARE);
  await watchUpdate(registry, type, isUpdated);
  const [{ id }] = chillers;
  const patches = patchesOf(id);
  device.equal("states", patches.map(stateOf), ["current: ", ...STATES]);
  const ends = [0, 1, 10].map((n) => [patches[n].currentFwVersion, patches[n].pendingFwVersion]);
  device.equal("versions", ends, [["1.0.0", ""], [undefined, "9.1.0"], ["9.1.0", ""]]);
  assert.equal((await twinOf(hub, id)).properties.reported.$version, 12);
}

function twinOf(hub, id) {
  return body(registryOf(hub).getTwin(id));
}

/** Simulated devices of a type of their own. */
async function withChillers(hub, number, sdk = TODAY) {
  const type = newId("chiller");
  const chillers = await connected(hub, type, number, sdk);
  return { registry: sdk.registryOf(hub), jobs: sdk.jobsOf(hub), type, chillers };
}

async function connected(hub, devicetype, number, sdk) {
  const made = [];
  for (let n = 0; n < number; n += 1) {
    const me = hub.newDevice();
    await registryOf(hub).updateTwin(me.id, { tags: { devicetype } }, "*");
    await startDevice(await sdk.connected(hub, me.connectionString), CHECK_VALUE);
    await device.eventually("SUBACK", () => wireOf(me.id).isGranted(device.DESIRED));
    made.push(me);
  }
  return made;
}

function isUpdated({ fwUpdateStatus, fwUpdateSubstatus, currentFwVersion }) {
  const state = `${fwUpdateStatus}: ${fwUpdateSubstatus}`;
  return state === "current: " && currentFwVersion === FIRMWARE.fwVersion;
}

/** A back end that polls may miss states, but sees none out of order. */
function followsEachOther(seen) {
  let place = -1;
  for (const state of seen) {
    place = STATES.indexOf(state, place + 1);
    assert.ok(place >= 0, `${state} in ${seen.join(" > ")}`);
  }
}

/** What the device sent under `firmware`, in order. */
function patchesOf(id) {
  const sent = wireOf(id).to("publish");
  const patches = sent.filter(({ topic }) => topic.includes("/PATCH/properties/reported/"));
  return patches.map(({ payload }) => JSON.parse(payload).firmware);
}

function stateOf({ fwUpdateStatus, fwUpdateSubstatus }) {
  return `${fwUpdateStatus}: ${fwUpdateSubstatus}`;
}

await run();
