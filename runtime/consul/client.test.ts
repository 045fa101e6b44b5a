import { readFileSync } from "node:fs";
import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import { ConsulClient } from "./client.ts";

trustSuite({
  name: "a node that asks Consul",
  code: "CONSUL_GARBAGE",
  async connect(port, caFile) {
    const ca = readFileSync(caFile, "utf8");
    const client = new ConsulClient({ address: `https://127.0.0.1:${port}`, token: "secret", ca, timeoutMs: 500 });
    try {
      await client.call("/v1/status/leader");
    } finally {
      client.close();
    }
  },
});
