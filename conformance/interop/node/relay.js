/**
 * A TCP relay between the SDK and the hub whose links can be cut.
 *
 * It lets a check take the network away without a word to the SDK or to the hub: no DISCONNECT is
 * sent, both ends just see their socket close. Until the outage ends, new connections are accepted
 * and then hear nothing; the SDK waits for that, while it gives up when a connection is refused.
 */

import { once } from "node:events";
import net from "node:net";

import { atEnd } from "./runner.js";

export class Relay {
  #target;
  #server = net.createServer((near) => this.#accept(near));
  #sockets = new Set();
  #waiting = [];
  #isUp = true;

  /** A relay to a port of the loopback interface; it ends with the check. */
  static async to(port) {
    const relay = new Relay();
    relay.#target = port;
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    relay.gateway = `localhost:${relay.#server.address().port}`;
    atEnd(() => relay.#close());
    return relay;
  }

  /** Cuts every link; new ones come about at once. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every link and lets no new one come about until the action has ended. */
  async outage(action) {
    this.#isUp = false;
    this.cut();
    try {
      return await action();
    } finally {
      this.#isUp = true;
      for (const near of this.#waiting.splice(0)) this.#link(near);
    }
  }

  #close() {
    this.#server.close();
    this.cut();
  }

  #accept(near) {
    this.#keep(near);
    if (this.#isUp) this.#link(near);
    else this.#waiting.push(near);
  }

  #link(near) {
    if (near.destroyed) return;
    const far = net.connect(this.#target, "127.0.0.1");
    this.#keep(far);
    near.pipe(far).pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  }

  #keep(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // That a link breaks is what it is here for.
    socket.on("error", () => {});
  }
}
