import { describe, test } from "bun:test";
import { createJsonReporter } from "../../src/report/json.ts";
import { createTextReporter } from "../../src/report/text.ts";
import { expectGolden } from "./golden.ts";
import { play, SCENARIOS, type Scenario } from "./scenarios.ts";

function textOf(scenario: Scenario, options: { debug?: boolean; colour?: boolean } = {}): string {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  play(scenario, createTextReporter({ write, format: "megabit", colour: false, debug: false, ...options }));
  return text;
}

describe.each(Object.entries(SCENARIOS))("%s", (name, scenario) => {
  test("text", async () => {
    await expectGolden(`${name}.txt`, textOf(scenario));
  });

  test("json", async () => {
    let text = "";
    const write = (more: string): void => {
      text += more;
    };
    play(scenario, createJsonReporter({ write }));
    await expectGolden(`${name}.json`, text);
  });
});

test.each(["tcp-1-stream", "udp-loss"])("text with debug: %s", async (name) => {
  const scenario = SCENARIOS[name];
  if (scenario !== undefined) await expectGolden(`${name}.debug.txt`, textOf(scenario, { debug: true }));
});

test("text with colour", async () => {
  const scenario = SCENARIOS["incomplete"];
  if (scenario !== undefined) await expectGolden("incomplete.colour.txt", textOf(scenario, { colour: true }));
});
