import { describe, expect, it } from "vitest";
import { seededRandom } from "../../runtime/index.ts";
import { chooseGateway, type GatewayChoice } from "./discovery.ts";

const gateway = (url: string, more: Partial<GatewayChoice> = {}): GatewayChoice => ({
  url,
  region: "",
  sessions: 0,
  sessionsMax: 100,
  ...more,
});
const anywhere = { region: "", avoid: [] };

describe("which gateway a client is told", () => {
  it("is spread, and leans to those with more room", () => {
    const random = seededRandom(1);
    const gateways = [gateway("full", { sessions: 90 }), gateway("half", { sessions: 50 }), gateway("empty")];
    const counts: Record<string, number> = { full: 0, half: 0, empty: 0 };
    for (let at = 0; at < 3_000; at++) counts[chooseGateway(gateways, anywhere, random)?.url ?? ""]! += 1;
    expect(counts.empty).toBeGreaterThan(counts.half as number);
    expect(counts.half).toBeGreaterThan(counts.full as number);
    expect(counts.full).toBeGreaterThan(0);
  });

  it("is of the client's region if there is one, and else of another", () => {
    const random = seededRandom(1);
    const gateways = [gateway("seoul", { region: "kr", sessions: 90 }), gateway("paris", { region: "eu" })];
    for (let at = 0; at < 50; at++) {
      expect(chooseGateway(gateways, { region: "kr", avoid: [] }, random)?.url).toBe("seoul");
    }
    expect(chooseGateway(gateways, { region: "us", avoid: ["paris"] }, random)?.url).toBe("seoul");
  });

  it("is none that did not answer, unless there is no other", () => {
    const random = seededRandom(1);
    const gateways = [gateway("a"), gateway("b")];
    for (let at = 0; at < 50; at++) {
      expect(chooseGateway(gateways, { region: "", avoid: ["a"] }, random)?.url).toBe("b");
    }
    expect(chooseGateway([gateway("a")], { region: "", avoid: ["a"] }, random)?.url).toBe("a");
    expect(chooseGateway([], anywhere, random)).toBeUndefined();
  });

  it("is none that is full, unless all are", () => {
    const random = seededRandom(1);
    const full = gateway("full", { sessions: 100 });
    for (let at = 0; at < 50; at++) {
      expect(chooseGateway([full, gateway("b", { sessions: 99 })], anywhere, random)?.url).toBe("b");
    }
    expect(chooseGateway([full], anywhere, random)?.url).toBe("full");
  });
});
