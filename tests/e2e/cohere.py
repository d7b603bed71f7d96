"""Cohere's chat and its errors, for the provider of dialect_provider.py."""
import json

USAGE = {"billed_units": {"input_tokens": 1000, "output_tokens": 100},
         "tokens": {"input_tokens": 1400, "output_tokens": 102}, "cached_tokens": 200}
STOPS = {"end": "COMPLETE", "tool": "TOOL_CALL", "length": "MAX_TOKENS", "refuse": "COMPLETE"}


def call(part):
    return {"id": part[1], "type": "function", "function": {"name": part[2], "arguments": json.dumps(part[3])}}


def answer(parts, stop, request):
    message = {"role": "assistant"}
    calls = [call(part) for part in parts if part[0] == "call"]
    texts = [part for part in parts if part[0] != "call"]
    if calls:
        message.update(tool_plan="".join(part[1] for part in texts), tool_calls=calls)
    else:
        message["content"] = [{"type": "thinking", "thinking": part[1]} if part[0] == "think" else
                              {"type": "text", "text": part[1]} for part in texts]
        message["citations"] = [{"start": 0, "end": 3, "text": "Gr", "sources": [{"type": "tool", "id": "call_a:0"}]}]
    return {"id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4", "finish_reason": STOPS[stop], "message": message, "usage": USAGE}


def event(kind, message=None, **more):
    value = {"type": kind, **more}
    if message is not None:
        value["delta"] = {"message": message}
    return f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def split(text):
    return [text[i:i + 6] for i in range(0, len(text), 6)]


def stream(parts, stop, request):
    whole = answer(parts, stop, request)
    out = [event("message-start", {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []},
                 id=whole["id"])]
    if "tool_calls" in whole["message"]:
        out += [event("tool-plan-delta", {"tool_plan": piece}) for piece in split(whole["message"]["tool_plan"])]
        for index, one in enumerate(whole["message"]["tool_calls"]):
            begun = {**one, "function": {**one["function"], "arguments": ""}}
            out.append(event("tool-call-start", {"tool_calls": begun}, index=index))
            arguments = one["function"]["arguments"]
            out += [event("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index=index)
                    for piece in split(arguments) if arguments != "{}"]
            out.append(event("tool-call-end", index=index))
    else:
        for index, block in enumerate(whole["message"]["content"]):
            kind = block["type"]
            out.append(event("content-start", {"content": {"type": kind, kind: ""}}, index=index))
            out += [event("content-delta", {"content": {kind: piece}}, index=index) for piece in split(block[kind])]
            out.append(event("citation-start", {"citations": {"start": 0, "end": 3, "text": "Gr", "sources": []}}, index=0))
            out.append(event("citation-end", index=0))
            out.append(event("content-end", index=index))
    out.append(event("message-end", delta={"finish_reason": STOPS[stop], "usage": USAGE}))
    return out


def error(status):
    return {"id": "e1", "message": "as you wish"}


IN_BAND = [event("message-end", delta={"error": "overloaded", "finish_reason": "ERROR"})]
