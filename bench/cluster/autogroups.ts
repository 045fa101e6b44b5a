// Linux can share its cores between sessions instead of between threads (sched(7), autogroup), for desktops. Engines have sessions
// of their own, and so whatever wakes up here waits behind groups. On a server nothing is grouped that way.

import { readFileSync } from "node:fs";

/** "1" where it does, "0" where it does not, "none" where the kernel cannot. */
export function autogroups(): string {
  try {
    return readFileSync("/proc/sys/kernel/sched_autogroup_enabled", "utf8").trim();
  } catch {
    return "none";
  }
}
