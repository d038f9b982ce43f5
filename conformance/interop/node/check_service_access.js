/** Who may use the service SDK, and what stops it (hub-auth.md § 3; hub-http.md § 6, § 10). */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { parse } from "./backend.js";
import { Hub } from "./hub.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { codeOf, newId, refused } from "./service.js";
import { steer } from "./steer.js";

check("The form with callbacks, of older programs, works as well", async function callbacks(hub) {
  const registry = service.registryOf(hub);
  const deviceId = newId();
  const call = (method, argument) =>
    new Promise((resolve) => registry[method](argument, (...given) => resolve(given)));
  const [failure, made, answer] = await call("create", { deviceId });
  assert.deepEqual([failure, made.deviceId, answer.statusCode], [null, deviceId, 200]);
  const [error] = await call("create", { deviceId });
  assert.equal(error.constructor.name, "DeviceAlreadyExistsError");
});

check(
  "A wrong key or policy name gives UnauthorizedError; the right ones then still work",
  async function wrongCredentials(hub) {
    const { SharedAccessKey } = parse(hub.service);
    const wrong = [
      hub.service.replace(SharedAccessKey, keyOf("wrong")),
      hub.service.replace("iothubowner", "nobody"),
    ];
    for (const each of wrong) {
      const registry = service.registryOf(hub, each);
      await refused("UnauthorizedError", 401, registry.getRegistryStatistics());
    }
    await service.registryOf(hub).getRegistryStatistics();
  },
);

check("Each policy opens what it is for, and no more", async function policies(hub) {
  const names = ["registryRead", "registryReadWrite", "service", "device"];
  const [reader, writer, backend, ofDevices] = names.map((name) =>
    service.registryOf(hub, hub.policy(name)),
  );
  const deviceId = newId();
  await refused("UnauthorizedError", 401, reader.create({ deviceId }));
  await refused("UnauthorizedError", 401, backend.create({ deviceId }));
  await writer.create({ deviceId });
  await reader.get(deviceId);
  await backend.getTwin(deviceId);
  await refused("UnauthorizedError", 401, backend.get(deviceId));
  await refused("UnauthorizedError", 401, reader.getTwin(deviceId));
  await refused("UnauthorizedError", 401, writer.createQuery("SELECT * FROM devices").next());
  await refused("UnauthorizedError", 401, ofDevices.get(deviceId));
});

check(
  "A ready-made token opens the hub until it expires, and cannot be prolonged by hand",
  async function readyMadeToken(hub) {
    const { SharedAccessKey: key, SharedAccessKeyName: policy } = parse(hub.service);
    const registry = service.registryOf(hub);
    const use = (token) => registry.constructor.fromSharedAccessSignature(token).list();
    const now = Math.floor(Date.now() / 1000);
    await use(token(hub.hostname, key, policy, now + 600));
    const expired = token(hub.hostname, key, policy, now - 600);
    await refused("UnauthorizedError", 401, use(expired));
    const byHand = expired.replace(/se=\d+/, `se=${now + 600}`);
    await refused("UnauthorizedError", 401, use(byHand));
  },
);

check(
  "Steering leaves TLS alone: without the hub's CA the SDK reads no answer",
  async function untrustedHub(hub) {
    const registry = service.registryOf(hub);
    steer(hub, { isTrusted: false });
    const wanted = { code: /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/ };
    await assert.rejects(registry.list(), wanted);
    steer(hub);
    await registry.list();
  },
);

check(
  "A throttled hub gives ThrottlingError",
  async function throttled(hub) {
    const busy = await Hub.start(process.argv[2], 0, ["--throttle", "registry=1/2"]);
    try {
      const registry = service.registryOf(busy);
      await registry.list();
      const error = await refused("ThrottlingError", 429, manyAtOnce(() => registry.list()));
      assert.equal(codeOf(error), "ThrottlingException");
    } finally {
      await busy.stop();
      steer(hub);
    }
  },
);

check(
  "Import and export of identities are refused by a name that says so, and there are no such jobs",
  async function notOffered(hub) {
    const registry = service.registryOf(hub);
    const blob = "https://blob.test/devices?sig=x";
    for (const call of [
      () => registry.importDevicesFromBlob(blob, blob),
      () => registry.exportDevicesToBlob(blob, true),
    ]) {
      assert.equal(codeOf(await refused("Error", 404, call())), "FeatureNotSupported");
    }
    assert.deepEqual(await service.body(registry.listJobs()), []);
    for (const call of ["getJob", "cancelJob"]) {
      assert.equal(codeOf(await refused("Error", 404, registry[call]("none"))), "JobNotFound");
    }
  },
);

/** Rejects as soon as one of many calls that begin together does. */
function manyAtOnce(call) {
  return Promise.all(Array.from({ length: 20 }, call));
}

/** A key of the right form. */
function keyOf(text) {
  return Buffer.from(text.padEnd(32, ".")).toString("base64");
}

function token(resource, key, policy, expiry) {
  const scope = encodeURIComponent(resource);
  const signer = createHmac("sha256", Buffer.from(key, "base64"));
  const signature = encodeURIComponent(signer.update(`${scope}\n${expiry}`).digest("base64"));
  return `SharedAccessSignature sr=${scope}&sig=${signature}&se=${expiry}&skn=${policy}`;
}

await run();
