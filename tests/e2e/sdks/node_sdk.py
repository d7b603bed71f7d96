"""The SDKs for Node: node/worker.mjs runs one of them and is told what to do in lines of JSON."""
import concurrent.futures
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import threading

import scenarios as common

from .client import KEY, NOT_OF_ALL, STATUS_CLASSES, Answer, Client, Failure

FOLDER = pathlib.Path(__file__).parent.parent / "node"


def node():
    """The program, where it and the SDKs are installed."""
    found = shutil.which("node")
    if not found or not (FOLDER / "node_modules" / "ai").exists():
        raise common.Skip("no Node, or not its SDKs: tools/setup.sh test installs them")
    return found


def run(*arguments):
    """What a program for Node prints."""
    return subprocess.run([node(), *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False).stdout


class Thrown(Exception):
    def __init__(self, failure):
        super().__init__(f"{failure['name']}: {failure['message']}")
        self.failure = Failure(**failure)


class Node(Client):
    client = ""  # its name in node/

    def __init__(self, url):
        self.waiting, self.numbers, self.lock = {}, itertools.count(), threading.Lock()
        self.process = subprocess.Popen([node(), "worker.mjs", self.client], cwd=FOLDER, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, encoding="utf-8",
                                        env={**os.environ, "LEEWAY_URL": url, "LEEWAY_KEY": KEY, "AI_SDK_LOG_WARNINGS": "false"})
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue  # what a library prints
            came = json.loads(line)
            self.waiting.pop(came["id"]).set_result(came)
        for waits in self.waiting.values():
            waits.set_exception(RuntimeError("node has ended"))

    def call(self, op, request):
        future, number = concurrent.futures.Future(), next(self.numbers)
        self.waiting[number] = future
        with self.lock:
            self.process.stdin.write(json.dumps({"id": number, "op": op, "request": request}) + "\n")
            self.process.stdin.flush()
        came = future.result(timeout=40)
        if "failure" in came:
            raise Thrown(came["failure"])
        return came.get("answer")

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def failure(self, error):
        return error.failure if isinstance(error, Thrown) else super().failure(error)

    def ask(self, r):
        return Answer(**self.call("ask", r))

    def stream(self, r):
        return Answer(**self.call("stream", r))

    def models(self):
        return self.call("models", {})

    def embed(self, model, texts):
        return self.call("embed", {"model": model, "texts": texts})


for _op in ("quiet_stream", "structured", "structured_stream", "loop", "cancel", "count"):
    setattr(Node, _op, lambda self, r, op=_op: self.call(op, r))


def client(sdk, dialect, lacks, name, **more):
    return type(name, (Node,), {"sdk": sdk, "dialect": dialect, "client": name, "lacks": NOT_OF_ALL | set(lacks.split()),
                                **more})


OWN_TIMEOUT = {"timeout_class": "APIConnectionTimeoutError"}
AI = {"classes": dict.fromkeys(STATUS_CLASSES, "AI_APICallError"), "timeout_class": "TimeoutError"}
AI_LACKS = "should_retry count models developer quiet_stream extra image_url"
CHAT = client("node openai chat", "chat", "count signature", "openai_chat", **OWN_TIMEOUT)
CHAT.lacks -= {"loop"}
CLIENTS = (
    CHAT,
    client("node openai responses", "responses", "count signature stop seed quiet_stream", "openai_responses", **OWN_TIMEOUT),
    client("node @anthropic-ai/sdk", "anthropic", "embed seed quiet_stream developer metadata", "anthropic",
           **OWN_TIMEOUT, classes={**STATUS_CLASSES, 529: "OverloadedError"}),
    client("node ai openai chat", "chat", AI_LACKS + " signature thought refusal", "ai_openai_chat", **AI),
    client("node ai openai responses", "responses", AI_LACKS + " signature stop seed", "ai_openai_responses", **AI),
    client("node ai anthropic", "anthropic", AI_LACKS + " embed seed metadata", "ai_anthropic", **AI),
    client("node @langchain/openai", "chat", "should_retry count models signature developer quiet_stream thought refusal schema "
           "request_id think", "langchain_openai", timeout_class="TimeoutError"),
)
for _client in CLIENTS[3:]:
    _client.lacks -= {"loop"}
