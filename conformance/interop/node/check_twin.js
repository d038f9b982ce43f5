/** Reading the twin and reporting (hub-twins.md § 1 to § 5, § 8; hub-mqtt.md § 6.1, § 6.2). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import { wireOf } from "./sdk.js";

check(
  "getTwin of a fresh device gives two empty sections with version 1, and nothing else",
  async function freshTwin(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const fresh = { desired: { $version: 1 }, reported: { $version: 1 } };
    device.equal("twin", await device.read(client), fresh);
    device.equal("answer", answer(me), fresh);
  },
);

check(
  "getTwin shows desired properties set before, but neither tags nor metadata",
  async function tagsStayHidden(hub) {
    const me = hub.newDevice();
    await hub.backend.patchTags(me.id, { site: "north" });
    await hub.backend.patchDesired(me.id, { fan: { rpm: 4 } });
    const client = await device.connected(hub, me.connectionString);
    const wanted = { desired: { fan: { rpm: 4 }, $version: 2 }, reported: { $version: 1 } };
    device.equal("twin", await device.read(client), wanted);
    device.equal("answer", answer(me), wanted);
  },
);

check(
  "A reported patch is merged, seen by the back end, and raises the version by one",
  async function reportedPatch(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const twin = await client.getTwin();
    await device.report(twin, { fan: { rpm: 900, on: true } });
    await device.report(twin, { fan: { rpm: 950 }, door: "shut" });
    const merged = { fan: { rpm: 950, on: true }, door: "shut", $version: 3 };
    device.equal("seen by the back end", await hub.backend.reported(me.id), merged);
    device.equal("seen by the device", (await device.read(client)).reported, merged);
  },
);

check(
  "A null deletes its key and nothing else, also inside an object",
  async function nullDeletes(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const twin = await client.getTwin();
    await device.report(twin, { a: 1, b: 2, c: { d: 3, e: 4 } });
    await device.report(twin, { a: null, c: { d: null } });
    const left = { b: 2, c: { e: 4 }, $version: 3 };
    device.equal("seen by the back end", await hub.backend.reported(me.id), left);
    device.equal("seen by the device", (await device.read(client)).reported, left);
  },
);

check(
  "Non-ASCII keys and values, which this SDK sends unescaped, survive both ways",
  async function nonAsciiText(hub) {
    const me = hub.newDevice();
    const values = { größe: "µm ≈ 10⁻⁶", 状態: { 表情: "🙂" } };
    const client = await device.connected(hub, me.connectionString);
    const { twin, desired } = await device.watchDesired(client, me.id);
    await device.report(twin, values);
    const wanted = { ...values, $version: 2 };
    device.equal("seen by the back end", await hub.backend.reported(me.id), wanted);
    await hub.backend.patchDesired(me.id, values);
    device.equal("notification", await desired.take(), wanted);
    const whole = { desired: wanted, reported: wanted };
    device.equal("twin", await device.read(client), whole);
  },
);

check(
  "A refused patch gives an error with the hub's message, and the connection stays usable",
  async function refusedPatch(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const twin = await client.getTwin();
    for (const bad of ["a.b", "$set", "a b", "tab\t"]) {
      await refused(twin, { good: 1, [bad]: 2 }, /invalid characters/i);
    }
    await refused(twin, { list: [null] }, /cannot be null/i);
    device.equal("nothing of it applied", await hub.backend.reported(me.id), { $version: 1 });
    await device.report(twin, { good: 1 });
    device.equal("reported", await hub.backend.reported(me.id), { good: 1, $version: 2 });
    device.equal("connections", wireOf(me.id).from("connack").length, 1);
  },
);

check(
  "A reported section of about 30 KB is taken, one of about 36 KB refused with a message",
  async function sizeOfTwin(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const twin = await client.getTwin();
    await device.report(twin, kilobytes(30));
    const wanted = { ...kilobytes(30), $version: 2 };
    device.equal("seen by the device", (await device.read(client)).reported, wanted);
    await refused(twin, kilobytes(36), /size/i);
    device.equal("the stored one", await hub.backend.reported(me.id), wanted);
  },
);

/** The last body from the hub: the SDK itself hides all but the two sections. */
function answer(me) {
  return JSON.parse(wireOf(me.id).from("publish").at(-1).payload);
}

/** The SDK ignores the status and takes the `message` of a body that has an `errorCode`. */
async function refused(twin, patch, message) {
  const error = await device.raised(Error, () => device.report(twin, patch));
  assert.match(error.message, message, `for ${JSON.stringify(patch).slice(0, 60)}`);
}

/** Strings of one KB, spread over objects: far below the limit of a single value. */
function kilobytes(count) {
  const block = () => ({ head: "h".repeat(512), tail: "t".repeat(499) });
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`block${n}`, block()]));
}

await run();
