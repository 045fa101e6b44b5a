import { defineConfig } from "vitest/config";

// Tests that need real servers: NATS, Consul, a CQL store, PostgreSQL. `make test-engines` starts them and runs these; addresses
// come by NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS and DATABASE_URL. Each suite keeps to names of its own.
const report = process.env.MADANG_TEST_REPORT;

export default defineConfig({
  test: {
    name: "engines",
    pool: "forks",
    include: ["**/*.engine.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    retry: 1, // a ring that shares two cores with its tests times out now and then; a test that fails twice is wrong
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
  },
});
