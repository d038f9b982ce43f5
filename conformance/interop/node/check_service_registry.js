/** Identities through the service SDK (hub-http.md § 2, § 4, § 6; hub-auth.md § 3). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, codeOf, newId, refused } from "./service.js";

const NEVER = "0001-01-01T00:00:00Z";

check(
  "create with an id only gives an enabled device with two keys of the hub's own",
  async function generatedKeys(hub) {
    const registry = service.registryOf(hub);
    const deviceId = newId();
    const { responseBody: made, httpResponse } = await registry.create({ deviceId });
    assert.equal(httpResponse.statusCode, 200);
    assert.equal(httpResponse.headers.etag, `"${made.etag}"`);
    const { type, symmetricKey } = made.authentication;
    assert.deepEqual([made.deviceId, made.status, type], [deviceId, "enabled", "sas"]);
    assert.deepEqual([made.connectionState, made.lastActivityTime], ["Disconnected", NEVER]);
    const keys = [symmetricKey.primaryKey, symmetricKey.secondaryKey];
    for (const key of keys) assert.equal(Buffer.from(key, "base64").toString("base64"), key);
    assert.notEqual(keys[0], keys[1]);
  },
);

check("get gives what create gave", async function createdIsStored(hub) {
  const registry = service.registryOf(hub);
  const made = await body(registry.create({ deviceId: newId() }));
  device.equal("device", await body(registry.get(made.deviceId)), made);
});

check("Given keys are kept, and a device connects with them", async function givenKeys(hub) {
  const registry = service.registryOf(hub);
  const deviceId = newId();
  const symmetricKey = { primaryKey: keyOf("first"), secondaryKey: keyOf("second") };
  await registry.create({ deviceId, authentication: { symmetricKey } });
  const stored = await body(registry.get(deviceId));
  device.equal("keys", stored.authentication.symmetricKey, symmetricKey);
  await device.connected(hub, connectionString(hub, deviceId, symmetricKey.secondaryKey));
  const isConnected = async () =>
    (await body(registry.get(deviceId))).connectionState === "Connected";
  await device.eventually("the registry shows the connection", isConnected);
});

check(
  "create of an existing id gives DeviceAlreadyExistsError and leaves the device alone",
  async function createTwice(hub) {
    const registry = service.registryOf(hub);
    const made = await body(registry.create({ deviceId: newId() }));
    const again = registry.create({ deviceId: made.deviceId, status: "disabled" });
    const error = await refused("DeviceAlreadyExistsError", 409, again);
    assert.equal(codeOf(error), "DeviceAlreadyExists");
    device.equal("device", await body(registry.get(made.deviceId)), made);
  },
);

check(
  "get, delete, getTwin and updateTwin of an unknown id give DeviceNotFoundError",
  async function unknownDevice(hub) {
    const registry = service.registryOf(hub);
    const id = newId("nobody");
    const calls = [
      () => registry.get(id),
      () => registry.delete(id),
      () => registry.getTwin(id),
      () => registry.updateTwin(id, { tags: { site: "north" } }, "*"),
    ];
    for (const call of calls) {
      assert.equal(codeOf(await refused("DeviceNotFoundError", 404, call())), "DeviceNotFound");
    }
  },
);

check(
  "update of a device as it was read changes its status and etag, and nothing else",
  async function updateStatus(hub) {
    const registry = service.registryOf(hub);
    const made = await body(registry.create({ deviceId: newId() }));
    const change = { status: "disabled", statusReason: "in the workshop" };
    const updated = await body(registry.update({ ...made, ...change }));
    assert.notEqual(updated.etag, made.etag);
    assert.notEqual(updated.statusUpdatedTime, NEVER);
    const { etag, statusUpdatedTime } = updated;
    device.equal("device", updated, { ...made, ...change, etag, statusUpdatedTime });
    device.equal("stored", await body(registry.get(made.deviceId)), updated);
  },
);

check("update changes a key, and the old one no longer opens the hub", async function newKey(hub) {
  const registry = service.registryOf(hub);
  const made = await body(registry.create({ deviceId: newId() }));
  const { symmetricKey } = made.authentication;
  const old = connectionString(hub, made.deviceId, symmetricKey.primaryKey);
  await device.connected(hub, old);
  const primaryKey = keyOf("changed");
  const authentication = { ...made.authentication, symmetricKey: { ...symmetricKey, primaryKey } };
  await registry.update({ ...made, authentication });
  const shutOut = await device.create(hub, old);
  await assert.rejects(shutOut.open(), { name: "UnauthorizedError" });
  await device.connected(hub, connectionString(hub, made.deviceId, primaryKey));
});

check(
  "delete answers 204 and takes the twin along; a new device of that id is another generation",
  async function deleted(hub) {
    const registry = service.registryOf(hub);
    const made = await body(registry.create({ deviceId: newId() }));
    await registry.updateTwin(made.deviceId, { tags: { site: "north" } }, "*");
    const { httpResponse } = await registry.delete(made.deviceId);
    assert.equal(httpResponse.statusCode, 204);
    await refused("DeviceNotFoundError", 404, registry.get(made.deviceId));
    await refused("DeviceNotFoundError", 404, registry.getTwin(made.deviceId));
    const again = await body(registry.create({ deviceId: made.deviceId }));
    assert.notEqual(again.generationId, made.generationId);
    device.equal("tags", (await body(registry.getTwin(made.deviceId))).tags, {});
  },
);

check(
  "Ids of every documented character and of 128 characters are created, read and deleted",
  async function allowedIds(hub) {
    const registry = service.registryOf(hub);
    for (const deviceId of [...`-.+%_#*?!(),=@$'`].map((c) => `id${c}0`).concat("i".repeat(128))) {
      const made = await body(registry.create({ deviceId }));
      assert.equal(made.deviceId, deviceId);
      assert.equal((await body(registry.get(deviceId))).etag, made.etag);
      assert.equal((await body(registry.getTwin(deviceId))).deviceId, deviceId);
      await registry.delete(deviceId);
      await refused("DeviceNotFoundError", 404, registry.get(deviceId));
    }
  },
);

check(
  "Ids of other characters, or of 129, and keys that are none, give ArgumentError",
  async function badInput(hub) {
    const registry = service.registryOf(hub);
    for (const deviceId of ["a b", "invalid/name", "grün", "i".repeat(129)]) {
      await refused("ArgumentError", 400, registry.create({ deviceId }));
    }
    const symmetricKey = { primaryKey: "1", secondaryKey: "2" };
    const deviceId = newId();
    const bad = registry.create({ deviceId, authentication: { symmetricKey } });
    await refused("ArgumentError", 400, bad);
    await refused("DeviceNotFoundError", 404, registry.get(deviceId));
  },
);

check(
  "A device with thumbprints is selfSigned and keeps them; one of an authority has none",
  async function certificates(hub) {
    const registry = service.registryOf(hub);
    const thumbprints = {
      primaryThumbprint: "0123456789".repeat(4),
      secondaryThumbprint: "ABCDEF0123".repeat(4),
    };
    const own = { deviceId: newId(), authentication: { x509Thumbprint: thumbprints } };
    const { authentication } = await body(registry.create(own));
    assert.equal(authentication.type, "selfSigned");
    device.equal("thumbprints", authentication.x509Thumbprint, thumbprints);
    const authority = { type: "certificateAuthority" };
    const made = await body(registry.create({ deviceId: newId(), authentication: authority }));
    assert.equal(made.authentication.type, "certificateAuthority");
    const { x509Thumbprint, symmetricKey } = made.authentication;
    const secrets = [...Object.values(x509Thumbprint), ...Object.values(symmetricKey)];
    assert.deepEqual(secrets, [null, null, null, null]);
  },
);

check(
  "An Edge device gets a scope, which makes it the parent of a device that names it",
  async function scopes(hub) {
    const registry = service.registryOf(hub);
    const edge = { deviceId: newId("gate"), capabilities: { iotEdge: true } };
    const { deviceScope, capabilities } = await body(registry.create(edge));
    assert.equal(capabilities.iotEdge, true);
    assert.ok(deviceScope);
    const leaf = await body(registry.create({ deviceId: newId(), deviceScope }));
    device.equal("scopes", [leaf.deviceScope, leaf.parentScopes], [deviceScope, [deviceScope]]);
  },
);

check("list has every device, as the SDK's Device objects", async function list(hub) {
  const registry = service.registryOf(hub);
  const made = await body(registry.create({ deviceId: newId() }));
  const all = await body(registry.list());
  assert.ok(all.length > 1);
  assert.ok(all.every((each) => each.constructor.name === "Device"));
  const found = all.find((each) => each.deviceId === made.deviceId);
  device.equal("device", found, made);
});

check(
  "getRegistryStatistics counts what is created, disabled and deleted",
  async function statistics(hub) {
    const registry = service.registryOf(hub);
    const counts = async () => {
      const counted = await body(registry.getRegistryStatistics());
      return [counted.totalDeviceCount, counted.enabledDeviceCount, counted.disabledDeviceCount];
    };
    const since = (before, now) => now.map((count, index) => count - before[index]);
    const before = await counts();
    const made = await body(registry.create({ deviceId: newId() }));
    device.equal("created", since(before, await counts()), [1, 1, 0]);
    await registry.update({ ...made, status: "disabled" });
    device.equal("disabled", since(before, await counts()), [1, 0, 1]);
    await registry.delete(made.deviceId);
    device.equal("deleted", since(before, await counts()), [0, 0, 0]);
  },
);

/** A key as the registry takes it: any 16 to 64 bytes in base64. */
function keyOf(text) {
  return Buffer.from(text.padEnd(32, ".")).toString("base64");
}

function connectionString(hub, deviceId, key) {
  return `HostName=${hub.hostname};DeviceId=${deviceId};SharedAccessKey=${key}`;
}

await run();
