import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import { accountsContract } from "./contract.ts";
import { openEmbeddedAccounts } from "./embedded.ts";

accountsContract("in memory", (clock) => openEmbeddedAccounts({ folder: undefined, clock }));

it("accounts and ids outlive a restart, also one with the clock set back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "madang-accounts-"));
  try {
    const clock = createVirtualClock();
    const first = await openEmbeddedAccounts({ folder, clock });
    const { userId } = await first.createUser({
      userId: await first.nextId(),
      name: "ann",
      displayName: "Ann",
      passwordHash: "h",
    });
    await first.close();
    clock.stepWall(-86_400_000);
    const second = await openEmbeddedAccounts({ folder, clock });
    expect(await second.profile(userId)).toMatchObject({ name: "ann" });
    expect(await second.nextId()).toBeGreaterThan(userId);
    await second.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
