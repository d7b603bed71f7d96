#!/usr/bin/env python3
"""Makes of public sets of labelled questions the files that `leeway evaluate cache` reads.

    bench/cache_data.py --data DIR --out DIR [--qqp-pairs 26000]

DIR of --data holds cache/{qqp-gptcache,sick} and router/{banking77,clinc150} (bench/README.md). Written are, for each set, NAME.train.jsonl and
NAME.test.jsonl: halves by a hash of the intent (banking77, clinc150) or of the class of questions with one answer
(qqp, sick), so that no class is in both. The built-in model is fitted on the train halves
(tools/fit/cache_prior.py); figures are told on the test halves.

    qqp         lines {"a", "b", "same"}: a random sample of the pairs; same: Quora's label
    sick        lines {"a", "b", "same"}: same: ENTAILMENT
    banking77, clinc150    lines {"text", "answer"}: the answer is the intent
    near.test   lines {"a", "b", "same": false, "kind"}: questions of the test halves, and templates, with one thing
                changed that changes the answer
"""
import argparse
import csv
import gzip
import hashlib
import io
import json
import pathlib
import random
import re


def read(path):
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")


def half(name):
    return "train" if int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 2 == 0 else "test"


def write(out, name, rows):
    with open(out / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{name}.jsonl: {len(rows)} lines")


class Classes:
    def __init__(self):
        self.parent = {}

    def of(self, x):
        self.parent.setdefault(x, x)
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = self.parent[x]
        return x

    def join(self, a, b):
        a, b = self.of(a), self.of(b)
        self.parent[max(a, b)] = min(a, b)  # the root is the first of the class in the alphabet


def write_pairs(out, name, pairs):
    """A pair goes to the half of its texts; one whose texts are in two halves gives each half one text, by itself."""
    classes = Classes()
    for a, b, same in pairs:
        if same:
            classes.join(a, b)
    rows = {"train": [], "test": []}
    for a, b, same in pairs:
        where = half(classes.of(a)), half(classes.of(b))
        if where[0] == where[1]:
            rows[where[0]].append({"a": a, "b": b, "same": bool(same)})
        else:
            for text, part in zip((a, b), where):
                rows[part].append({"a": text, "b": text, "same": True})
    for part, lines in rows.items():
        write(out, f"{name}.{part}", lines)
    return [row["a"] for row in rows["test"]]


def write_stream(out, name, questions):
    rows = {"train": [], "test": []}
    for text, answer in questions:
        rows[half(answer)].append({"text": text, "answer": answer})
    for part, lines in rows.items():
        write(out, f"{name}.{part}", lines)
    return [row["text"] for row in rows["test"]]


def qqp(data, most):
    pairs = []
    for line in read(data / "cache/qqp-gptcache/qqp_full.tsv.gz").split("\n"):
        cells = line.split("\t")
        if len(cells) == 3 and cells[2] in ("0", "1"):
            pairs.append((cells[0], cells[1], cells[2] == "1"))
    random.Random(1).shuffle(pairs)
    return pairs[:most]


def sick(data):
    pairs = []
    for name in ("SICK_train.txt", "SICK_test_annotated.txt"):
        for line in read(data / "cache/sick" / name).split("\n")[1:]:
            cells = line.split("\t")
            if len(cells) >= 5:
                pairs.append((cells[1], cells[2], cells[4].strip() == "ENTAILMENT"))
    return pairs


def banking(data):
    for name in ("train.csv.gz", "test.csv"):
        rows = csv.reader(io.StringIO(read(data / "router/banking77" / name)))
        next(rows)
        yield from ((text, intent) for text, intent in rows)


def clinc(data):
    document = json.loads(read(data / "router/clinc150/data_full.json.gz"))
    for part in ("train", "val", "test"):
        yield from ((text, intent) for text, intent in document[part])


# ------------------------------------------------------------------- near pairs
CITIES = ["Paris", "London", "Athens", "Rome", "Berlin", "Madrid", "Vienna", "Oslo", "Tokyo", "Delhi"]
PEOPLE = ["Anna", "Peter", "Maria", "John", "Elena", "George"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "March", "April", "June", "July", "August", "October", "December"]
UNITS = [("km", "miles"), ("kilograms", "pounds"), ("days", "weeks"), ("euros", "dollars"), ("hours", "minutes"),
         ("litres", "gallons"), ("celsius", "fahrenheit"), ("months", "years")]
OPPOSITES = [("open", "close"), ("buy", "sell"), ("increase", "decrease"), ("before", "after"), ("send", "receive"),
             ("cheapest", "most expensive"), ("activate", "deactivate"), ("best", "worst"), ("lock", "unlock")]
NEGATE = [(r"\bis\b", "is not"), (r"\bare\b", "are not"), (r"\bcan\b", "can't"), (r"\bdo\b", "don't"),
          (r"\bdoes\b", "doesn't"), (r"\bshould\b", "should not"), (r"\bwill\b", "will not"), (r"\bhave\b", "haven't")]
TEMPLATES = ["how do I get from {a} to {b}", "flights from {a} to {b}", "book a train from {a} to {b} please",
             "is {a} bigger than {b}", "what is the distance from {a} to {b}", "convert {a} time to {b} time",
             "how long does a parcel take from {a} to {b}", "is it cheaper to fly from {a} to {b}"]


def near_pairs(texts):
    chance = random.Random(7)
    texts = [text for text in texts if 3 <= len(text.split()) <= 30 and "\n" not in text]
    rows = []

    def add(kind, a, b):
        rows.append({"a": a, "b": b, "same": False, "kind": kind})

    def other(values):
        return chance.sample(values, 2)

    for text in chance.sample(texts, min(800, len(texts))):
        stem = text.rstrip("?!. ")
        end = text[len(stem):]
        one, two = chance.sample(range(2, 40), 2)
        add("number", f"{stem} for {one} people{end}", f"{stem} for {two} people{end}")
        unit, unit2 = chance.choice(UNITS)
        add("unit", f"{stem} within {one} {unit}{end}", f"{stem} within {one} {unit2}{end}")
        place, place2 = other(CITIES)
        lower = text == text.lower()
        case = str.lower if lower else str
        add("entity", f"{stem} in {case(place)}{end}", f"{stem} in {case(place2)}{end}")
        name, name2 = other(PEOPLE)
        add("entity", f"{stem} for {case(name)}{end}", f"{stem} for {case(name2)}{end}")
        day, day2 = other(DAYS)
        add("date", f"{stem} on {case(day)}{end}", f"{stem} on {case(day2)}{end}")
        month, month2 = other(MONTHS)
        add("date", f"{stem} in {case(month)}{end}", f"{stem} in {case(month2)}{end}")
        add("order", f"{stem} from {case(place)} to {case(place2)}{end}",
            f"{stem} from {case(place2)} to {case(place)}{end}")
        for pattern, negated in NEGATE:
            changed = re.sub(pattern, negated, text, count=1)
            if changed != text and not re.search(r"\b(not|no|never|n't)\b", text):
                add("negation", text, changed)
                break
        for word, opposite in OPPOSITES:
            changed = re.sub(rf"\b{word}\b", opposite, text, count=1)
            if changed != text:
                add("opposite", text, changed)
                break
        digits = re.search(r"\b\d+\b", text)
        if digits:
            add("number", text, text[:digits.start()] + str(int(digits[0]) + one) + text[digits.end():])
    for template in TEMPLATES:
        for a in CITIES:
            for b in CITIES:
                if a != b:
                    add("order", template.format(a=a, b=b), template.format(a=b, b=a))
                    add("order", template.format(a=a, b=b).lower(), template.format(a=b, b=a).lower())
                    c = next(city for city in CITIES if city not in (a, b))
                    add("entity", template.format(a=a, b=b), template.format(a=a, b=c))
    return rows


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("--qqp-pairs", type=int, default=26000)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    texts = write_pairs(options.out, "qqp", qqp(options.data, options.qqp_pairs))
    write_pairs(options.out, "sick", sick(options.data))
    texts += write_stream(options.out, "banking77", banking(options.data))
    texts += write_stream(options.out, "clinc150", clinc(options.data))
    write(options.out, "near.test", near_pairs(texts))


if __name__ == "__main__":
    main()
