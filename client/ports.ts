// What the SDK asks of the world: time, chance, sockets and HTTP, as ports of a few methods each. The system's own stand
// below, and only here; a simulator hands in others.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds that never jump; only differences mean something. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the wall. Only for the ages of access tokens. */
  wallMs(): number;
  /** Runs `task` once after `delayMs`. */
  after(delayMs: number, task: () => void): Timer;
}

export interface Random {
  /** In [0, 1). */
  next(): number;
}

/** What the SDK hears of one socket. After `closed` nothing more comes. */
export interface SocketEvents {
  opened(): void;
  /** One binary message; the bytes are the listener's to keep. */
  message(bytes: Uint8Array): void;
  /** Called once, also when the socket never opened. */
  closed(reason: string): void;
}

export interface Socket {
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Starts to open a WebSocket. Never throws: what fails is told by `closed`. */
export type WebSocketFactory = (url: string, events: SocketEvents) => Socket;

/** The part of the standard `fetch` that is used. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchReply>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface FetchReply {
  readonly status: number;
  text(): Promise<string>;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

export const systemRandom: Random = { next: () => Math.random() };

export const systemFetch: Fetch = (url, init) => fetch(url, init);

/** A random integer in [1, 2^53): the name of an outbox. */
export function randomProducer(random: Random): number {
  const high = Math.floor(random.next() * 2 ** 26);
  const low = Math.floor(random.next() * 2 ** 27);
  return high * 2 ** 27 + low || 1;
}

/** The WebSocket that browsers have. */
export const browserWebSocket: WebSocketFactory = (url, events) => {
  let over = false;
  const closed = (reason: string) => {
    if (over) return;
    over = true;
    events.closed(reason);
  };
  let socket: WebSocket;
  try {
    socket = new WebSocket(url);
  } catch (error) {
    queueMicrotask(() => closed(String(error)));
    return { send() {}, close() {} };
  }
  socket.binaryType = "arraybuffer";
  socket.onopen = () => events.opened();
  socket.onmessage = ({ data }) => {
    if (!over && data instanceof ArrayBuffer) events.message(new Uint8Array(data));
  };
  socket.onerror = () => closed("the socket failed");
  socket.onclose = ({ code, reason }) => closed(reason || `code ${code}`);
  return {
    send(bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes as Uint8Array<ArrayBuffer>);
    },
    close: () => socket.close(),
  };
};
