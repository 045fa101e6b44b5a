// Tests against real servers: NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS and DATABASE_URL say where they are.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "engines",
    pool: "forks",
    include: ["**/*.engine.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
