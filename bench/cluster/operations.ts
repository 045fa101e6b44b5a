import type { Result } from "../measure.ts";
import type { World } from "./world.ts";
export async function operations(_world: World): Promise<Result[]> {
  return [];
}
