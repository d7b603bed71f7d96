"""Requests that schemathesis makes up from our OpenAPI document: whatever comes, no answer is a server error.

LEEWAY_SCHEMATHESIS=full runs all its phases (some 3,000 requests, minutes) instead of the short one."""
import json
import os
import pathlib
import subprocess
import sys

from gateway import KEY
from scenarios import Skip


def test_openapi_requests_find_no_server_error(gateway, upstream):
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        raise Skip("schemathesis is not installed; tools/setup.sh test installs it")
    document = json.loads(subprocess.run([gateway.binary, "openapi"], capture_output=True, text=True, check=True).stdout)
    # The admin port is not part of what clients send.
    document["paths"] = {path: item for path, item in document["paths"].items() if "servers" not in item}
    names = {"enum": ["gpt-4o", "cheap", "unpriced", "no/such"]}
    for schema in document["components"]["schemas"].values():
        if "model" in schema.get("properties", {}):
            schema["properties"]["model"] = names
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "model":
                    parameter["schema"] = names
    file = gateway.folder / "openapi.json"
    file.write_text(json.dumps(document))
    full = os.environ.get("LEEWAY_SCHEMATHESIS") == "full"
    run = subprocess.run(
        [program, "run", file, "--url", gateway.url, "-H", f"Authorization: Bearer {KEY}",
         "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
         "--max-examples", "60" if full else "8", *([] if full else ["--phases", "fuzzing"]),
         "--seed", "1", "--no-color"],
        capture_output=True, text=True, timeout=1200, cwd=gateway.folder)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert gateway.raw("/v1/models")[0] == 200
