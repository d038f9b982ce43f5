/**
 * Leads TLS connections to port 443 of a hub's name, where the service SDK always goes, to the hub.
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
  hubs.set(hub.hostname, { port: hub.httpsPort, ca: isTrusted ? hub.ca : undefined });
}

tls.connect = (options, ...rest) => {
  const { host, port } = options;
  if (LOOPBACK.has(host)) return connect(options, ...rest);
  const hub = port === 443 ? hubs.get(host) : undefined;
  if (hub === undefined) throw new Error(`a connection to ${host}:${port} was to be opened`);
  return connect({ ...options, ...hub, host: "127.0.0.1", servername: host }, ...rest);
};
