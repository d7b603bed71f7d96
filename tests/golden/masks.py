"""What may differ from run to run. Everything else is compared byte for byte."""
import re

RULES = (  # where it may stand (client, upstream, ledger), what it looks like, what is put in its place
    ("client upstream ledger", rb"127\.0\.0\.1:\d{4,5}", rb"127.0.0.1:<port>"),
    ("client", rb"(x-ratelimit-reset-requests: )[0-9ms.]+(?=\r)", rb"\1<wait>"),
    # Until a budget begins anew; the texts have one length.
    ("client", rb"(?<=\nretry-after: )\d{3,}(?=\r)", rb"<wait>"),
    ("client", rb"(?<=It resets at )20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", rb"<time>"),
    ("client", rb"(?<=try again in )\d\d(?= s\))", rb"<wait>"),
    ("ledger", rb'"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"', rb'"ts":"<time>"'),
    # A check value over the price: what it hangs on is tested where it is made.
    ("ledger", rb'"price_id":"[0-9a-f]{16}",', rb""),
    ("ledger", rb'"latency_ms":\d+(\.\d+)?(?=[,}])', rb'"latency_ms":<ms>'),
)
# Ids get a number in the order in which a step shows them, so that an answer and its row must have the same.
ID = re.compile(rb'((?:^|\n)(?:x-leeway-id|x-request-id|request-id): |"id":")([0-9A-HJKMNP-TV-Z]{26})(?=[\r"])')


def masked(data, where, ids):
    """`data` with what may differ replaced. `ids`: those seen so far in this step; more are added."""
    for places, pattern, replacement in RULES:
        if where in places.split():
            data = re.sub(pattern, replacement, data)
    if where == "upstream":
        return data

    def number(found):
        if found[2] not in ids:
            ids.append(found[2])
        return found[1] + b"<id %d>" % (ids.index(found[2]) + 1)
    return ID.sub(number, data)
