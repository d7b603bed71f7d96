#!/usr/bin/env python3
"""Turns the price data inside the npm package @pydantic/genai-prices into Leeway's price book.

    import_genai_prices.py --package package/ --version 0.1.8 --sha512 HASH --out book.json

Reads the literal in dist/index.cjs as data (nothing of the package is run) and keeps every number as
the decimal it is written as. Rates are rounded once, half to even, to 1e-9 USD per million units, which
takes away what binary floats left behind (0.08333333333333334). Writes nothing when a rate is of a
magnitude that no provider asks. docs/formats/prices.md describes what comes out.
"""
import argparse
import collections
import decimal
import json
import pathlib
import re
import sys

D = decimal.Decimal
decimal.getcontext().prec = 50

# Their unit -> our bucket and what makes it USD per million units.
UNITS = {
    "input_mtok": ("input", 1),
    "output_mtok": ("output", 1),
    "cache_read_mtok": ("cached_input", 1),
    "cache_write_mtok": ("cache_write_input", 1),
    "cache_write_1h_mtok": ("cache_write_1h_input", 1),
    "input_audio_mtok": ("audio_input", 1),
    "output_audio_mtok": ("audio_output", 1),
    "cache_audio_read_mtok": ("cached_audio_input", 1),
    "input_image_mtok": ("image_input", 1),
    "output_image_mtok": ("image_output", 1),
    "cache_image_read_mtok": ("cached_image_input", 1),
    "input_video_mtok": ("video_input", 1),
    "output_reasoning_mtok": ("reasoning_output", 1),
    "web_searches_kcount": ("web_search", 1000),
    "storage_searches_kcount": ("file_search", 1000),
    "requests_kcount": ("requests", 1000),
    "input_document_kpages": ("pages", 1000),
    "audio_hours": ("audio_ms", D(1) / D("3.6")),
    "input_audio_hours": ("audio_ms", D(1) / D("3.6")),
}
TOKENS = {unit for unit in UNITS if unit.endswith("_mtok")}
# USD per million tokens that no provider has asked yet.
MOST = D(5000)
# Nobody bills tokens below this; a smaller number is a price per token or per thousand.
LEAST = D("0.0005")
# Providers that bill every kind of input at the input's rate unless they list another.
ALL_INPUT_ALIKE = {"google"}


class Literal:
    """A JavaScript literal of objects, arrays, strings, numbers and !0 / !1."""

    TOKEN = re.compile(
        r"""\s*(?:(?P<mark>[{}\[\],:])|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(?P<bool>![01])"""
        r"""|(?P<word>[A-Za-z_$][\w$]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))""",
        re.S)

    def __init__(self, text: str, start: int):
        self.text, self.at = text, start

    def token(self):
        match = self.TOKEN.match(self.text, self.at)
        if not match:
            raise SystemExit(f"cannot read the package's data at byte {self.at}: "
                             f"{self.text[self.at:self.at + 40]!r}")
        self.at = match.end()
        return match.lastgroup, match.group(match.lastgroup)

    def value(self):
        kind, text = self.token()
        if kind == "number":
            return D(text)
        if kind == "bool":
            return text == "!0"
        if kind == "string":
            return self.unquote(text)
        if text == "[":
            return self.items("]", self.value)
        if text == "{":
            return dict(self.items("}", self.member))
        if kind == "word" and text in ("null", "void"):
            return None
        raise SystemExit(f"unexpected {text!r} in the package's data at byte {self.at}")

    def member(self):
        kind, text = self.token()
        key = self.unquote(text) if kind == "string" else text
        self.expect(":")
        return key, self.value()

    def items(self, end: str, read):
        out = []
        while True:
            at = self.at
            kind, text = self.token()
            if kind == "mark" and text == end:
                return out
            if kind == "mark" and text == ",":
                continue
            self.at = at
            out.append(read())

    def expect(self, mark: str):
        kind, text = self.token()
        if kind != "mark" or text != mark:
            raise SystemExit(f"expected {mark!r}, not {text!r}, in the package's data at byte {self.at}")

    @staticmethod
    def unquote(text: str) -> str:
        if text[0] == "`" and "${" in text:
            raise SystemExit("a template in the package's data is no constant")
        known = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}

        def escape(match):
            code = match.group(1)
            if code[0] in "ux" and len(code) > 1:
                return chr(int(code[1:].strip("{}"), 16))
            return known.get(code, code)

        return re.sub(r"\\(u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", escape, text[1:-1],
                      flags=re.S)


def find_data(text: str):
    start = re.search(r"=\s*(?=\[\{id:\")", text)
    if not start:
        raise SystemExit("the package holds no list of providers where it used to")
    return Literal(text, start.end()).value()


def rate(value: D, factor, where: str, unit: str) -> str:
    scaled = value * D(factor)
    if value < 0 or (unit in TOKENS and value > 0 and not LEAST <= value <= MOST):
        raise SystemExit(f"{where}: {unit} = {value} USD is of a wrong magnitude: refused, nothing was written")
    rounded = scaled.quantize(D("1e-9"), rounding=decimal.ROUND_HALF_EVEN)
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def sheets_of(prices: dict, where: str, provider: str, dropped: collections.Counter):
    """One set of rates per context band."""
    known = {unit: value for unit, value in prices.items() if unit in UNITS}
    for unit in prices:
        if unit not in UNITS:
            dropped[unit] += 1
    starts = sorted({int(tier["start"]) for value in known.values() if isinstance(value, dict)
                     for tier in value["tiers"]})
    for start in [-1, *starts]:
        rates = {}
        for unit, value in known.items():
            if isinstance(value, dict):
                price = value["base"]
                for tier in sorted(value["tiers"], key=lambda tier: tier["start"]):
                    if start >= int(tier["start"]):
                        price = tier["price"]
            else:
                price = value
            bucket, factor = UNITS[unit]
            rates[bucket] = rate(price, factor, where, unit)
        if provider in ALL_INPUT_ALIKE and "input" in rates and "audio_input" not in rates:
            rates["audio_input"] = rates["input"]
            if "cached_input" in rates:
                rates["cached_audio_input"] = rates["cached_input"]
        if rates:
            yield ({"above": start} if start >= 0 else {}) | {"rates": rates}


def conditions(prices):
    """Their list, of which the last that holds counts, as periods that exclude each other."""
    if isinstance(prices, dict):
        return [({}, prices)]
    out = []
    for index, entry in enumerate(prices):
        constraint = entry.get("constraint") or {}
        when = {}
        if "start_date" in constraint:
            when["from"] = constraint["start_date"]
        if "start_time" in constraint:
            clock = [constraint["start_time"], constraint["end_time"]]
            if not all(re.fullmatch(r"\d\d:\d\d:\d\dZ", text) for text in clock):
                raise SystemExit(f"a time of day of the package is not understood: {clock}")
            when["time"] = [text[:5] for text in clock]
        later = [other["constraint"]["start_date"] for other in prices[index + 1:]
                 if "start_date" in (other.get("constraint") or {})]
        if later:
            when["to"] = min(later)
        if when.get("from", "") < when.get("to", "9999"):
            out.append((when, entry["prices"]))
    return out


def matcher(match, where: str):
    """Their matcher as ours: RE2 has no lookahead, so "^(?!.*X)" becomes {"not": {"regex": "X"}}."""
    (kind, value), = match.items()
    if kind in ("or", "and"):
        return {kind: [matcher(part, where) for part in value]}
    if kind not in ("equals", "starts_with", "ends_with", "contains", "regex"):
        raise SystemExit(f"{where}: unknown kind of matcher '{kind}'")
    if kind == "regex":
        negative = re.fullmatch(r"\^\(\?!\.\*(.*)\)", value)
        if negative:
            return {"not": {"regex": negative.group(1)}}
        if "(?" in value.replace("(?:", ""):
            raise SystemExit(f"{where}: the pattern {value!r} is none that RE2 knows")
    return match


def convert(data, args) -> dict:
    dropped: collections.Counter = collections.Counter()
    providers, sheets, rates = [], 0, 0
    for provider in data:
        models = []
        for model in provider["models"]:
            where = f"{provider['id']}/{model['id']}"
            prices = []
            for when, entry in conditions(model["prices"]):
                for sheet in sheets_of(entry, where, provider["id"], dropped):
                    prices.append(when | sheet)
                    sheets += 1
                    rates += len(sheet["rates"])
            # Also those without a price: the first match counts, and unknown is what they are.
            models.append({"id": model["id"], "match": matcher(model["match"], where), "prices": prices})
        entry = {"id": provider["id"], "name": provider["name"], "url": provider["api_pattern"]}
        if "provider_match" in provider:
            entry["names"] = matcher(provider["provider_match"], provider["id"])
        if "fallback_model_providers" in provider:
            entry["fallback"] = provider["fallback_model_providers"]
        if provider.get("pricing_urls"):
            entry["source"] = provider["pricing_urls"][0]
        providers.append(entry | {"models": models})
    for unit, count in sorted(dropped.items()):
        print(f"left out: {unit} ({count}), which Leeway does not count", file=sys.stderr)
    return {"format": "leeway-price-book", "version": 1, "currency": "USD", "unit": "usd_per_million",
            "name": f"genai-prices {args.version}", "source": f"npm @pydantic/genai-prices@{args.version}",
            "licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present", "sha512": args.sha512,
            "fetched": args.fetched, "confidence": "single-source", "providers": providers,
            "sheets": sheets, "rates": rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=pathlib.Path, required=True, help="folder of the unpacked package")
    parser.add_argument("--version", required=True)
    parser.add_argument("--sha512", default="", help="of the package, for the record")
    parser.add_argument("--fetched", required=True, help="date of the data, YYYY-MM-DD")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    book = convert(find_data((args.package / "dist/index.cjs").read_text(encoding="utf-8")), args)
    if book["rates"] < 1000:
        raise SystemExit(f"only {book['rates']} rates: the package's data was not understood")
    part = args.out.with_name(args.out.name + ".part")
    part.write_text(json.dumps(book, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(args.out)  # a reader sees the old book or the new one
    print(f"{args.out}: {len(book['providers'])} providers, "
          f"{sum(len(p['models']) for p in book['providers'])} models, {book['rates']} rates")


if __name__ == "__main__":
    main()
