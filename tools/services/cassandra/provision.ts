import { join } from "node:path";
import { cached, entryName } from "../cache.ts";
import { requireProgram, run } from "../command.ts";
import { pinFile } from "../pins.ts";

const advice = (tool: string) =>
  `install ${tool} (Debian: apt-get install openjdk-17-jre-headless maven), or set CQL_CONTACT_POINTS to a running ring`;

/** Resolves with the folder of the jars. */
export async function cassandraLibraries(
  cache: string,
): Promise<{ readonly libraries: string; readonly built: boolean }> {
  requireProgram("java", advice("Java 17"));
  const pom = pinFile("cassandra/pom.xml");
  const { folder, built } = await cached(cache, await entryName("cassandra", [pom], ""), async (growing) => {
    requireProgram("mvn", advice("Maven"));
    await run(["mvn", "-B", "-f", pom, "dependency:copy-dependencies", `-DoutputDirectory=${join(growing, "lib")}`]);
  });
  return { libraries: join(folder, "lib"), built };
}
