/** The hub under judgement: `twinspec serve` as a child process on free loopback ports. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { Backend } from "./backend.js";

const HOSTNAME = "hub.twinspec.test";
const STOP_MILLISECONDS = 10_000;

export class Hub {
  #process;
  #ended;
  #unused;
  #caFile;
  #policies;

  /** A hub that is ready, with so many devices; `options` are further ones of `twinspec serve`. */
  static async start(binary, devices, options = []) {
    const hub = new Hub(binary, devices, options);
    try {
      hub.#read(await announcement(hub.#process.stdout));
    } catch (error) {
      await hub.stop();
      throw error;
    }
    return hub;
  }

  constructor(binary, devices, options) {
    const listen = ["--mqtts", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    const rest = ["--hostname", HOSTNAME, "--devices", String(devices), "--format", "json"];
    const stdio = ["ignore", "pipe", "inherit"];
    this.#process = spawn(binary, ["serve", ...listen, ...rest, ...options], { stdio });
    this.#ended = once(this.#process, "exit");
    // Whoever waits for the end is told; nobody else needs to hear that it did not start.
    this.#ended.catch(() => {});
    // A process that is interrupted does not leave its hub behind.
    process.on("exit", () => this.#process.kill("SIGTERM"));
  }

  #read(announced) {
    this.hostname = announced.hostname;
    this.#caFile = announced.ca_file;
    this.ca = readFileSync(this.#caFile, "utf8");
    this.mqttsPort = portOf(announced.endpoints.mqtts);
    // The SDK takes a port in the name of a gateway; user name and token keep the hub's name.
    this.gateway = `localhost:${this.mqttsPort}`;
    this.httpsPort = portOf(announced.endpoints.https);
    this.control = announced.endpoints.control;
    this.#policies = announced.policies;
    this.service = announced.service_connection_string;
    this.backend = new Backend(this.service, this.httpsPort, this.ca);
    this.#unused = announced.devices.map((each) => ({
      id: each.device_id,
      connectionString: each.connection_string,
    }));
  }

  /** The connection string of one of the hub's policies. */
  policy(name) {
    const key = this.#policies[name];
    return `HostName=${this.hostname};SharedAccessKeyName=${name};SharedAccessKey=${key}`;
  }

  /** A registered device no other check uses: `id` and `connectionString`. */
  newDevice() {
    return this.#unused.shift();
  }

  /** Asks the hub to end by SIGTERM, if that has not happened, and returns its exit code. */
  async stop() {
    this.#process.kill("SIGTERM");
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MILLISECONDS);
    const [code] = await this.#ended;
    clearTimeout(killer);
    return code;
  }

  leftCaFileBehind() {
    return existsSync(this.#caFile);
  }
}

/** The JSON object the hub prints when it is ready; the hub goes on running after it. */
async function announcement(output) {
  let text = "";
  for await (const line of createInterface({ input: output })) {
    text += line;
    if (line === "}") return JSON.parse(text);
  }
  throw new Error(`the hub ended before it was ready, having said ${JSON.stringify(text)}`);
}

function portOf(address) {
  return Number(new URL(address).port);
}
