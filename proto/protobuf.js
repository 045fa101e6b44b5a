// protobufjs, told to decode 64-bit integers as plain numbers. Generated code imports it from here, so that nothing can
// load the library without this setting.
import protobuf from "protobufjs/minimal.js";

protobuf.util.Long = null;
protobuf.configure();

export default protobuf;
