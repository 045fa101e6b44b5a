import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import { connectByNats } from "./nats.ts";
import { serviceDefaults } from "./settings.ts";

const INFO = { server_id: "x", version: "2.14.9", proto: 1, headers: true, max_payload: 1_048_576, tls_required: true };

trustSuite({
  name: "a service on NATS",
  code: "NATS_REFUSED",
  greet: async (socket) => void socket.write(`INFO ${JSON.stringify(INFO)}\r\n`),
  connect(port, caFile) {
    const access = { url: `tls://127.0.0.1:${port}`, user: "bot", password: "secret", caFile };
    const connect = connectByNats(access, { ...serviceDefaults, connectWithinMs: 500 });
    return connect({ cluster: "test", name: "bot", incarnation: "1" });
  },
});
