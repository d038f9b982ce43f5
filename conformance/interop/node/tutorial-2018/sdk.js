/**
 * Two generations of the official SDKs, both unmodified: today's, and those of the tutorial's time.
 *
 * The older ones know neither promises nor a gateway, and go to port 8883 and 443 always.
 */

import { createRequire } from "node:module";
import { promisify } from "node:util";

import * as device from "../device.js";
import { atEnd } from "../runner.js";
import { hear } from "../sdk.js";
import * as service from "../service.js";
import { steer } from "../steer.js";

// Their manifests are of an older make, of which Node would warn each time they are loaded.
process.noDeprecation = true;
const old = createRequire(new URL("../../.env/tutorial-2018/package.json", import.meta.url));
const { Client } = old("azure-iot-device");
const { Mqtt } = old("azure-iot-device-mqtt");
const { JobClient, Registry } = old("azure-iothub");
hear(createRequire(old.resolve("azure-iot-mqtt-base"))("mqtt"));
process.noDeprecation = false;

export const TODAY = {
  registryOf: service.registryOf,
  jobsOf: service.jobsOf,
  connected: device.connected,
};

export const OF_2018 = {
  registryOf(hub) {
    steer(hub);
    return Registry.fromConnectionString(hub.service);
  },
  jobsOf(hub) {
    steer(hub);
    return JobClient.fromConnectionString(hub.service);
  },
  async connected(hub, connectionString) {
    steer(hub);
    const client = Client.fromConnectionString(connectionString, Mqtt);
    await promisify(client.open.bind(client))();
    atEnd(() => promisify(client.close.bind(client))());
    return client;
  },
};
