// Tests against real servers, whose addresses come from the environment. Not a part of `make test`, which needs none.

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
        },
      },
    ],
  },
});
