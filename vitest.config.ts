import { defineConfig } from "vitest/config";

const tests = (name: string, include: string[], testTimeout: number) => ({
  extends: true as const,
  test: { name, include, testTimeout, exclude: ["**/node_modules/**", "**/dist/**"] },
});

// CI wants the counts in a file beside what people read.
const report = process.env.MADANG_TEST_REPORT;

export default defineConfig({
  test: {
    pool: "forks",
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
    projects: [
      tests("unit", ["**/*.test.ts", "!**/*.{contract,simulation,integration,engine}.test.ts"], 10_000),
      tests("contract", ["**/*.contract.test.ts"], 20_000),
      tests("simulation", ["**/*.simulation.test.ts"], 60_000),
      tests("integration", ["**/*.integration.test.ts"], 120_000),
    ],
  },
});
