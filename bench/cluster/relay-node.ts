// A gateway that is nothing but a relay: what comes over a WebSocket goes into a NATS request, and its answer back. It has no
// sessions, no limits, no protocol, and tells nobody but the sender.
//
//   relay-node <subject>

import uws from "uWebSockets.js";
import { connect } from "@nats-io/transport-node";
import { beMeasured } from "../processes.ts";

const [subject = ""] = process.argv.slice(2);
const WITHIN_MS = 60_000;
const nats = await connect({ servers: URL.parse(process.env.NATS_URL ?? "")?.host ?? "" });

const app = uws.App().ws<{ open: boolean }>("/*", {
  idleTimeout: 0,
  upgrade: (response, request, context) =>
    response.upgrade(
      { open: true },
      request.getHeader("sec-websocket-key"),
      request.getHeader("sec-websocket-protocol"),
      request.getHeader("sec-websocket-extensions"),
      context,
    ),
  message(socket, message) {
    const session = socket.getUserData();
    const bytes = new Uint8Array(message.slice(0)); // outlives the handler
    void nats.request(subject, bytes, { timeout: WITHIN_MS }).then(({ data }) => {
      if (session.open) socket.send(data, true);
    });
  },
  close: (socket) => {
    socket.getUserData().open = false;
  },
});

app.listen("127.0.0.1", 0, (listening) => {
  if (!listening) throw new Error("no port is free");
  beMeasured({ port: uws.us_socket_local_port(listening) }, async () => {
    app.close();
    await nats.close();
  });
});
