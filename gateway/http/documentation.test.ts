import { describe, expect, it } from "vitest";
import { useApi } from "./api.test-rig.ts";

const world = useApi();
const ask = (method: "GET" | "HEAD", url: string, headers = {}) => world.api.app.inject({ method, url, headers });

describe("the documentation of the API", () => {
  it("is a page with all that it needs, the same for those who ask for it at once", async () => {
    const [page, again] = await Promise.all([ask("GET", "/docs"), ask("GET", "/docs")]);
    expect([page.statusCode, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(again.body).toBe(page.body);
    const files = [...page.body.matchAll(/(?:src|href)="\.?\/?([^"]+)"/g)].map(([, file]) => file);
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) expect([file, (await ask("GET", `/${file}`)).statusCode]).toEqual([file, 200]);
    expect((await ask("GET", "/docs/json")).body).toBe((await ask("GET", "/openapi.json")).body);
  });

  it("is answered under the rules of every other call", async () => {
    const origin = "http://localhost:8080";
    expect((await ask("GET", "/openapi.json", { origin })).headers["access-control-allow-origin"]).toBe(origin);
    const { headers, body } = await ask("HEAD", "/openapi.json");
    expect([body, Number(headers["content-length"])]).toEqual(["", (await ask("GET", "/openapi.json")).body.length]);
    expect((await ask("GET", "/docs/nothing")).json()).toMatchObject({ error: { code: "BAD_FRAME" } });
    const range = await ask("GET", "/docs/static/swagger-ui.css", { range: "bytes=9999999-" });
    expect([range.statusCode, range.json().error.code]).toEqual([400, "BAD_FRAME"]);
  });
});
