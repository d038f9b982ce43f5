/**
 * A back end of our own: registry and twins over HTTPS, tokens signed with `node:crypto`.
 *
 * It shares no code with the hub or with any SDK, so a mistake in the hub's reading of tokens or
 * paths cannot hide here.
 */

import { createHmac } from "node:crypto";
import https from "node:https";

const API_VERSION = "2021-04-12";
const REQUEST_MILLISECONDS = 10_000;

/** The hub answered with an error status. */
export class Refused extends Error {
  constructor(request, status, body) {
    super(`${request} was answered with ${status}: ${body}`);
    this.status = status;
  }
}

/** Splits a connection string; values may themselves contain an equals sign. */
export function parse(connectionString) {
  const pairs = connectionString.split(";").map((part) => {
    const end = part.indexOf("=");
    return [part.slice(0, end), part.slice(end + 1)];
  });
  return Object.fromEntries(pairs);
}

/** A shared access signature: what is signed is the encoded resource as it stands in `sr`. */
function sasToken(resource, key, policy) {
  const scope = encodeURIComponent(resource);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signer = createHmac("sha256", Buffer.from(key, "base64"));
  const signature = encodeURIComponent(signer.update(`${scope}\n${expiry}`).digest("base64"));
  return `SharedAccessSignature sr=${scope}&sig=${signature}&se=${expiry}&skn=${policy}`;
}

/** The service side of one hub, which listens on `port` of the loopback interface. */
export class Backend {
  #policy;
  #key;
  #tls;

  constructor(connectionString, port, ca) {
    const parts = parse(connectionString);
    this.hostname = parts.HostName;
    this.#policy = parts.SharedAccessKeyName;
    this.#key = parts.SharedAccessKey;
    // The certificate is checked against the public name, wherever the connection leads.
    this.#tls = { host: "127.0.0.1", port, servername: this.hostname, ca, agent: false };
  }

  device(id) {
    return this.#call("GET", devicePath(id));
  }

  async setStatus(id, status) {
    const device = await this.device(id);
    return this.#call("PUT", devicePath(id), { ...device, status }, "*");
  }

  /** Registers a module and returns its connection string. */
  async createModule(id, moduleId) {
    const path = `${devicePath(id)}/modules/${encodeURIComponent(moduleId)}`;
    const module = await this.#call("PUT", path, { deviceId: id, moduleId });
    const key = module.authentication.symmetricKey.primaryKey;
    const identity = `DeviceId=${id};ModuleId=${moduleId}`;
    return `HostName=${this.hostname};${identity};SharedAccessKey=${key}`;
  }

  twin(id, moduleId) {
    return this.#call("GET", twinPath(id, moduleId));
  }

  /** The reported section without the metadata, which no device sees. */
  async reported(id, moduleId) {
    const { $metadata, ...section } = (await this.twin(id, moduleId)).properties.reported;
    return section;
  }

  patchDesired(id, desired, moduleId) {
    return this.#call("PATCH", twinPath(id, moduleId), { properties: { desired } });
  }

  replaceDesired(id, desired, moduleId) {
    return this.#call("PUT", twinPath(id, moduleId), { properties: { desired } }, "*");
  }

  patchTags(id, tags) {
    return this.#call("PATCH", twinPath(id), { tags });
  }

  async #call(method, path, body, ifMatch) {
    const headers = {
      Host: this.hostname,
      Authorization: sasToken(this.hostname, this.#key, this.#policy),
      Accept: "application/json",
    };
    if (ifMatch !== undefined) headers["If-Match"] = `"${ifMatch}"`;
    let content = "";
    if (body !== undefined) {
      content = Buffer.from(JSON.stringify(body));
      headers["Content-Type"] = "application/json; charset=utf-8";
      headers["Content-Length"] = content.length;
    }
    const options = { ...this.#tls, method, path: `${path}?api-version=${API_VERSION}`, headers };
    const { status, text } = await exchange(options, content);
    if (status >= 300) throw new Refused(`${method} ${path}`, status, text);
    return text ? JSON.parse(text) : undefined;
  }
}

function exchange(options, content) {
  const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
  return new Promise((resolve, reject) => {
    const request = https.request({ ...options, signal }, async (answer) => {
      try {
        const chunks = await answer.toArray();
        resolve({ status: answer.statusCode, text: Buffer.concat(chunks).toString() });
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", reject);
    request.end(content);
  });
}

function devicePath(id) {
  return `/devices/${encodeURIComponent(id)}`;
}

function twinPath(id, moduleId) {
  const path = `/twins/${encodeURIComponent(id)}`;
  return moduleId === undefined ? path : `${path}/modules/${encodeURIComponent(moduleId)}`;
}
