/** Modules and their twins through the service SDK (hub-http.md § 2.3; hub-twins.md § 1.3). */

import assert from "node:assert/strict";
import { promisify } from "node:util";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, codeOf, newId, refused } from "./service.js";

check(
  "addModule, getModule and getModulesOnDevice agree, and the module connects with its key",
  async function created(hub) {
    const { registry, deviceId } = await withDevice(hub);
    device.equal("none yet", await body(registry.getModulesOnDevice(deviceId)), []);
    const made = await body(registry.addModule({ deviceId, moduleId: "vision" }));
    assert.deepEqual([made.deviceId, made.moduleId], [deviceId, "vision"]);
    device.equal("module", await body(registry.getModule(deviceId, "vision")), made);
    const other = await body(registry.addModule({ deviceId, moduleId: "audio" }));
    const listed = await body(registry.getModulesOnDevice(deviceId));
    device.equal("listed", listed.sort(byId), [other, made]);
    const key = made.authentication.symmetricKey.primaryKey;
    const identity = `DeviceId=${deviceId};ModuleId=vision`;
    const string = `HostName=${hub.hostname};${identity};SharedAccessKey=${key}`;
    await device.connected(hub, string);
    const { connectionState } = await body(registry.getModule(deviceId, "vision"));
    assert.equal(connectionState, "Connected");
  },
);

check(
  "A second module of that id gives a conflict; a bad id ArgumentError",
  async function conflict(hub) {
    const { registry, deviceId } = await withModule(hub);
    const again = registry.addModule({ deviceId, moduleId: "vision" });
    // The SDK has one class for every 409.
    const error = await refused("DeviceAlreadyExistsError", 409, again);
    assert.equal(codeOf(error), "ModuleAlreadyExistsOnDevice");
    await refused("ArgumentError", 400, registry.addModule({ deviceId, moduleId: "a b" }));
  },
);

check(
  "An unknown module gives 404 with a code of its own, an unknown device DeviceNotFoundError",
  async function unknown(hub) {
    const { registry, deviceId } = await withModule(hub);
    const calls = [
      () => registry.getModule(deviceId, "nothing"),
      () => registry.removeModule(deviceId, "nothing"),
      () => registry.getModuleTwin(deviceId, "nothing"),
    ];
    for (const call of calls) {
      // To the SDK a 404 that is no device's is an Error and nothing more.
      assert.equal(codeOf(await refused("Error", 404, call())), "ModuleNotFound");
    }
    const orphan = { deviceId: newId("nobody"), moduleId: "vision" };
    await refused("DeviceNotFoundError", 404, registry.addModule(orphan));
    await refused("DeviceNotFoundError", 404, registry.getModulesOnDevice(orphan.deviceId));
  },
);

check("updateModule goes by the etag unless it is forced", async function updated(hub) {
  const { registry, module } = await withModule(hub);
  const changed = await body(registry.updateModule({ ...module, managedBy: "us" }, false));
  assert.equal(changed.managedBy, "us");
  assert.notEqual(changed.etag, module.etag);
  const stale = { ...module, managedBy: "nobody" };
  await refused("InvalidEtagError", 412, registry.updateModule(stale, false));
  const read = () => body(registry.getModule(module.deviceId, module.moduleId));
  device.equal("module", await read(), changed);
  await registry.updateModule({ ...stale, managedBy: "force" }, true);
  assert.equal((await read()).managedBy, "force");
});

check("removeModule goes by the etag of a module, or by ids alone", async function removed(hub) {
  const { registry, deviceId, module } = await withModule(hub);
  await registry.updateModule({ ...module, managedBy: "us" }, true);
  // Given a module, this SDK works with a callback only.
  const remove = (each) => promisify(registry.removeModule.bind(registry))(each);
  await refused("InvalidEtagError", 412, remove(module));
  await remove(await body(registry.getModule(deviceId, "vision")));
  await refused("Error", 404, registry.getModule(deviceId, "vision"));
  await registry.addModule({ deviceId, moduleId: "vision" });
  await registry.removeModule(deviceId, "vision");
  device.equal("left", await body(registry.getModulesOnDevice(deviceId)), []);
});

check("A device takes its modules along when it is deleted", async function withTheDevice(hub) {
  const { registry, deviceId } = await withModule(hub);
  await registry.delete(deviceId);
  await refused("DeviceNotFoundError", 404, registry.getModule(deviceId, "vision"));
  await registry.create({ deviceId });
  device.equal("modules", await body(registry.getModulesOnDevice(deviceId)), []);
});

check(
  "A module's twin is its own, guarded by its own etag, and its patches reach the module",
  async function moduleTwin(hub) {
    const { registry, deviceId } = await withDevice(hub);
    const string = await hub.backend.createModule(deviceId, "vision");
    const client = await device.connected(hub, string);
    const { twin: held, desired } = await device.watchDesired(client, `${deviceId}/vision`);
    const fresh = await body(registry.getModuleTwin(deviceId, "vision"));
    const patch = { tags: { side: "left" }, properties: { desired: { fps: 25 } } };
    const twin = await body(registry.updateModuleTwin(deviceId, "vision", patch, fresh.etag));
    device.equal("tags", [twin.moduleId, twin.tags], ["vision", { side: "left" }]);
    device.equal("notification", await desired.take(), { fps: 25, $version: 2 });
    const late = registry.updateModuleTwin(deviceId, "vision", { tags: {} }, fresh.etag);
    await refused("InvalidEtagError", 412, late);
    await device.report(held, { fps: 24 });
    await twin.get();
    const { $metadata, ...reported } = twin.properties.reported;
    device.equal("reported", reported, { fps: 24, $version: 2 });
    await twin.update({ properties: { desired: { fps: 30 } } });
    device.equal("notification", await desired.take(), { fps: 30, $version: 3 });
    device.equal("the device's", (await body(registry.getTwin(deviceId))).tags, {});
  },
);

async function withDevice(hub) {
  const registry = service.registryOf(hub);
  const deviceId = newId();
  await registry.create({ deviceId });
  return { registry, deviceId };
}

async function withModule(hub) {
  const { registry, deviceId } = await withDevice(hub);
  const module = await body(registry.addModule({ deviceId, moduleId: "vision" }));
  return { registry, deviceId, module };
}

function byId(left, right) {
  return left.moduleId < right.moduleId ? -1 : 1;
}

await run();
