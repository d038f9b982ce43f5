/**
 * Leads TLS connections to the standard ports of a hub's name, where some SDKs go, to that hub.
 *
 * Only the address and the list of trusted authorities are given; the certificate is checked by
 * Node as ever, against the public name. Nothing else than the loopback interface is reachable.
 */

import tls from "node:tls";

const LOOPBACK = new Set(["localhost", "127.0.0.1"]);

const hubs = new Map();
const { connect } = tls;

/** From now on the hub is found under its name and, unless it is said otherwise, trusted. */
export function steer(hub, { isTrusted = true } = {}) {
  const ports = new Map([[443, hub.httpsPort], [8883, hub.mqttsPort]]);
  hubs.set(hub.hostname, { ports, trust: isTrusted ? { ca: hub.ca } : {} });
}

tls.connect = (options, ...rest) => {
  const { host } = options;
  if (LOOPBACK.has(host)) return connect(options, ...rest);
  const { ports, trust } = hubs.get(host) ?? {};
  const port = ports?.get(options.port);
  if (!port) throw new Error(`a connection to ${host}:${options.port} was to be opened`);
  const address = { host: "127.0.0.1", port, servername: host };
  return connect({ ...options, ...address, ...trust }, ...rest);
};
