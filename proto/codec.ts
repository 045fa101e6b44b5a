// What generated code looks like from outside.

import type protobuf from "protobufjs/minimal.js";

export interface Codec<T> {
  /** Appends to `writer`, or to a new one; `finish()` gives the bytes. */
  encode(message: T, writer?: protobuf.Writer): protobuf.Writer;
  /**
   * Throws on truncated or malformed bytes. Byte fields, and fields that this version does not know, are views of `bytes`:
   * whoever keeps the message gives memory that nobody writes to any more.
   */
  decode(bytes: Uint8Array | protobuf.Reader, length?: number): T;
}

export interface MethodDescriptor<Request = unknown, Reply = unknown> {
  readonly name: string;
  readonly request: Codec<Request>;
  readonly reply: Codec<Reply>;
  /** Changes nothing: may run beside other read-only turns. */
  readonly readonly: boolean;
  /** Has no reply: the caller does not wait and does not learn of a failure. */
  readonly oneway: boolean;
}

export interface ServiceDescriptor {
  readonly name: string;
  /** Addressed by the id of a node, not by a name that placement maps to one. */
  readonly onNode: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any -- a codec is invariant in its type, so only `any` holds all of them
  readonly methods: Readonly<Record<string, MethodDescriptor<any, any>>>;
}
