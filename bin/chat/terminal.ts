// The terminal: lines come in, lines are printed above what is being typed.

import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";

export interface Terminal {
  readonly interactive: boolean;
  /** Above the prompt; what is being typed stays. */
  print(text: string): void;
  dim(text: string): string;
  bold(text: string): string;
  /** Undefined at the end of the input. */
  line(): Promise<string | undefined>;
  /** Asks once; what is typed is not shown when `hidden`. */
  ask(question: string, hidden?: boolean): Promise<string>;
  setPrompt(prompt: string): void;
  close(): void;
}

/** Lines that were typed ahead: as many as somebody pastes. Beyond it the input waits. */
const LINES_AHEAD_MAX = 10_000;

export function openTerminal(): Terminal {
  const { stdin: input, stdout: output } = process;
  const interactive = input.isTTY === true && output.isTTY === true;
  const colour = interactive && process.env.NO_COLOR === undefined;
  let muted = false;
  // The echo of what is typed goes through here, so that a password is not shown.
  const echo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!muted) output.write(chunk);
      done();
    },
  });
  Object.defineProperty(echo, "columns", { get: () => output.columns });
  const readline: Interface = createInterface({ input, output: echo, terminal: interactive, prompt: "> " });
  const lines: string[] = [];
  let waiting: ((line: string | undefined) => void) | undefined;
  let ended = false;
  let prompted = false;

  readline.on("line", (line) => {
    prompted = false;
    if (waiting !== undefined) {
      const resolve = waiting;
      waiting = undefined;
      return resolve(line);
    }
    lines.push(line);
    if (lines.length >= LINES_AHEAD_MAX) readline.pause();
  });
  readline.on("close", () => {
    ended = true;
    waiting?.(undefined);
    waiting = undefined;
  });

  const line = () => {
    const ahead = lines.shift();
    if (ahead !== undefined) {
      if (!ended) readline.resume();
      return Promise.resolve(ahead);
    }
    if (ended) return Promise.resolve(undefined);
    if (interactive) {
      prompted = true;
      readline.prompt(true);
    }
    return new Promise<string | undefined>((resolve) => {
      waiting = resolve;
    });
  };

  return {
    interactive,
    print(text) {
      if (interactive && prompted) output.write("\r\u001b[K");
      output.write(`${text}\n`);
      if (interactive && prompted) readline.prompt(true);
    },
    dim: (text) => (colour ? `\u001b[2m${text}\u001b[0m` : text),
    bold: (text) => (colour ? `\u001b[1m${text}\u001b[0m` : text),
    line,
    async ask(question, hidden = false) {
      readline.setPrompt(question);
      const answer = line();
      muted = hidden && interactive;
      const text = await answer;
      if (muted) output.write("\n");
      muted = false;
      return text ?? "";
    },
    setPrompt(prompt) {
      readline.setPrompt(prompt);
      if (interactive && prompted) readline.prompt(true);
    },
    close: () => readline.close(),
  };
}
