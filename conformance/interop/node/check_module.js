/** Modules: identities, connections, twins of their own (hub-twins.md § 1.3; hub-mqtt.md § 2). */

import { parse } from "./backend.js";
import * as device from "./device.js";
import { check, run } from "./runner.js";
import { Message, errors, wireOf } from "./sdk.js";

const MODULE = "vision";

check(
  "A module connects with its own key and reads and patches its own twin",
  async function moduleTwin(hub) {
    const me = hub.newDevice();
    const module = await device.connected(hub, await hub.backend.createModule(me.id, MODULE));
    const fresh = { desired: { $version: 1 }, reported: { $version: 1 } };
    device.equal("twin", await device.read(module), fresh);
    await device.report(await module.getTwin(), { frames: 25 });
    const wanted = { frames: 25, $version: 2 };
    device.equal("module", await hub.backend.reported(me.id, MODULE), wanted);
    device.equal("device", await hub.backend.reported(me.id), { $version: 1 });
  },
);

check(
  "A device and its module are connected at once, and each is notified of its own changes",
  async function besideItsDevice(hub) {
    const me = hub.newDevice();
    const module = await device.connected(hub, await hub.backend.createModule(me.id, MODULE));
    const whole = await device.connected(hub, me.connectionString);
    const { desired: toModule } = await device.watchDesired(module, `${me.id}/${MODULE}`);
    const { desired: toDevice } = await device.watchDesired(whole, me.id);
    await hub.backend.patchDesired(me.id, { zoom: null, for: "the module" }, MODULE);
    await hub.backend.patchDesired(me.id, { for: "the device" });
    const [ofModule, ofDevice] = [await toModule.take(), await toDevice.take()];
    device.equal("the module's", ofModule, { zoom: null, for: "the module", $version: 2 });
    device.equal("the device's", ofDevice, { for: "the device", $version: 2 });
    await hub.backend.replaceDesired(me.id, { fps: 30 }, MODULE);
    const replaced = { for: null, fps: 30, $version: 3 };
    device.equal("PUT of the module's", await toModule.take(), replaced);
  },
);

check("A module's telemetry is acknowledged", async function telemetry(hub) {
  const me = hub.newDevice();
  const module = await device.connected(hub, await hub.backend.createModule(me.id, MODULE));
  await module.sendEvent(new Message("{}"));
  device.equal("PUBACKs", wireOf(`${me.id}/${MODULE}`).from("puback").length, 1);
});

check(
  "The device's key does not open the module's connection, nor the module's the device's",
  async function keysDoNotMix(hub) {
    const me = hub.newDevice();
    const module = await hub.backend.createModule(me.id, MODULE);
    const pairs = [
      [module, me.connectionString, `${me.id}/${MODULE}`],
      [me.connectionString, module, me.id],
    ];
    for (const [own, foreign, clientId] of pairs) {
      const [ownKey, foreignKey] = [own, foreign].map((each) => parse(each).SharedAccessKey);
      const client = await device.create(hub, own.replace(ownKey, foreignKey));
      await device.raised(errors.UnauthorizedError, () => client.open());
      device.equal("return codes", wireOf(clientId).returnCodes(), [5]);
    }
  },
);

await run();
