/** Many devices in one call of the service SDK (hub-http.md § 2.4). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, newId, refused } from "./service.js";

const SUCCESS = { isSuccessful: true, errors: [], warnings: [] };

check("addDevices takes a hundred devices at once", async function hundred(hub) {
  const registry = service.registryOf(hub);
  const ids = Array.from({ length: 100 }, () => newId("bulk"));
  const added = registry.addDevices(ids.map((deviceId) => ({ deviceId })));
  device.equal("result", await body(added), SUCCESS);
  const all = new Set((await body(registry.list())).map((each) => each.deviceId));
  assert.ok(ids.every((id) => all.has(id)));
  const { authentication } = await body(registry.get(ids[99]));
  assert.ok(authentication.symmetricKey.primaryKey);
});

check(
  "addDevices with one existing id names it, with its error, and adds the others",
  async function oneExists(hub) {
    const registry = service.registryOf(hub);
    const [first, existing, last] = [newId(), newId(), newId()];
    const made = await body(registry.create({ deviceId: existing }));
    const devices = [first, existing, last].map((deviceId) => ({ deviceId }));
    const failures = await failuresOf(registry.addDevices(devices));
    device.equal("failures", failures, [[existing, "DeviceAlreadyExists"]]);
    device.equal("existing", await body(registry.get(existing)), made);
    for (const id of [first, last]) assert.equal((await body(registry.get(id))).deviceId, id);
  },
);

check(
  "One id twice in a call is an error of its own",
  async function definedTwice(hub) {
    const registry = service.registryOf(hub);
    const deviceId = newId();
    const failures = await failuresOf(registry.addDevices([{ deviceId }, { deviceId }]));
    assert.ok(failures.length > 0);
    const wanted = [deviceId, "DeviceDefinedMultipleTimes"];
    for (const each of failures) device.equal("failure", each, wanted);
  },
);

check(
  "updateDevices with force changes each device; an unknown one fails alone",
  async function forcedUpdate(hub) {
    const registry = service.registryOf(hub);
    const ids = await service.register(registry, 2);
    const disabled = ids.map((deviceId) => ({ deviceId, status: "disabled" }));
    device.equal("result", await body(registry.updateDevices(disabled, true)), SUCCESS);
    for (const id of ids) assert.equal((await body(registry.get(id))).status, "disabled");
    const unknown = newId("nobody");
    const enabled = [unknown, ...ids].map((deviceId) => ({ deviceId, status: "enabled" }));
    const failures = await failuresOf(registry.updateDevices(enabled, true));
    device.equal("failures", failures, [[unknown, "DeviceNotFound"]]);
    for (const id of ids) assert.equal((await body(registry.get(id))).status, "enabled");
  },
);

check(
  "updateDevices without force takes devices as they were read, and refuses outdated ones",
  async function guardedUpdate(hub) {
    const registry = service.registryOf(hub);
    const ids = await service.register(registry, 2);
    const read = await Promise.all(ids.map((id) => body(registry.get(id))));
    const change = (device) => ({ ...device, statusReason: "counted" });
    device.equal("result", await body(registry.updateDevices(read.map(change), false)), SUCCESS);
    const fresh = await body(registry.get(ids[1]));
    const mixed = [{ ...read[0], statusReason: "late" }, { ...fresh, statusReason: "in time" }];
    const failures = await failuresOf(registry.updateDevices(mixed, false));
    device.equal("failures", failures, [[ids[0], "PreconditionFailed"]]);
    const reasons = ids.map(async (id) => (await body(registry.get(id))).statusReason);
    device.equal("reasons", await Promise.all(reasons), ["counted", "in time"]);
  },
);

check(
  "removeDevices without force spares a device that has changed; with force none is spared",
  async function removal(hub) {
    const registry = service.registryOf(hub);
    const ids = await service.register(registry, 2);
    const read = await Promise.all(ids.map((id) => body(registry.get(id))));
    await registry.update({ ...read[1], statusReason: "changed" });
    const failures = await failuresOf(registry.removeDevices(read, false));
    device.equal("failures", failures, [[ids[1], "PreconditionFailed"]]);
    await refused("DeviceNotFoundError", 404, registry.get(ids[0]));
    device.equal("result", await body(registry.removeDevices([read[1]], true)), SUCCESS);
    await refused("DeviceNotFoundError", 404, registry.get(ids[1]));
  },
);

check(
  "A thousand devices are added, counted and removed by ten calls at once; list stops there",
  async function thousand(hub) {
    const registry = service.registryOf(hub);
    const total = async () => (await body(registry.getRegistryStatistics())).totalDeviceCount;
    const before = await total();
    const devices = Array.from({ length: 1000 }, () => ({ deviceId: newId("fleet") }));
    const calls = Array.from({ length: 10 }, (_, n) => devices.slice(100 * n, 100 * n + 100));
    const results = await Promise.all(calls.map((part) => body(registry.addDevices(part))));
    for (const result of results) device.equal("result", result, SUCCESS);
    assert.equal((await total()) - before, 1000);
    assert.ok(before > 0);
    assert.equal((await body(registry.list())).length, 1000);
    await Promise.all(calls.map((part) => registry.removeDevices(part, true)));
    assert.equal(await total(), before);
  },
);

/** Of a call in which some items fail: which and why. The SDK has no class for that. */
async function failuresOf(call) {
  const { responseBody } = await refused("ArgumentError", 400, call);
  const { isSuccessful, errors } = JSON.parse(responseBody);
  assert.equal(isSuccessful, false);
  return errors.map((each) => [each.deviceId, each.errorCode]);
}

await run();
