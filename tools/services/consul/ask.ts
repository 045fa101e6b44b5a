// One question to Consul's HTTP API, by TLS where its address says so.

import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface ConsulAccess {
  /** http:// or https://, host and port. */
  readonly address: string;
  readonly token?: string;
  /** PEM of the authority that has signed its certificate. */
  readonly ca?: string;
}

/** Far above what it takes on a machine that is busy. */
const ASK_WITHIN_MS = 5_000;

/** With a body it is a PUT. */
export function askConsul(
  { address, token = "", ca }: ConsulAccess,
  path: string,
  body?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const request = address.startsWith("https:") ? requestHttps : requestHttp;
  const options = {
    agent: false as const,
    method: body === undefined ? "GET" : "PUT",
    headers: token === "" ? {} : { "x-consul-token": token },
    signal: AbortSignal.timeout(ASK_WITHIN_MS),
    ...(ca === undefined ? {} : { ca }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, address), options, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text })).on("error", reject);
    });
    outgoing.on("error", reject).end(body);
  });
}
