"""Generates Python code from ../../proto/*.proto into generated/. Run it once, and again when the .proto files change."""

import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"
GENERATED = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "generated"
FILES = ["client.proto", "options.proto", "actor.proto", "cluster.proto"]

if __name__ == "__main__":
    GENERATED.mkdir(parents=True, exist_ok=True)
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={GENERATED}", *FILES]
    sys.exit(protoc.main(arguments))
