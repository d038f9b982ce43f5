/** Twins through the service SDK, with a device at the other end (hub-twins.md § 1 to § 8). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, codeOf, newId, refused } from "./service.js";

check(
  "getTwin of a fresh device gives empty sections of version 1 and an etag",
  async function freshTwin(hub) {
    const { registry, id } = await withDevice(hub);
    const { responseBody: twin, httpResponse } = await registry.getTwin(id);
    assert.deepEqual([twin.constructor.name, twin.deviceId], ["Twin", id]);
    assert.equal(httpResponse.headers.etag, `"${twin.etag}"`);
    for (const section of ["desired", "reported"]) {
      device.equal(section, valuesOf(twin, section), { $version: 1 });
      assert.ok(twin.properties[section].$metadata.$lastUpdated);
    }
    device.equal("tags", twin.tags, {});
  },
);

check(
  "updateTwin merges tags and desired properties, deletes by null and gives the whole twin",
  async function merge(hub) {
    const { registry, id } = await withDevice(hub);
    const update = (patch) => body(registry.updateTwin(id, patch, "*"));
    await update({ tags: { site: { hall: 1, row: 2 } } });
    await update({ properties: { desired: { fan: { rpm: 900, on: true } } } });
    const patch = { tags: { site: { row: null } }, properties: { desired: { fan: { rpm: 950 } } } };
    const twin = await update(patch);
    device.equal("tags", twin.tags, { site: { hall: 1 } });
    device.equal("desired", valuesOf(twin), { fan: { rpm: 950, on: true }, $version: 3 });
    const stored = await body(registry.getTwin(id));
    device.equal("stored", stored.toJSON(), twin.toJSON());
  },
);

check(
  "updateTwin with the current etag is taken; with an older one it gives InvalidEtagError",
  async function etags(hub) {
    const { registry, id } = await withDevice(hub);
    const { etag: first } = await body(registry.getTwin(id));
    const { etag: second } = await body(registry.updateTwin(id, { tags: { n: 1 } }, first));
    assert.notEqual(second, first);
    const late = registry.updateTwin(id, { tags: { n: 2 } }, first);
    assert.equal(codeOf(await refused("InvalidEtagError", 412, late)), "PreconditionFailed");
    const twin = await body(registry.getTwin(id));
    device.equal("unchanged", [twin.etag, twin.tags], [second, { n: 1 }]);
    await registry.updateTwin(id, { tags: { n: 3 } }, `"${second}"`);
  },
);

check(
  "The Twin object follows its own etag from update to update, and get catches up",
  async function twinObject(hub) {
    const { registry, id } = await withDevice(hub);
    const twin = await body(registry.getTwin(id));
    await twin.update({ tags: { n: 1 } });
    await twin.update({ tags: { m: 2 } });
    device.equal("tags", twin.tags, { n: 1, m: 2 });
    await registry.updateTwin(id, { tags: { n: 3 } }, "*");
    await refused("InvalidEtagError", 412, twin.update({ tags: { m: null } }));
    await twin.get();
    await twin.update({ tags: { m: null } });
    device.equal("tags", twin.tags, { n: 3 });
  },
);

check(
  "A patch reaches the connected device as it was made, and its reports reach getTwin",
  async function bothWays(hub) {
    const { registry, me, client } = await withConnected(hub);
    const { twin: held, desired } = await device.watchDesired(client, me.id);
    const patch = { mode: "eco", "größe": [1, 2.5], old: null };
    await registry.updateTwin(me.id, { properties: { desired: patch } }, "*");
    device.equal("notification", await desired.take(), { ...patch, $version: 2 });
    await device.report(held, { mode: "eco", "größe": "µm 🙂" });
    const twin = await body(registry.getTwin(me.id));
    const reported = { mode: "eco", "größe": "µm 🙂", $version: 2 };
    device.equal("reported", valuesOf(twin, "reported"), reported);
    assert.equal(twin.connectionState, "Connected");
  },
);

check(
  "Tags are not shown to the device, and reported properties are not the back end's to write",
  async function notTheirs(hub) {
    const { registry, me, client } = await withConnected(hub);
    await device.report(await client.getTwin(), { rpm: 900 });
    const patch = { tags: { site: "north" }, properties: { desired: { rpm: 950 }, reported: {} } };
    const twin = await body(registry.updateTwin(me.id, patch, "*"));
    device.equal("reported", valuesOf(twin, "reported"), { rpm: 900, $version: 2 });
    const seen = { desired: { rpm: 950, $version: 2 }, reported: { rpm: 900, $version: 2 } };
    device.equal("seen by the device", await device.read(client), seen);
  },
);

check(
  "A twin as it was read can be sent back as a whole, read-only members and all",
  async function wholeTwin(hub) {
    const { registry, id } = await withDevice(hub);
    const patch = { tags: { site: "north" }, properties: { desired: { rpm: 900 } } };
    const twin = await body(registry.updateTwin(id, patch, "*"));
    twin.properties.desired.rpm = 950;
    const updated = await body(registry.updateTwin(id, twin.toJSON(), twin.etag));
    device.equal("desired", valuesOf(updated), { rpm: 950, $version: 3 });
    device.equal("tags", updated.tags, { site: "north" });
  },
);

check(
  "null for the desired section empties it, and the device is told which keys are gone",
  async function emptied(hub) {
    const { registry, me, client } = await withConnected(hub);
    await registry.updateTwin(me.id, { properties: { desired: { a: 1, b: { c: 2 } } } }, "*");
    const { desired } = await device.watchDesired(client, me.id);
    const twin = await body(registry.updateTwin(me.id, { properties: { desired: null } }, "*"));
    device.equal("desired", valuesOf(twin), { $version: 3 });
    device.equal("notification", await desired.take(), { a: null, b: null, $version: 3 });
  },
);

check(
  "A patch that breaks a rule gives ArgumentError with the rule, and changes nothing",
  async function brokenRules(hub) {
    const { registry, id } = await withDevice(hub);
    const before = await body(registry.updateTwin(id, { tags: { site: "north" } }, "*"));
    const bad = [
      [{ properties: { desired: { good: 1, "a.b": 2 } } }, /invalid characters/i],
      [{ tags: { good: 1, "a b": 2 } }, /invalid characters/i],
      [{ properties: { desired: { list: [1, null] } } }, /cannot be null/i],
      [{ properties: { desired: { long: "x".repeat(4200) } } }, /4096/],
      [{ properties: { desired: { large: 2 ** 53 } } }, /./],
    ];
    for (const [patch, rule] of bad) {
      const error = await refused("ArgumentError", 400, registry.updateTwin(id, patch, "*"));
      assert.match(error.message, rule);
    }
    device.equal("twin", (await body(registry.getTwin(id))).toJSON(), before.toJSON());
  },
);

check(
  "A section that grows too large gives the SDK's error for 403, with the size in its message",
  async function tooLarge(hub) {
    const { registry, id } = await withDevice(hub);
    const kilobytes = (count) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`b${n}`, "x".repeat(1020)]));
    await registry.updateTwin(id, { properties: { desired: kilobytes(30) } }, "*");
    const desired = kilobytes(36);
    // To this SDK every 403 is one of too many devices.
    const grown = registry.updateTwin(id, { properties: { desired } }, "*");
    const error = await refused("TooManyDevicesError", 403, grown);
    assert.equal(codeOf(error), "DeviceModelMaxPropertiesExceeded");
    assert.match(error.message, /size/i);
  },
);

check(
  "Twenty patches at once are all taken, each with a version of its own, and all are announced",
  async function atOnce(hub) {
    const { registry, me, client } = await withConnected(hub);
    const { desired } = await device.watchDesired(client, me.id);
    const keys = Array.from({ length: 20 }, (_, n) => `key${n}`);
    const patch = (key) => ({ properties: { desired: { [key]: true } } });
    const calls = keys.map((key) => body(registry.updateTwin(me.id, patch(key), "*")));
    const versions = (await Promise.all(calls)).map((twin) => valuesOf(twin).$version);
    const all = keys.map((_, n) => n + 2);
    device.equal("versions", versions.sort((left, right) => left - right), all);
    const announced = [];
    for (const _ of keys) announced.push((await desired.take()).$version);
    device.equal("announced", announced, all);
    const stored = valuesOf(await body(registry.getTwin(me.id)));
    const wanted = Object.fromEntries(keys.map((key) => [key, true]));
    device.equal("stored", stored, { ...wanted, $version: 21 });
  },
);

check("Of ten updates with one etag, exactly one is taken", async function oneWinner(hub) {
  const { registry, id } = await withDevice(hub);
  const { etag } = await body(registry.getTwin(id));
  const update = (_, n) => registry.updateTwin(id, { tags: { n } }, etag);
  const results = await Promise.allSettled(Array.from({ length: 10 }, update));
  const winners = results.filter((each) => each.status === "fulfilled");
  const losers = results.filter((each) => each.reason?.constructor.name === "InvalidEtagError");
  assert.deepEqual([winners.length, losers.length], [1, 9]);
  const { tags } = await body(registry.getTwin(id));
  device.equal("tags", tags, winners[0].value.responseBody.tags);
});

check(
  "A disabled device keeps its twin, and finds what was written when it is enabled again",
  async function disabled(hub) {
    const { registry, me } = await withConnected(hub);
    const known = await body(registry.get(me.id));
    await registry.update({ ...known, status: "disabled" });
    assert.equal((await body(registry.getTwin(me.id))).status, "disabled");
    await registry.updateTwin(me.id, { properties: { desired: { rpm: 700 } } }, "*");
    await registry.update({ ...known, status: "enabled" });
    const client = await device.connected(hub, me.connectionString);
    device.equal("desired", (await device.read(client)).desired, { rpm: 700, $version: 2 });
  },
);

async function withDevice(hub) {
  const registry = service.registryOf(hub);
  const id = newId();
  await registry.create({ deviceId: id });
  return { registry, id };
}

async function withConnected(hub) {
  const me = hub.newDevice();
  const client = await device.connected(hub, me.connectionString);
  return { registry: service.registryOf(hub), me, client };
}

/** A section without its metadata. */
function valuesOf(twin, section = "desired") {
  const { $metadata, ...values } = twin.properties[section];
  return values;
}

await run();
