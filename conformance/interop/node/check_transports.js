/** The device SDK over WebSocket and over HTTPS (hub-mqtt.md § 1; hub-http.md § 7). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { atEnd, check, run } from "./runner.js";
import { Client, errors, Http, Message, MqttWs } from "./sdk.js";
import * as service from "./service.js";
import { steer } from "./steer.js";

check("Over WebSocket: telemetry, the twin both ways, methods", async function websocket(hub) {
  const { me, client } = await connected(hub, MqttWs);
  await client.sendEvent(telemetry("{}", { level: "5 m & more" }));
  const { twin, desired } = await device.watchDesired(client, me.id);
  await device.report(twin, { größe: "x".repeat(3000) });
  await hub.backend.patchDesired(me.id, { on: 1 });
  device.equal("notification", await desired.take(), { on: 1, $version: 2 });
  await device.answerMethod(client, me.id, "echo", (request, response) =>
    response.send(200, request.payload, () => {}),
  );
  const payload = "y".repeat(100_000);
  const call = { methodName: "echo", payload };
  const { result } = await service.methodsOf(hub).invokeDeviceMethod(me.id, call);
  device.equal("result", result, { status: 200, payload });
});

check("A wrong key is refused over WebSocket", async function refusedWebsocket(hub) {
  steer(hub);
  const [me, other] = [hub.newDevice(), hub.newDevice()];
  const client = Client.fromConnectionString(me.connectionString.replace(me.id, other.id), MqttWs);
  await device.raised(errors.UnauthorizedError, () => client.open());
});

check(
  "Telemetry over HTTPS arrives with its properties, and a batch as messages of their own",
  async function https(hub) {
    const { me, client } = await connected(hub, Http);
    const message = telemetry('{"rpm":1}', { level: "5 m & more" });
    message.messageId = "first";
    await client.sendEvent(message);
    const batch = [telemetry('{"rpm":2}', { level: "high" }), telemetry('{"rpm":3}', {})];
    await client.sendEventBatch(batch);
    const seen = await arrived(hub, me.id, 3);
    device.equal("bodies", seen.map((event) => event.body.json), [1, 2, 3].map((rpm) => ({ rpm })));
    const properties = [{ level: "5 m & more" }, { level: "high" }, {}];
    device.equal("properties", seen.map((event) => event.properties), properties);
  },
);

check(
  "Messages to a device come over HTTPS, again when abandoned, and not when completed or rejected",
  async function messages(hub) {
    const { me, client } = await connected(hub, Http);
    for (const body of ["one", "two", "three"]) {
      const properties = [["to", body], ["$.mid", `id of ${body}`]];
      await control(hub, `/devices/${me.id}/messages`, { properties, body });
    }
    const seen = new device.Inbox();
    const outcomes = ["abandon", "reject", "complete", "complete"];
    client.on("message", (message) => {
      const body = message.data.toString();
      assert.equal(message.messageId, `id of ${body}`);
      assert.equal(message.properties.getValue("iothub-app-to"), body);
      seen.put([body]);
      client[outcomes.shift()](message, (error) => error && seen.put(String(error)));
    });
    const taken = [];
    while (taken.length < 4) taken.push((await seen.take())[0]);
    assert.deepEqual(taken.sort(), ["one", "one", "three", "two"]);
    await device.eventually("none is left", async () => {
      const { cloudToDeviceMessageCount } = await hub.backend.device(me.id);
      return cloudToDeviceMessageCount === 0;
    });
  },
);

check("A wrong key is refused over HTTPS", async function refusedHttps(hub) {
  steer(hub);
  const [me, other] = [hub.newDevice(), hub.newDevice()];
  const wrong = me.connectionString.replace(me.id, other.id);
  const client = Client.fromConnectionString(wrong, Http);
  await client.open();
  await device.raised(errors.UnauthorizedError, () => client.sendEvent(telemetry("{}", {})));
});

/** A client over a transport that goes to port 443 of the hub's name. */
async function connected(hub, transport) {
  steer(hub);
  const me = hub.newDevice();
  const client = Client.fromConnectionString(me.connectionString, transport);
  atEnd(() => client.close());
  await client.open();
  return { me, client };
}

function telemetry(body, properties) {
  const message = new Message(body);
  message.contentType = "application/json";
  message.contentEncoding = "utf-8";
  for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
  return message;
}

/** So many telemetry events of a device, in the order in which they came. */
async function arrived(hub, deviceId, count) {
  let found = [];
  await device.eventually(`${count} events`, async () => {
    const { events } = await control(hub, `/events?device=${deviceId}&after=0&wait_ms=0`);
    found = events.filter((event) => event.source === "Telemetry");
    return found.length >= count;
  });
  assert.equal(found.length, count);
  return found;
}

/** A call of the hub's control interface. */
async function control(hub, path, body) {
  const given = body && { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${hub.control}${path}`, given);
  assert.ok(answer.ok, `${path} was answered with ${answer.status}`);
  return answer.json();
}

await run(["--control", "127.0.0.1:0"]);
