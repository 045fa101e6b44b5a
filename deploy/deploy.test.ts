// The files in deploy/ cannot rot unseen: they can be read, they set what can be set, and they show what is measured. Whether
// they do what they say is seen where they are run, which is not here.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { createMetrics, type Measured } from "../assembly/metrics.ts";
import { defaults, resolveConfig } from "../cluster.config.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
const read = (file: string) => readFileSync(`${folder}${file}`, "utf8");
const yamls = files.filter((file) => /\.ya?ml$/.test(file));

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly template?: { readonly metadata: { readonly labels: object }; readonly spec: PodSpec };
  };
}

interface PodSpec {
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
    readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
    readonly readinessProbe?: { readonly httpGet: { readonly path: string } };
    readonly livenessProbe?: { readonly httpGet: { readonly path: string } };
  }[];
}

const documentsOf = (file: string) => parseAllDocuments(read(file));
const manifests = yamls
  .filter((file) => file.startsWith("kubernetes/"))
  .flatMap((file) => documentsOf(file).map((document) => document.toJS() as Manifest));
const ofKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
const common = { ...ofKind("ConfigMap")[0]?.data, ...ofKind("Secret")[0]?.stringData };
const { registry, measure } = createMetrics();
measure({} as Measured);
const measured = new Set(registry.getMetricsAsArray().map(({ name }) => name));

describe("the files of deploy/", () => {
  it.each(yamls)("%s is YAML", (file) => {
    expect(documentsOf(file).flatMap(({ errors }) => errors)).toEqual([]);
  });

  it("set variables that there are", () => {
    const known = (variable: string) => {
      try {
        resolveConfig({ [variable]: "" });
      } catch (error) {
        return !String(error).includes("names no setting");
      }
      return true;
    };
    const named = files
      .filter((file) => /\.(ya?ml|conf|hcl)$|Dockerfile$/.test(file))
      .flatMap((file) => [...read(file).matchAll(/MADANG_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => name));
    expect(new Set(named).size).toBeGreaterThan(10);
    expect(named.filter((name) => !known(name))).toEqual([]);
  });

  it.each(["grafana/madang.json", "prometheus-rules.yml"])("%s shows what is measured", (file) => {
    const named = [...read(file).matchAll(/madang_\w+/g)].map(([name]) => name);
    expect(new Set(named).size).toBeGreaterThan(10);
    expect(named.filter((name) => !measured.has(name))).toEqual([]);
  });
});

describe("the dashboard", () => {
  it("shows all that the house counts, but for sizes that stand beside their count", () => {
    const shown = read("grafana/madang.json");
    const own = [...measured].filter((name) => !/^madang_(process|nodejs)_/.test(name));
    expect(own.filter((name) => !new RegExp(`${name}\\b`).test(shown))).toEqual([
      "madang_mailbox_bytes",
      "madang_writes_waiting_bytes",
      "madang_push_queue_enqueued_total",
      "madang_push_queue_refused_total",
      "madang_push_queue_delivered_total",
      "madang_push_queue_done_total",
    ]);
  });

  it("has a title for each panel, and no two in one place", () => {
    const { panels } = JSON.parse(read("grafana/madang.json")) as {
      readonly panels: readonly {
        readonly title: string;
        readonly gridPos: { readonly x: number; readonly y: number };
      }[];
    };
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x}/${y}`)).size).toBe(panels.length);
    expect(panels.filter(({ title }) => title === "")).toEqual([]);
  });
});

describe("the manifests for Kubernetes", () => {
  const deployments = ofKind("Deployment");
  const pods = manifests.flatMap(({ metadata, spec }) =>
    spec?.template === undefined ? [] : [{ name: metadata.name, pod: spec.template.spec }],
  );

  it("have one deployment a role, with a budget", () => {
    const names = defaults.cluster.roles.map((role) => `madang-${role}`).toSorted();
    expect(deployments.map(({ metadata }) => metadata.name).toSorted()).toEqual(names);
    expect(
      ofKind("PodDisruptionBudget")
        .map(({ metadata }) => metadata.name)
        .toSorted(),
    ).toEqual(names);
  });

  it("start nodes that the settings accept", () => {
    for (const { metadata, spec } of deployments) {
      const own = Object.fromEntries(
        (spec?.template?.spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value ?? metadata.name]),
      );
      const { cluster, node } = resolveConfig({ ...common, ...own });
      expect(`madang-${cluster.roles.join()}`).toBe(metadata.name);
      expect(cluster.nodeName).toBe(metadata.name);
      expect(node.host).toBe("0.0.0.0");
    }
  });

  it("give a stop the time that it may take: the wait before it, the stop, and no more than that before the kill", () => {
    const { node, placement } = resolveConfig(common);
    expect(node.stopWithinMs * 0.6).toBeGreaterThanOrEqual(placement.drainMs); // as assembly/cluster.ts shares it out
    for (const { spec } of deployments) {
      const pod = spec?.template?.spec;
      const waitS = Number(pod?.containers[0]?.lifecycle?.preStop.exec.command[1] ?? 0);
      expect((pod?.terminationGracePeriodSeconds ?? 0) * 1_000).toBeGreaterThan(waitS * 1_000 + node.stopWithinMs);
    }
  });

  it("ask for readiness and life where these are told", () => {
    for (const { spec } of deployments) {
      const [container] = spec?.template?.spec.containers ?? [];
      expect(container?.readinessProbe?.httpGet.path).toBe("/readyz");
      expect(container?.livenessProbe?.httpGet.path).toBe("/healthz");
    }
  });

  it("keep the variables of services out, for those of ours would stop the start", () => {
    expect(pods.length).toBeGreaterThan(4);
    expect(pods.filter(({ pod }) => pod.enableServiceLinks !== false).map(({ name }) => name)).toEqual([]);
    expect(() => resolveConfig({ MADANG_API_SERVICE_HOST: "10.0.0.1" })).toThrow("names no setting");
  });

  it("select the pods that they make, all in one namespace", () => {
    for (const { spec } of deployments) expect(spec?.template?.metadata.labels).toEqual(spec?.selector?.matchLabels);
    const others = manifests.filter(({ kind }) => kind !== "Namespace");
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["madang"]));
  });
});
