/** The unmodified SDK from where `run` installed it, and an ear on the MQTT library it uses. */

import { createRequire } from "node:module";

const installed = createRequire(new URL("../.env/node/package.json", import.meta.url));

export const { Client, Message, ModuleClient, SharedAccessKeyAuthenticationProvider } =
  installed("azure-iot-device");
export const { Mqtt, MqttWs } = installed("azure-iot-device-mqtt");
export const { Http } = installed("azure-iot-device-http");
export const { errors } = installed("azure-iot-common");

/** What passed between one client id and the hub, over all of its connections. */
class Wire {
  sent = [];
  received = [];

  /** The topics of all SUBSCRIBE packets so far. */
  subscribed() {
    const filters = this.to("subscribe").flatMap((packet) => packet.subscriptions);
    return filters.map((each) => each.topic);
  }

  /** Whether the hub has answered a SUBSCRIBE of this topic: other topics may have been granted long before. */
  isGranted(topic) {
    const asks = ({ subscriptions }) => subscriptions.some((each) => each.topic === topic);
    const answered = this.from("suback").map((packet) => packet.messageId);
    return this.to("subscribe").some((packet) => asks(packet) && answered.includes(packet.messageId));
  }

  /** The packets of one kind the hub has sent. */
  from(command) {
    return this.received.filter((packet) => packet.cmd === command);
  }

  /** The packets of one kind the SDK has sent; a CONNECT goes out before anyone can listen. */
  to(command) {
    return this.sent.filter((packet) => packet.cmd === command);
  }

  /** What the hub answered to each CONNECT. */
  returnCodes() {
    return this.from("connack").map((packet) => packet.returnCode);
  }
}

const wires = new Map();

/** The wire of a client id, which is `device` or `device/module`. */
export function wireOf(clientId) {
  if (!wires.has(clientId)) wires.set(clientId, new Wire());
  return wires.get(clientId);
}

/** Hears what an MQTT library sends and receives from now on, through its own public events. */
export function hear(mqtt) {
  const { connect } = mqtt;
  mqtt.connect = (address, options) => {
    const wire = wireOf(options.clientId);
    const connection = connect(address, options);
    connection.on("packetsend", (packet) => wire.sent.push(packet));
    connection.on("packetreceive", (packet) => wire.received.push(packet));
    return connection;
  };
}

hear(createRequire(installed.resolve("azure-iot-mqtt-base"))("mqtt"));
