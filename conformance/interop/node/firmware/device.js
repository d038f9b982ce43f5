/**
 * Devices of the three older firmware-update patterns, on the official device SDK.
 *
 * Written from the patterns' rules (firmware-patterns.md (b) to (d), section 6); nothing is shared
 * with the reference devices. `FIRMWARE_DEFECT` names something to do wrong on purpose.
 */

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { Client, Mqtt } from "../sdk.js";

const UNIT = 150;
const GOOD_CHECK_VALUE = "c0ffee77";
const DEFECT = process.env.FIRMWARE_DEFECT ?? "";

class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Reports in order; what could not be said is said again, as it is by then, when it can be. */
class Link {
  #twin;
  #truth = {};
  #outbox = [];
  #isSending = false;

  constructor(twin) {
    this.#twin = twin;
  }

  say(patch) {
    merge(this.#truth, patch);
    this.#outbox.push(patch);
    this.#send();
  }

  async #send() {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#outbox.length > 0) {
      const patch = this.#outbox.shift();
      try {
        await promisify(this.#twin.properties.reported.update.bind(this.#twin.properties.reported))(patch);
      } catch (error) {
        console.error(`a report failed: ${error}`);
        await pause(200);
        this.#outbox = [structuredClone(this.#truth)];
      }
    }
    this.#isSending = false;
  }
}

function merge(target, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete target[name];
    else if (typeof value === "object") merge((target[name] ??= {}), value);
    else target[name] = value;
  }
}

/** What is acted out: what an image is like is part of its address. */
async function work(phase, uri, check) {
  await pause(UNIT);
  if (phase === "download" && uri.includes("missing")) {
    throw new Failure("DownloadFailed", "there is no such image");
  }
  if (phase === "verify" && check !== GOOD_CHECK_VALUE) {
    throw new Failure("VerificationFailed", "Image verification failed");
  }
  if (phase === "apply" && uri.includes("broken")) {
    throw new Failure("ApplyFailed", "the image cannot be written");
  }
}

const now = () => new Date().toISOString();

/** Pattern (b). */
class TwinJob {
  static #PHASES = [
    ["download", "downloading", "Start downloading", "Finished downloading"],
    ["verify", "verifying", "Start verifying download", "Finished verifying download"],
    ["apply", "applying", "Start applying image", "Finished applying image"],
    ["reboot", "rebooting", "Start reboot", "Finished reboot"],
  ];

  #link;
  #twin;
  #version;
  #wanted = {};
  #isBusy = false;

  constructor(client, twin, link) {
    this.#twin = twin;
    this.#link = link;
    this.#version = twin.properties.reported.firmware?.currentFwVersion || "1.0.0";
  }

  start() {
    this.#report({
      currentFwVersion: this.#version,
      pendingFwVersion: "",
      fwUpdateStatus: "current",
      fwUpdateSubstatus: "",
      lastFwUpdateStartTime: "",
      lastFwUpdateEndTime: "",
    });
    // The SDK calls this with what is wanted already, and then with each patch.
    let isFirst = this.#twin.properties.desired.firmware !== undefined;
    this.#twin.on("properties.desired.firmware", (patch) => {
      if (patch === null) return;
      if (DEFECT === "partial-patch" && patch.fwPackageURI === undefined) process.exit(1);
      Object.assign(this.#wanted, structuredClone(patch));
      const isKnown = isFirst && this.#wanted.fwVersion === this.#version;
      isFirst = false;
      if (!isKnown) this.#consider({ ...this.#wanted });
    });
  }

  #report(members) {
    this.#link.say({ firmware: members });
  }

  #show(fwUpdateStatus, fwUpdateSubstatus) {
    this.#report({ fwUpdateStatus, fwUpdateSubstatus });
  }

  #consider(request) {
    if (this.#isBusy || !request.fwVersion) return;
    if (request.fwVersion === this.#version) {
      this.#show("current", "Firmware already up to date");
    } else if (!request.fwPackageURI?.startsWith("https://") && DEFECT !== "takes-http") {
      this.#show("error", "Insecure package URI");
    } else {
      this.#isBusy = true;
      this.#update(request);
    }
  }

  async #update(request) {
    this.#report({
      pendingFwVersion: request.fwVersion,
      fwUpdateStatus: "current",
      fwUpdateSubstatus: "",
      lastFwUpdateStartTime: now(),
    });
    try {
      for (const [phase, status, begun, done] of TwinJob.#PHASES) {
        if (DEFECT === "skips-verifying" && phase === "verify") continue;
        this.#show(status, begun);
        await work(phase, request.fwPackageURI, request.fwPackageCheckValue);
        this.#show(status, done);
      }
    } catch (failure) {
      this.#show("error", failure.message);
      await pause(UNIT);
      this.#end("rolledback", `Rolled back to: ${this.#version}`);
      return;
    }
    this.#version = request.fwVersion;
    this.#end("current", "");
  }

  #end(fwUpdateStatus, fwUpdateSubstatus) {
    this.#isBusy = false;
    this.#report({
      currentFwVersion: this.#version,
      pendingFwVersion: "",
      fwUpdateStatus,
      fwUpdateSubstatus,
      lastFwUpdateEndTime: now(),
    });
  }
}

/** What patterns (c) and (d) share: a call that starts an update. */
class Method {
  isBusy = false;

  constructor(client, _twin, link) {
    this.link = link;
    client.onDeviceMethod("firmwareUpdate", (request, response) => {
      if (this.isBusy && DEFECT !== "interleaves") {
        this.#answer(response, 409, "Firmware update already running");
        return;
      }
      this.isBusy = true;
      this.#answer(response, 200, this.accepted);
      this.update(request.payload?.fwPackageUri ?? "");
    });
  }

  #answer(response, status, payload) {
    response.send(status, payload, (error) => {
      if (error) console.error(`an answer failed: ${error}`);
    });
  }
}

/** Pattern (c), as the tutorial of 2016 spells it. */
class DirectMethod extends Method {
  accepted = "FirmwareUpdate started";

  start() {}

  #report(status, members = {}) {
    this.link.say({ iothubDM: { firmwareUpdate: { status, ...members } } });
  }

  async update(uri) {
    const first = DEFECT === "foreign-word" ? "Waiting" : "waiting";
    this.#report(first, { fwPackageUri: uri, error: null, startedWaitingTime: now() });
    await pause(UNIT);
    try {
      this.#report("downloading");
      if (!uri.startsWith("https://")) throw new Failure("InvalidUrl", "only https is fetched");
      await work("download", uri);
    } catch (failure) {
      return this.#end("downloadfailed", failure);
    }
    this.#report("downloadComplete", { downloadCompleteTime: now() });
    await pause(UNIT);
    try {
      this.#report("applying", { startedApplyingImage: now() });
      await work("apply", uri);
    } catch (failure) {
      return this.#end("applyFailed", failure);
    }
    this.isBusy = false;
    this.#report("applyComplete", { lastFirmwareUpdate: now() });
  }

  #end(status, { code, message }) {
    this.isBusy = false;
    this.#report(status, { error: DEFECT === "empty-error" ? {} : { code, message } });
  }
}

/** Pattern (d). */
class DirectMethod2018 extends Method {
  accepted = { Response: "Firmware update started" };

  start() {
    this.#report(DEFECT === "lower-case" ? "standby" : "standBy", "logTime");
  }

  #report(firmwareStatus, companion) {
    const time = now().replace("T", " ").replace("Z", "000");
    this.link.say({ firmwareStatus, [companion]: time });
  }

  async update() {
    await pause(UNIT);
    this.#report("downloading", "downloadComplete");
    await pause(2 * UNIT);
    if (DEFECT !== "skips-applying") this.#report("applying", "startedApplyingImage");
    await pause(2 * UNIT);
    this.isBusy = false;
    this.#report("completed", "lastFirmwareUpdate");
  }
}

const PATTERNS = {
  "twin-job": TwinJob,
  "direct-method": DirectMethod,
  "direct-method-2018": DirectMethod2018,
};

const [pattern, connectionString, port, caFile] = process.argv.slice(2);
const client = Client.fromConnectionString(
  `${connectionString};GatewayHostName=localhost:${port}`,
  Mqtt,
);
await client.setOptions({ ca: readFileSync(caFile, "utf8") });
client.on("error", (error) => console.error(`the SDK tells of ${error}`));
await client.open();
const twin = await client.getTwin();
new PATTERNS[pattern](client, twin, new Link(twin)).start();
