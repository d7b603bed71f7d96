"""What `leeway report` must say, from the lines of `leeway ledger export` alone.

Independent of the gateway's code: whole numbers only, nothing but the documented meaning of the fields
(docs/formats/ledger.md).
"""
import collections
import datetime

ERRORS = ("error", "cut", "timeout")


def requests(lines):
    """One dict per request: its cost, baseline and waterfall, and what it belongs to."""
    by_id = collections.OrderedDict()
    for line in lines:
        by_id.setdefault(line["id"], []).append(line)
    for attempts in by_id.values():
        last = attempts[-1]
        costs = [line["cost_pico_usd"] for line in attempts]
        ts = datetime.datetime.fromisoformat(last["ts"].replace("Z", "+00:00"))
        steps = last.get("waterfall", {})
        yield {
            "day": [ts.strftime("%Y-%m-%d")], "hour": [ts.strftime("%Y-%m-%dT%H:00Z")],
            **{name: [last.get(name) or ""] for name in ("key", "user", "route", "model", "session", "agent")},
            "tag": last.get("tags") or [""],
            "cost": None if None in costs else sum(costs),
            "baseline": last["baseline_pico_usd"],
            "steps": None if steps is None else {name: step["saved_pico_usd"] for name, step in steps.items()},
            "labels": {} if steps is None else {name: step["label"] for name, step in steps.items()},
        }


def report(lines, by, filters=()):
    """{group or (group, group): {requests, spent, baseline, saved}} as integers; None: nothing is known."""
    out = {}
    for request in requests(lines):
        if not all(value in request[name] for name, value in filters):
            continue
        groups = [()]
        for name in by:
            groups = [group + (value,) for group in groups for value in request[name]]
        for group in groups:
            sums = out.setdefault(group, {"requests": 0, "spent": None, "baseline": None, "saved": None})
            sums["requests"] += 1
            for name, amount in (("spent", request["cost"]), ("baseline", request["baseline"])):
                if amount is not None:
                    sums[name] = (sums[name] or 0) + amount
            if request["cost"] is not None and request["baseline"] is not None:
                sums["saved"] = (sums["saved"] or 0) + request["baseline"] - request["cost"]
    return out


def savings(lines):
    """{baseline, actual, unknown, steps: {(step, label): amount}}; each waterfall must close by itself."""
    out = {"baseline": 0, "actual": 0, "unknown": 0, "steps": {}}
    for request in requests(lines):
        steps = request["steps"]
        # No steps are written where none saved anything: then cost and baseline must be known and equal.
        if steps is None:
            out["unknown"] += 1
            continue
        assert request["baseline"] is not None and request["cost"] is not None, request
        assert request["baseline"] == request["cost"] + sum(steps.values()), request
        out["baseline"] += request["baseline"]
        out["actual"] += request["cost"]
        for name, amount in steps.items():
            key = (name, request["labels"][name])
            out["steps"][key] = out["steps"].get(key, 0) + amount
    return out
