import { readFileSync } from "node:fs";
import { silentLogger } from "../../runtime/index.ts";
import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import { storageDefaults } from "../settings.ts";
import { connect } from "./connect.ts";

trustSuite({
  name: "a node on the ring",
  code: "STORE_REFUSED",
  async connect(port, caFile) {
    const ring = {
      contactPoints: [`127.0.0.1:${port}`],
      keyspace: "test",
      credentials: { username: "ann", password: "secret" },
      tls: { ca: readFileSync(caFile) },
    };
    const { driver } = await connect(ring, "test", { ...storageDefaults, connectWithinMs: 500 }, silentLogger);
    await driver.shutdown();
  },
});
