import { expect, it } from "vitest";
import type { SurveyReply } from "../../proto/index.ts";
import { createVirtualClock } from "../virtual-clock.ts";
import { Survey } from "./survey.ts";

const SURVEY_MS = 500;
const reply = (term: number, epochs: number[] = [1, 2]): SurveyReply => ({
  term,
  highestTerm: term,
  version: 1,
  digest: 1,
  epochs,
  held: null,
  released: null,
});

function make() {
  const clock = createVirtualClock();
  const asked: (number | undefined)[] = [];
  const survey = new Survey({
    nodeId: "me",
    shardCount: 2,
    clock,
    surveyMs: SURVEY_MS,
    peers: () => ["a", "b"],
    ownReport: (term) => reply(term),
    broadcast: ({ survey }) => void asked.push(survey?.term),
  });
  let heard: string[] | undefined;
  const ask = (term: number) =>
    void survey.ask(term).then((reports) => {
      heard = reports.map(({ nodeId }) => nodeId);
    });
  return { clock, survey, asked, ask, heard: () => heard };
}

it("ends when all have answered, and this node's own word is among theirs", async () => {
  const { clock, survey, asked, ask, heard } = make();
  ask(3);
  survey.heard("b", reply(3));
  await clock.settle();
  expect([asked, heard()]).toEqual([[3], undefined]);
  survey.heard("a", reply(3));
  await clock.settle();
  expect(heard()).toEqual(["b", "a", "me"]);
});

it("does not wait for long for those that do not answer, and forgets what they said in another term", async () => {
  const { clock, survey, ask, heard } = make();
  survey.heard("a", reply(2));
  ask(3);
  survey.heard("b", reply(3));
  await clock.advance(SURVEY_MS - 1);
  expect(heard()).toBeUndefined();
  await clock.advance(1);
  expect(heard()).toEqual(["b", "me"]);
});

it("does not count answers of another shard count, or with epochs that are none", async () => {
  const { clock, survey, ask, heard } = make();
  ask(3);
  survey.heard("a", reply(3, [1]));
  survey.heard("b", reply(3, [1, -2]));
  await clock.settle();
  expect(heard()).toEqual(["me"]);
});

it("ends at once when it is closed", async () => {
  const { clock, survey, ask, heard } = make();
  ask(3);
  survey.close();
  await clock.settle();
  expect(heard()).toEqual(["me"]);
});
