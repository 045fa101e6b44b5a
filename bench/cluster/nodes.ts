import type { Result } from "../measure.ts";
import type { World } from "./world.ts";
export async function nodes(_world: World): Promise<Result[]> {
  return [];
}
