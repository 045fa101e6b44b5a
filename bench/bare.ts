// The baselines: what a program costs that does nothing but move the same bytes through the same libraries.
//
// A message is [kind: 1 byte][target: 4 bytes, little endian][bytes]. HERE says who the socket is. DIRECT: the bytes are put
// into LMDB, durably, then the sender is told and the target gets them. GROUP: all sockets of the group get them.

import uws from "uWebSockets.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { Bare } from "./bare-client.ts";
import { beMeasured } from "./processes.ts";

interface Socket {
  id: number;
}

const ack = Buffer.from([0x08, 1, 0x1a, 24, ...Array.from({ length: 24 }, () => 7)]); // as long as Madang's
const folder = mkdtempSync(join(tmpdir(), "madang-bare-"));
const rows = open<Uint8Array, number>({ path: join(folder, "rows"), encoding: "binary", overlappingSync: false });
const sockets = new Map<number, uws.WebSocket<Socket>>();
let lastKey = 0;

const app = uws.App().ws<Socket>("/*", {
  idleTimeout: 0,
  maxPayloadLength: 524_288,
  upgrade: (response, request, context) =>
    response.upgrade(
      { id: 0 },
      request.getHeader("sec-websocket-key"),
      request.getHeader("sec-websocket-protocol"),
      request.getHeader("sec-websocket-extensions"),
      context,
    ),
  message(socket, message) {
    const view = Buffer.from(message);
    const target = view.readUInt32LE(1);
    if (view[0] === Bare.HERE) {
      socket.getUserData().id = target;
      sockets.set(target, socket);
      if (view.length > 5) socket.subscribe(`g${view.readUInt32LE(5)}`);
      socket.send(ack, true);
    } else if (view[0] === Bare.GROUP) {
      app.publish(`g${target}`, view.subarray(5), true);
      socket.send(ack, true);
    } else {
      const bytes = Buffer.from(view.subarray(5)); // outlives the handler
      void rows.put(++lastKey, bytes).then(() => {
        if (sockets.get(socket.getUserData().id) === socket) socket.send(ack, true);
        sockets.get(target)?.send(bytes, true);
      });
    }
  },
  close: (socket) => void sockets.delete(socket.getUserData().id),
});

app.listen("127.0.0.1", 0, (listening) => {
  if (!listening) throw new Error("no port is free");
  beMeasured({ port: uws.us_socket_local_port(listening) }, async () => {
    await rows.close();
    rmSync(folder, { recursive: true, force: true });
  });
});
