// What the house writes its log with; pino fits. Never message texts, never secrets.

export interface Logger {
  debug(facts: object, sentence: string): void;
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
