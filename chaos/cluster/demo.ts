import { demoOnCluster } from "../../tools/demo/cluster.ts";
import type { Scenario } from "./scenario.ts";

export const demo: Scenario = {
  name: "100 people chat while an actor node and a gateway are killed",
  withinMs: 180_000,
  async run({ cluster, fact }) {
    const nodes = await cluster({ actors: 3, gateways: 2 });
    const { sent, acknowledged, refused, unanswered, lost, twice, outOfOrder, holes } = await demoOnCluster(nodes);
    fact(acknowledged === sent && refused + unanswered === 0, `${sent} sends, ${acknowledged} acknowledged`);
    fact(lost === 0, `lost ${lost}`);
    fact(twice === 0, `twice ${twice}`);
    fact(outOfOrder === 0, `out of order ${outOfOrder}`);
    fact(holes === 0, `holes unrepaired ${holes}`);
  },
};
