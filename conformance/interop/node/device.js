/** Handles for the unmodified SDK client: its life, its twin, its handlers' inboxes. */

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { parse } from "./backend.js";
import { atEnd } from "./runner.js";
import { Client, ModuleClient, Mqtt, wireOf } from "./sdk.js";

/** How long something that must come may take. */
const MESSAGE_MILLISECONDS = 10_000;

/** How much of a value a failure shows. */
const SHOWN_CHARACTERS = 200;

export const METHODS = "$iothub/methods/POST/#";
export const ANSWERS = "$iothub/twin/res/#";
export const DESIRED = "$iothub/twin/PATCH/properties/desired/#";

/** The connection string with the address to connect to; names and token stay as they are. */
export function through(gateway, connectionString) {
  return `${connectionString};GatewayHostName=${gateway}`;
}

/** An SDK client that trusts the hub's CA; it is closed after the check. */
export async function create(hub, connectionString, gateway = hub.gateway) {
  const kind = parse(connectionString).ModuleId ? ModuleClient : Client;
  return prepared(hub, kind.fromConnectionString(through(gateway, connectionString), Mqtt));
}

/** An SDK client that is connected. */
export async function connected(hub, connectionString, gateway) {
  const client = await create(hub, connectionString, gateway);
  await client.open();
  return client;
}

/** The same for a client that was made otherwise. */
export async function prepared(hub, client) {
  await client.setOptions({ ca: hub.ca });
  atEnd(() => client.close());
  return client;
}

/** Reads the twin; gives its two sections as the SDK holds them. */
export async function read(client) {
  const { desired, reported } = (await client.getTwin()).properties;
  // The SDK keeps its own function beside the reported values.
  const { update, ...values } = reported;
  return { desired, reported: values };
}

/** Sends a reported patch and waits for the hub's answer. */
export async function report(twin, patch) {
  const { reported } = twin.properties;
  await promisify(reported.update)(patch);
}

/** A handler that keeps what the SDK hands over. */
export class Inbox {
  #items = [];

  put = (item) => this.#items.push(structuredClone(item));

  /** The next item; it must come within the budget. */
  async take() {
    await eventually("the SDK hands something over", () => this.#items.length > 0);
    return this.#items.shift();
  }

  isEmpty() {
    return this.#items.length === 0;
  }
}

/** Subscribes to desired notifications and waits for the SUBACK. */
export async function watchDesired(client, clientId) {
  const twin = await client.getTwin();
  const inbox = new Inbox();
  twin.on("properties.desired", inbox.put);
  // A new listener is first given what the SDK has read already.
  equal("copy given to a new listener", await inbox.take(), twin.properties.desired);
  await eventually("SUBACK", () => wireOf(clientId).isGranted(DESIRED));
  return { twin, desired: inbox };
}

/** Answers a method from now on; the hub has granted the subscription when this returns. */
export async function answerMethod(client, clientId, name, handler) {
  client.onDeviceMethod(name, handler);
  await eventually("SUBACK for methods", () => wireOf(clientId).isGranted(METHODS));
}

/** Compares as JSON, the order of keys aside. */
export function equal(what, got, wanted) {
  const [left, right] = [canonical(wanted), canonical(got)];
  if (left === right) return;
  const start = interestingStart(left, right);
  const shown = [left, right].map((text) => text.slice(start, start + SHOWN_CHARACTERS));
  assert.fail(`${what}: wanted ${shown[0]}; got ${shown[1]}`);
}

function canonical(value) {
  const sorted = (_, each) =>
    each && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.keys(each).sort().map((key) => [key, each[key]]))
      : each;
  return JSON.stringify(value, sorted) ?? "undefined";
}

/** Short values are shown whole, long ones from shortly before they part. */
function interestingStart(left, right) {
  if (Math.max(left.length, right.length) <= SHOWN_CHARACTERS) return 0;
  let common = 0;
  while (left[common] === right[common]) common += 1;
  return Math.max(0, common - 40);
}

/** Waits until the condition holds, for as long as a message may take. */
export async function eventually(what, condition) {
  const deadline = Date.now() + MESSAGE_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within ${MESSAGE_MILLISECONDS / 1000} s: ${what}`);
    await pause(10);
  }
}

/** The error of exactly this kind that the action must give. */
export async function raised(kind, action) {
  const outcome = await action().then(
    () => undefined,
    (error) => error,
  );
  assert.ok(outcome, `wanted ${kind.name}; nothing was thrown`);
  assert.equal(outcome.constructor, kind, `wanted ${kind.name}; got ${outcome}`);
  return outcome;
}
