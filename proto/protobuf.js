// protobufjs, told to decode 64-bit integers as plain numbers and to keep the fields that it does not know. Generated code
// imports it from here, so that nothing can load the library without these settings.
import protobuf from "protobufjs/minimal.js";

protobuf.util.Long = null;
protobuf.configure();

// Clients and nodes of several versions speak through one another: what a newer one has added to a content is decoded here,
// kept for ever, and encoded for others who know it. The library's default drops it. Such fields stand in `$unknowns` of
// their message, which is not enumerable: a message that is spread into a new one has lost them.
protobuf.Reader.discardUnknown = false;

export default protobuf;
