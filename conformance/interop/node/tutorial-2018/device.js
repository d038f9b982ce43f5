/**
 * The device side of the firmware tutorial of 2018: a simulated device that follows its twin.
 *
 * A new `firmware` among the desired properties starts an update; every step is reported, so that
 * the back end can watch it by queries (firmware-patterns.md, part b).
 * Where the published sample harms itself, this device follows the pattern instead: a request that
 * comes during an update is left alone, and an update keeps the values it began with.
 */

import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

/** Steps of an update in their order, with how long each takes here, in milliseconds. */
const STEPS = [
  { status: "downloading", begun: "Start downloading", done: "Finished downloading", lasts: 30 },
  {
    status: "verifying",
    begun: "Start verifying download",
    done: "Finished verifying download",
    lasts: 10,
    run: verify,
  },
  {
    status: "applying",
    begun: "Start applying image",
    done: "Finished applying image",
    lasts: 30,
  },
  { status: "rebooting", begun: "Start reboot", done: "Finished reboot", lasts: 40 },
];

/** How long a failure stays to be seen before the device rolls back, in milliseconds. */
const ROLL_BACK_AFTER = 50;

/** What a device is before its first update. */
const INITIAL = {
  currentFwVersion: "1.0.0",
  pendingFwVersion: "",
  fwUpdateStatus: "current",
  fwUpdateSubstatus: "",
  lastFwUpdateStartTime: "",
  lastFwUpdateEndTime: "",
};

/**
 * Runs the device on an SDK client that is connected.
 *
 * `goodCheckValue` is what a sound image has; another one in a request makes `verify` fail.
 */
export async function startDevice(client, goodCheckValue) {
  const twin = await promisify(client.getTwin.bind(client))();
  const device = new Device(twin, goodCheckValue);
  await device.begin();
  return device;
}

class Device {
  #twin;
  #goodCheckValue;
  #version = INITIAL.currentFwVersion;
  #isUpdating = false;

  constructor(twin, goodCheckValue) {
    this.#twin = twin;
    this.#goodCheckValue = goodCheckValue;
  }

  async begin() {
    await this.#report(INITIAL);
    this.#twin.on("properties.desired.firmware", (wanted) => {
      // A null tells that nothing is wanted any more; what is installed stays.
      if (wanted !== null) this.#follow({ ...wanted });
    });
  }

  async #follow(wanted) {
    if (this.#isUpdating) return;
    if (wanted.fwVersion === this.#version) {
      await this.#say("current", "Firmware already up to date");
    } else if (!wanted.fwPackageURI?.startsWith("https:")) {
      await this.#say("error", "Insecure package URI");
    } else {
      this.#isUpdating = true;
      await this.#update(wanted);
      this.#isUpdating = false;
    }
  }

  async #update(wanted) {
    await this.#report({
      pendingFwVersion: wanted.fwVersion,
      fwUpdateStatus: "current",
      fwUpdateSubstatus: "",
      lastFwUpdateStartTime: new Date().toISOString(),
    });
    try {
      for (const step of STEPS) await this.#take(step, wanted);
    } catch (failure) {
      await this.#rollBack(failure);
      return;
    }
    this.#version = wanted.fwVersion;
    await this.#report({
      currentFwVersion: this.#version,
      pendingFwVersion: "",
      fwUpdateStatus: "current",
      fwUpdateSubstatus: "",
      lastFwUpdateEndTime: new Date().toISOString(),
    });
  }

  async #take({ status, begun, done, lasts, run }, wanted) {
    await this.#say(status, begun);
    await pause(lasts);
    run?.(wanted, this.#goodCheckValue);
    await this.#say(status, done);
  }

  async #rollBack(failure) {
    await this.#say("error", failure.message);
    await pause(ROLL_BACK_AFTER);
    await this.#say("rolledback", `Rolled back to: ${this.#version}`);
  }

  #say(fwUpdateStatus, fwUpdateSubstatus) {
    return this.#report({ fwUpdateStatus, fwUpdateSubstatus });
  }

  #report(firmware) {
    return promisify(this.#twin.properties.reported.update)({ firmware });
  }
}

function verify(wanted, goodCheckValue) {
  if (wanted.fwPackageCheckValue !== goodCheckValue) throw new Error("Image verification failed");
}
