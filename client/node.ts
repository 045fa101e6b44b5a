// What the SDK has for Node beside client/index.ts: a socket, and a store in a file.

import { WebSocket } from "ws";
import type { WebSocketFactory } from "./ports.ts";

export { createFileStore } from "./store/file.ts";

/** The WebSocket of the `ws` package, for Node has none of its own before 22. */
export const nodeWebSocket: WebSocketFactory = (url, events) => {
  let over = false;
  const closed = (reason: string) => {
    if (over) return;
    over = true;
    events.closed(reason);
  };
  let socket: WebSocket;
  try {
    socket = new WebSocket(url, { perMessageDeflate: false });
  } catch (error) {
    queueMicrotask(() => closed(String(error)));
    return { send() {}, close() {} };
  }
  socket.on("open", () => events.opened());
  socket.on("message", (data, isBinary) => {
    // A buffer of `ws` may share its memory with the next frame.
    if (!over && isBinary && data instanceof Buffer) events.message(new Uint8Array(data));
  });
  socket.on("error", (error) => closed(error.message));
  socket.on("close", (code, reason) => closed(reason.toString() || `code ${code}`));
  return {
    send(bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    },
    close: () => socket.terminate(),
  };
};
