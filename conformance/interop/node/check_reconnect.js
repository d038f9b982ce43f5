/**
 * After a reconnect (hub-mqtt.md § 2.7, § 3, § 6.4; sdk-wire-facts.md, fact 1).
 *
 * The SDK subscribes to the twin topics once and never again, so everything here rests on the hub's
 * memory. Each check makes sure that the SDK sent no such SUBSCRIBE; else it would prove nothing.
 */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { Relay } from "./relay.js";
import { check, run } from "./runner.js";
import { Client, Mqtt, SharedAccessKeyAuthenticationProvider, wireOf } from "./sdk.js";

check(
  "After the link was cut the SDK comes back, and notifications and answers still arrive",
  async function cutLink(hub) {
    const { me, relay, watched } = await watchingBehindRelay(hub);
    relay.cut();
    await device.eventually("the SDK is back", () => connections(me) === 2);
    await stillServed(hub, me, watched, 3);
    notSubscribedAgain(me);
  },
);

check(
  "The hub remembers the session: CONNACK says so on the return, and only then",
  async function sessionPresent(hub) {
    const { me, relay, watched } = await watchingBehindRelay(hub);
    relay.cut();
    await device.eventually("the SDK is back", () => connections(me) === 2);
    await stillServed(hub, me, watched, 3);
    const present = wireOf(me.id).from("connack").map((packet) => packet.sessionPresent);
    device.equal("session present", present, [false, true]);
  },
);

check(
  "A change made during an outage is not queued; the next one arrives, and getTwin has both",
  async function changeDuringAnOutage(hub) {
    const { me, relay, watched } = await watchingBehindRelay(hub);
    await relay.outage(async () => {
      await device.eventually("the hub noticed", () => isDisconnected(hub, me));
      await hub.backend.patchDesired(me.id, { missed: true });
    });
    await device.eventually("the SDK is back", () => connections(me) === 2);
    await stillServed(hub, me, watched, 4);
    const { desired } = await device.read(watched.client);
    device.equal("twin", desired, { on: 1, missed: true, later: true, $version: 4 });
    notSubscribedAgain(me);
  },
);

check(
  "A second connection ends the first, which takes its place back and is still subscribed",
  async function takeOver(hub) {
    const me = hub.newDevice();
    const first = await device.connected(hub, me.connectionString);
    const watched = await watch(hub, me, first);
    // The second has no handler, so that it does not fight back.
    await device.connected(hub, me.connectionString);
    await device.eventually("both connected, then the first again", () => connections(me) === 3);
    await stillServed(hub, me, watched, 3);
    notSubscribedAgain(me);
  },
);

check(
  "Renewing the token, a DISCONNECT and a CONNECT, leaves the subscriptions alone",
  async function tokenRenewal(hub) {
    const me = hub.newDevice();
    const steered = device.through(hub.gateway, me.connectionString);
    const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(steered);
    const client = Client.fromAuthenticationProvider(provider, Mqtt);
    await (await device.prepared(hub, client)).open();
    const watched = await watch(hub, me, client);
    // A token for two hours, to be renewed a quarter of an hour before; the SDK renews at once.
    provider.setTokenRenewalValues(7200, 900);
    await device.eventually("the SDK is back", () => connections(me) === 2);
    device.equal("DISCONNECTs", wireOf(me.id).to("disconnect").length, 1);
    await stillServed(hub, me, watched, 3);
    notSubscribedAgain(me);
  },
);

check(
  "After close and open, notifications and answers arrive as before",
  async function orderlyReturn(hub) {
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const watched = await watch(hub, me, client);
    await client.close();
    await device.eventually("the hub noticed", () => isDisconnected(hub, me));
    await client.open();
    await stillServed(hub, me, watched, 3);
    notSubscribedAgain(me);
  },
);

/** A client with a desired handler that has proved itself, behind a relay. */
async function watchingBehindRelay(hub) {
  const me = hub.newDevice();
  const relay = await Relay.to(hub.mqttsPort);
  const client = await device.connected(hub, me.connectionString, relay.gateway);
  return { me, relay, watched: await watch(hub, me, client) };
}

/** Subscribes to twin answers and desired notifications, each tried once. */
async function watch(hub, me, client) {
  const watched = { client, ...(await device.watchDesired(client, me.id)) };
  await hub.backend.patchDesired(me.id, { on: 1 });
  device.equal("positive control", await watched.desired.take(), { on: 1, $version: 2 });
  notSubscribedAgain(me);
  return watched;
}

function notSubscribedAgain(me) {
  const wanted = [device.ANSWERS, device.DESIRED];
  device.equal("topics the SDK has ever subscribed to", wireOf(me.id).subscribed(), wanted);
}

function connections(me) {
  return wireOf(me.id).from("connack").length;
}

async function isDisconnected(hub, me) {
  return (await hub.backend.twin(me.id)).connectionState === "Disconnected";
}

/** Notifications and twin answers both arrive on the new connection. */
async function stillServed(hub, me, { twin, desired }, version) {
  await hub.backend.patchDesired(me.id, { later: true });
  device.equal("notification", await desired.take(), { later: true, $version: version });
  await device.report(twin, { seen: version });
  const wanted = { seen: version, $version: 2 };
  device.equal("reported", await hub.backend.reported(me.id), wanted);
  assert.ok(desired.isEmpty(), "a change was announced twice");
}

await run();
