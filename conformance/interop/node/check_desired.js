/** What the handler for desired properties is given (hub-twins.md § 6; hub-mqtt.md § 6.3). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";

check(
  "A PATCH arrives as the back end made it, with the new version and nothing of the rest",
  async function patch(hub) {
    const me = hub.newDevice();
    await hub.backend.patchDesired(me.id, { old: true });
    const client = await device.connected(hub, me.connectionString);
    const { twin, desired } = await device.watchDesired(client, me.id);
    await hub.backend.patchDesired(me.id, { fan: { rpm: 4 }, led: "on" });
    const wanted = { fan: { rpm: 4 }, led: "on", $version: 3 };
    device.equal("notification", await desired.take(), wanted);
    device.equal("the SDK's copy", twin.properties.desired, { old: true, ...wanted });
  },
);

check(
  "The nulls of a PATCH reach the device, which drops these keys from its copy",
  async function nullsAreForwarded(hub) {
    const me = hub.newDevice();
    await hub.backend.patchDesired(me.id, { led: "on", fan: { rpm: 4, on: true } });
    const client = await device.connected(hub, me.connectionString);
    const { twin, desired } = await device.watchDesired(client, me.id);
    await hub.backend.patchDesired(me.id, { led: null, fan: { rpm: null } });
    const wanted = { led: null, fan: { rpm: null }, $version: 3 };
    device.equal("notification", await desired.take(), wanted);
    device.equal("the SDK's copy", twin.properties.desired, { fan: { on: true }, $version: 3 });
  },
);

check(
  "A PUT arrives as the new document plus a null for each key that vanished",
  async function putNamesVanishedKeys(hub) {
    const me = hub.newDevice();
    await hub.backend.patchDesired(me.id, { rpm: 3, led: "on" });
    const client = await device.connected(hub, me.connectionString);
    const { twin, desired } = await device.watchDesired(client, me.id);
    await hub.backend.replaceDesired(me.id, { rpm: 3, mode: "eco" });
    const wanted = { rpm: 3, led: null, mode: "eco", $version: 3 };
    device.equal("notification", await desired.take(), wanted);
    const left = { rpm: 3, mode: "eco", $version: 3 };
    device.equal("the SDK's copy", twin.properties.desired, left);
    device.equal("twin", (await device.read(client)).desired, left);
  },
);

check(
  "A handler for one path hears of its value, of a change and of its deletion",
  async function onePath(hub) {
    const me = hub.newDevice();
    await hub.backend.patchDesired(me.id, { fan: { rpm: 4 } });
    const client = await device.connected(hub, me.connectionString);
    const { twin, desired } = await device.watchDesired(client, me.id);
    const rpm = new device.Inbox();
    twin.on("properties.desired.fan.rpm", rpm.put);
    device.equal("value", await rpm.take(), 4);
    await hub.backend.patchDesired(me.id, { fan: { rpm: 5 } });
    device.equal("change", await rpm.take(), 5);
    await hub.backend.patchDesired(me.id, { fan: { on: true } });
    await hub.backend.patchDesired(me.id, { fan: { rpm: null } });
    device.equal("deletion", await rpm.take(), null);
    for (const version of [3, 4, 5]) {
      device.equal("version", (await desired.take()).$version, version);
    }
  },
);

check(
  "Twenty PATCHes in quick succession give twenty notifications, in order",
  async function everyChangeIsAnnounced(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const { desired } = await device.watchDesired(client, me.id);
    for (let step = 0; step < 20; step += 1) await hub.backend.patchDesired(me.id, { step });
    for (let step = 0; step < 20; step += 1) {
      device.equal("notification", await desired.take(), { step, $version: step + 2 });
    }
  },
);

check(
  "Neither tags nor another device's changes are announced: a later PATCH arrives first",
  async function nothingElse(hub) {
    const [me, other] = [hub.newDevice(), hub.newDevice()];
    const mine = await device.connected(hub, me.connectionString);
    const others = await device.connected(hub, other.connectionString);
    const { desired: toMe } = await device.watchDesired(mine, me.id);
    const { desired: toOther } = await device.watchDesired(others, other.id);
    await hub.backend.patchTags(me.id, { site: "north" });
    await hub.backend.patchDesired(other.id, { for: "the other" });
    await hub.backend.patchDesired(me.id, { for: "me" });
    device.equal("mine", await toMe.take(), { for: "me", $version: 2 });
    device.equal("the other's", await toOther.take(), { for: "the other", $version: 2 });
    assert.ok(toMe.isEmpty() && toOther.isEmpty(), "there was more");
  },
);

await run();
