/** Connecting: keys, refusals, trust (hub-auth.md § 6, § 8; sdk-wire-facts.md, Node device). */

import assert from "node:assert/strict";

import { parse } from "./backend.js";
import * as device from "./device.js";
import { check, run } from "./runner.js";
import { Message, errors, wireOf } from "./sdk.js";

const NOT_AUTHORIZED = 5;

check(
  "A device connects with its primary key, and the back end sees it come and go",
  async function primaryKey(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    await device.eventually("Connected", () => hasState(hub, me, "Connected"));
    await client.close();
    await device.eventually("Disconnected", () => hasState(hub, me, "Disconnected"));
  },
);

check("A device connects with its secondary key as well", async function secondaryKey(hub) {
  const me = hub.newDevice();
  const keys = (await hub.backend.device(me.id)).authentication.symmetricKey;
  assert.notEqual(keys.secondaryKey, keys.primaryKey, "both keys are the same");
  const client = await device.connected(hub, withKey(me, keys.secondaryKey));
  device.equal("desired", (await device.read(client)).desired, { $version: 1 });
});

check("A telemetry message with properties is acknowledged", async function telemetry(hub) {
  const me = hub.newDevice();
  const client = await device.connected(hub, me.connectionString);
  const message = new Message('{"temperature":21.5}');
  message.contentType = "application/json";
  message.contentEncoding = "utf-8";
  message.properties.add("höhe", "5 m & more");
  // Resolves only after the PUBACK.
  await client.sendEvent(message);
  device.equal("PUBACKs", wireOf(me.id).from("puback").length, 1);
  device.equal("state", (await hub.backend.twin(me.id)).connectionState, "Connected");
});

check(
  "Steering leaves TLS alone: without the hub's CA the SDK does not connect",
  async function untrustedHub(hub) {
    const me = hub.newDevice();
    const client = await device.create(hub, me.connectionString);
    await client.setOptions({ ca: undefined });
    // The SDK calls every failure of a first connection by this name.
    const error = await device.raised(errors.UnauthorizedError, () => client.open());
    assert.match(error.transportError.message, /certificate/, "it failed for another reason");
    device.equal("CONNACKs", wireOf(me.id).from("connack").length, 0);
  },
);

check(
  "A wrong key gives UnauthorizedError, and the right one still connects afterwards",
  async function wrongKey(hub) {
    const me = hub.newDevice();
    await refused(hub, me, withKey(me, Buffer.alloc(32).toString("base64")));
    await device.connected(hub, me.connectionString);
  },
);

check(
  "The key of one device does not open the connection of another",
  async function keyOfAnotherDevice(hub) {
    const [me, other] = [hub.newDevice(), hub.newDevice()];
    await refused(hub, me, withKey(me, keyOf(other)));
  },
);

check("A device that is not registered gets UnauthorizedError", async function unknownDevice(hub) {
  const me = hub.newDevice();
  const nobody = { id: "nobody" };
  await refused(hub, nobody, me.connectionString.replace(me.id, nobody.id));
});

check(
  "Disabling a device ends its connection and shuts it out until it is enabled again",
  async function disabledDevice(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    // With a handler in place the SDK comes back by itself, again and again.
    await device.watchDesired(client, me.id);
    await hub.backend.setStatus(me.id, "disabled");
    await device.eventually("an attempt to return", () => wireOf(me.id).returnCodes().length > 1);
    device.equal("answer to it", wireOf(me.id).returnCodes()[1], NOT_AUTHORIZED);
    await hub.backend.setStatus(me.id, "enabled");
    await device.eventually("the SDK is back", () => wireOf(me.id).returnCodes().at(-1) === 0);
    device.equal("desired", (await device.read(client)).desired, { $version: 1 });
  },
);

/** The SDK's error has the same name whatever went wrong, so the CONNACK decides. */
async function refused(hub, me, connectionString) {
  const client = await device.create(hub, connectionString);
  await device.raised(errors.UnauthorizedError, () => client.open());
  device.equal("return code", wireOf(me.id).returnCodes().at(-1), NOT_AUTHORIZED);
}

async function hasState(hub, me, state) {
  return (await hub.backend.twin(me.id)).connectionState === state;
}

function keyOf(me) {
  return parse(me.connectionString).SharedAccessKey;
}

function withKey(me, key) {
  return me.connectionString.replace(keyOf(me), key);
}

await run();
