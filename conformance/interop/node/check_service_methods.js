/** Direct methods from the service SDK to the device SDK (hub-methods.md § 2 to § 6). */

import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";

import * as device from "./device.js";
import { Relay } from "./relay.js";
import { check, run } from "./runner.js";
import { wireOf } from "./sdk.js";
import * as service from "./service.js";
import { codeOf, newId, refused } from "./service.js";

check(
  "A method reaches the device by name and payload, and its status and payload come back",
  async function roundTrip(hub) {
    const { me, client, invoke } = await withDevice(hub);
    let seen;
    await device.answerMethod(client, me.id, "setRate", (request, response) => {
      seen = [request.methodName, request.payload];
      response.send(201, { rate: 7, was: null }, ignore);
    });
    const result = await invoke({ methodName: "setRate", payload: { rate: 7 } });
    device.equal("request", seen, ["setRate", { rate: 7 }]);
    device.equal("result", result, { status: 201, payload: { rate: 7, was: null } });
  },
);

check(
  "Payloads of every JSON type arrive, and come back, as they were sent",
  async function payloads(hub) {
    const { me, client, invoke } = await withDevice(hub);
    await echo(client, me);
    const texts = ["", "null", "µm 🙂", "2031-01-02T03:04:05.1234567+01:00"];
    const others = [0, -1.5, false, [], [1, [null]], {}, { "a.b": { $c: null } }];
    for (const payload of [...texts, ...others]) {
      const result = await invoke({ methodName: "echo", payload });
      device.equal("result", result, { status: 200, payload });
    }
    const { payload } = await invoke({ methodName: "echo" });
    assert.equal(payload, null);
    const bytes = wireOf(me.id).from("publish").at(-1).payload.toString();
    assert.equal(bytes, "null");
  },
);

check(
  "Any status of the device is a result, not an error; an answer may have no payload",
  async function statuses(hub) {
    const { me, client, invoke } = await withDevice(hub);
    const send = (request, response) => response.send(request.payload, ignore);
    await device.answerMethod(client, me.id, "fail", send);
    for (const status of [200, 299, 404, 500, 504, 1001]) {
      const result = await invoke({ methodName: "fail", payload: status });
      device.equal("result", result, { status, payload: null });
    }
  },
);

check(
  "A payload of 120 KB is delivered, one of 140 KB gives ArgumentError",
  async function sizes(hub) {
    const { me, client, invoke } = await withDevice(hub);
    await echo(client, me);
    const payload = "x".repeat(120_000);
    device.equal("result", await invoke({ methodName: "echo", payload }), { status: 200, payload });
    const larger = "x".repeat(140_000);
    await refused("ArgumentError", 400, invoke({ methodName: "echo", payload: larger }));
  },
);

check(
  "An offline device gives 404 at once, with the code for a device that is not online",
  async function offline(hub) {
    const { id } = hub.newDevice();
    const begin = performance.now();
    const call = service.methodsOf(hub).invokeDeviceMethod(id, { methodName: "echo" });
    await notOnline(call);
    assert.ok(performance.now() - begin < 5000);
  },
);

check(
  "A device that is connected but has no methods gives the same",
  async function noSubscription(hub) {
    const { me, client, invoke } = await withDevice(hub);
    await client.getTwin();
    await notOnline(invoke({ methodName: "echo" }));
    await echo(client, me);
    await invoke({ methodName: "echo" });
  },
);

check("Unknown devices and modules give 404 with codes of their own", async function unknown(hub) {
  const { me, client, methods } = await withDevice(hub);
  await echo(client, me);
  const cases = [
    [[newId("nobody")], ["DeviceNotFound", 404001]],
    [[me.id, "nothing"], ["ModuleNotFound", 404010]],
  ];
  for (const [target, codes] of cases) {
    const call = methods.invokeDeviceMethod(...target, { methodName: "echo" });
    const error = await refused("Error", 404, call);
    assert.deepEqual([codeOf(error), innerOf(error).errorCode], codes);
  }
});

check(
  "With a connect timeout the call waits for the device to come, and is then delivered",
  async function awaited(hub) {
    const me = hub.newDevice();
    const methods = service.methodsOf(hub);
    const call = { methodName: "echo", payload: "early", connectTimeoutInSeconds: 30 };
    const waiting = methods.invokeDeviceMethod(me.id, call);
    const client = await device.connected(hub, me.connectionString);
    await echo(client, me);
    device.equal("result", (await waiting).result, { status: 200, payload: "early" });
  },
);

check(
  "Silence ends in GatewayTimeoutError after the response timeout, and harms no later call",
  async function silence(hub) {
    const { me, client, invoke, methods } = await withDevice(hub);
    let late;
    await device.answerMethod(client, me.id, "sulk", (_, response) => (late = response));
    await echo(client, me);
    const timed = async (call) => {
      const begin = performance.now();
      return [await call, (performance.now() - begin) / 1000];
    };
    const silent = invoke({ methodName: "sulk", responseTimeoutInSeconds: 5 });
    const absent = { methodName: "echo", connectTimeoutInSeconds: 1 };
    const away = methods.invokeDeviceMethod(hub.newDevice().id, absent);
    const [[error, silence], [, absence]] = await Promise.all([
      timed(refused("GatewayTimeoutError", 504, silent)),
      timed(notOnline(away, "00:00:01")),
    ]);
    assert.deepEqual([codeOf(error), innerOf(error).errorCode], ["GatewayTimeout", 504101]);
    assert.ok(silence >= 4.9 && silence < 8, `${silence} s of silence`);
    assert.ok(absence >= 0.9 && absence < 4, `${absence} s of absence`);
    await late.send(200, "late");
    const result = await invoke({ methodName: "echo", payload: "next" });
    device.equal("result", result, { status: 200, payload: "next" });
  },
);

check(
  "Timeouts out of range give ArgumentError; members that mean nothing are ignored",
  async function timeouts(hub) {
    const { me, client, invoke } = await withDevice(hub);
    await echo(client, me);
    for (const responseTimeoutInSeconds of [4, 301]) {
      const error = invoke({ methodName: "echo", responseTimeoutInSeconds });
      assert.equal(codeOf(await refused("ArgumentError", 400, error)), "ArgumentInvalid");
    }
    const longest = { methodName: "echo", payload: 1, responseTimeoutInSeconds: 300 };
    const result = await invoke({ ...longest, timeoutInSeconds: 1 });
    device.equal("result", result, { status: 200, payload: 1 });
  },
);

check(
  "Twenty calls at once are answered in reverse order, and each gets its own answer",
  async function atOnce(hub) {
    const { me, client, invoke } = await withDevice(hub);
    const held = [];
    await device.answerMethod(client, me.id, "hold", (...each) => held.push(each));
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const calls = numbers.map((n) => invoke({ methodName: "hold", payload: n }));
    await device.eventually("all calls arrive", () => held.length === 20);
    for (const [request, response] of held.reverse()) response.send(200, request.payload, ignore);
    const payloads = (await Promise.all(calls)).map((result) => result.payload);
    device.equal("payloads", payloads, numbers);
  },
);

check(
  "A device that goes away in the middle of a call ends it with an error",
  async function goesAway(hub) {
    const { me, client, invoke } = await withDevice(hub);
    const leave = () => client.close(ignore);
    await device.answerMethod(client, me.id, "leave", leave);
    const begin = performance.now();
    const error = await refused("Error", 404, invoke({ methodName: "leave" }));
    assert.ok(error.response.headers["iothub-errorcode"]);
    assert.ok(performance.now() - begin < 15_000);
  },
);

check(
  "After an outage the device is called again without registering its methods anew",
  async function afterOutage(hub) {
    const me = hub.newDevice();
    const relay = await Relay.to(hub.mqttsPort);
    const client = await device.connected(hub, me.connectionString, relay.gateway);
    await echo(client, me);
    const call = { methodName: "echo", payload: 1, connectTimeoutInSeconds: 20 };
    const methods = service.methodsOf(hub);
    const waiting = await relay.outage(async () => {
      await device.eventually("the hub sees the device go", async () => {
        const { connectionState } = await hub.backend.device(me.id);
        return connectionState === "Disconnected";
      });
      return [methods.invokeDeviceMethod(me.id, call)];
    });
    device.equal("result", (await waiting[0]).result, { status: 200, payload: 1 });
  },
);

check(
  "A module's method goes to the module and not to its device",
  async function moduleMethod(hub) {
    const { me, client, invoke, methods } = await withDevice(hub);
    const module = await device.connected(hub, await hub.backend.createModule(me.id, "vision"));
    const named = (name) => (_, response) => response.send(200, name, ignore);
    await device.answerMethod(client, me.id, "who", named("device"));
    const who = { methodName: "who" };
    await notOnline(methods.invokeDeviceMethod(me.id, "vision", { ...who }));
    const add = (handler) => (name, answer) => handler.onMethod(name, answer);
    const target = { onDeviceMethod: add(module) };
    await device.answerMethod(target, `${me.id}/vision`, "who", named("module"));
    const { result } = await methods.invokeDeviceMethod(me.id, "vision", { ...who });
    device.equal("results", [result.payload, (await invoke(who)).payload], ["module", "device"]);
  },
);

check(
  "A method name may hold a star, as commands of components do",
  async function componentCommand(hub) {
    const { me, client, invoke } = await withDevice(hub);
    const answer = (request, response) => response.send(200, request.methodName, ignore);
    await device.answerMethod(client, me.id, "thermostat1*getReport", answer);
    const { payload } = await invoke({ methodName: "thermostat1*getReport" });
    assert.equal(payload, "thermostat1*getReport");
  },
);

check("Calling methods needs the right of the service policy", async function rights(hub) {
  const { me, client } = await withDevice(hub);
  await echo(client, me);
  const call = (policy) =>
    service.methodsOf(hub, hub.policy(policy)).invokeDeviceMethod(me.id, { methodName: "echo" });
  await call("service");
  for (const policy of ["registryReadWrite", "device"]) {
    await refused("UnauthorizedError", 401, call(policy));
  }
});

/** The SDK's answers can be awaited or not; what goes wrong shows in the call that waits. */
function ignore() {}

async function withDevice(hub) {
  const me = hub.newDevice();
  const client = await device.connected(hub, me.connectionString);
  const methods = service.methodsOf(hub);
  const invoke = async (call) => (await methods.invokeDeviceMethod(me.id, { ...call })).result;
  return { me, client, methods, invoke };
}

function echo(client, me) {
  const answer = (request, response) => response.send(200, request.payload, ignore);
  return device.answerMethod(client, me.id, "echo", answer);
}

/** The error inside `Message`, which for methods is JSON within JSON. */
function innerOf(error) {
  return JSON.parse(JSON.parse(error.responseBody).Message);
}

async function notOnline(call, timeout = "00:00:00") {
  // To the SDK a 404 that is no device's is an Error and nothing more.
  const error = await refused("Error", 404, call);
  const { errorCode, info } = innerOf(error);
  assert.deepEqual([codeOf(error), errorCode], ["DeviceNotOnline", 404103]);
  assert.equal(info.timeout, timeout);
}

await run();
