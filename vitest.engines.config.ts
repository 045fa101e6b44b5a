// Tests that need real servers: NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS and DATABASE_URL name them.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "forks",
    projects: [
      {
        extends: true as const,
        test: {
          name: "engines",
          include: ["**/*.engine.test.ts"],
          exclude: ["**/node_modules/**", "**/dist/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
