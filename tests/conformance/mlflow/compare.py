"""Compares two recordings of the same scenario, call by call and field by field.

    compare.py REAL OURS ACCEPTED

Calls are matched within a step of the scenario by method and path, since the client sends some at once. What must differ
between two servers is put in the same words first, by RULES alone. Every other difference must stand in ACCEPTED, one
line each: `step | METHOD path | field  # reason`, in which * stands for anything; a line there that fits no difference
is a failure, so that the list stays true. Prints the table of what differs and `judged: P passed F failed 0 skipped`.
"""
import ast
import collections
import fnmatch
import json
import re
import sys
import urllib.parse

# What is said in other words before comparing, and why. Nothing else is forgiven without a line in the list.
RULES = """
times          | a time of an object becomes its place among the times seen for that object (t1, t2, …): so what moves, and when, is still compared
other times    | any other 13-digit number of ms and any ISO time becomes <ms>, <time>: two runs are at two times
names by time  | the kit's scenario names its models m<seconds> and pr<seconds>
ids            | a uuid, a run's id (32 hex), a logged model's id (m-32 hex) become <id n> by first appearance: they are random
run names      | the tracking server makes them up at random
ports          | http://127.0.0.1:port becomes <server>: the ports are free ones
page tokens    | opaque by contract: only whether there is one is compared; a token that no answer gave stays as it is
sets           | {'a', 'b'} in a text is printed by Python in an order that changes with each start: put in order
tags, stages   | tags are a set of keys, and latest_versions has one version for each stage: both put in order; the real server gives
               | tags as they were first set, and stages in an order that differs between get and search
events         | those of a webhook are a set (the same one twice is refused): put in order; the real server gives them as its database does
logged files   | the client writes a model with ids, times and pickles in it: of a file that this run put, the answer must be what was put
html           | the words of an HTML error page of the web framework: status and content type are compared
"""

HEX = re.compile(r"\bm-[0-9a-f]{32}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
TIMES = {"creation_timestamp", "last_updated_timestamp"}


class Recording:
    def __init__(self, file):
        self.ids, self.tokens, self.put, self.seen = {}, set(), {}, {}
        self.steps = collections.OrderedDict()
        step = self.steps.setdefault("start", [])
        names = collections.Counter()
        for line in open(file, encoding="utf-8"):
            row = json.loads(line)
            if "mark" in row:
                name = self.text(row["mark"])
                names[name] += 1
                step = self.steps.setdefault(name if names[name] == 1 else f"{name} ({names[name]})", [])
            elif "hook" in row:
                step.append((f"HOOK {row['hook']}", self.value(row, ())))
            elif "out" in row:
                step.append((f"OUT {self.text(row['out'])}", {}))
            else:
                step.append(self.call(row))

    def text(self, text):
        text = re.sub(r"http://(127\.0\.0\.1|localhost):\d+", "<server>", text)
        text = re.sub(r"\b(127\.0\.0\.1|localhost):\d{4,5}\b|port=\d{4,5}\b", "<server>", text)
        text = HEX.sub(lambda m: self.ids.setdefault(m[0], f"<id {len(self.ids) + 1}>"), text)
        text = re.sub(r"\b(m|pr)1\d{9}", r"\1<now>", text)
        text = re.sub(r"(?<![\d.])1\d{12}(?!\d)", "<ms>", ISO.sub("<time>", text))
        return re.sub(r"\{'[^{}:]*'\}", lambda m: self.set_of(m[0]), text)

    @staticmethod
    def set_of(text):
        try:
            return "{" + ", ".join(sorted(map(repr, ast.literal_eval(text)))) + "}"
        except (SyntaxError, ValueError):
            return text

    def time_of(self, owner, value):
        return f"t{self.seen.setdefault(owner, []).index(value) + 1}" if value in self.seen[owner] else self.new_time(owner, value)

    def new_time(self, owner, value):
        self.seen[owner].append(value)
        return f"t{len(self.seen[owner])}"

    def value(self, value, path):
        if isinstance(value, dict):
            if path[-1:] == ("tags",) or "key" in value and "value" in value and len(value) == 2:
                if value.get("key") == "mlflow.runName":
                    return {"key": "mlflow.runName", "value": "<run name>"}
            owner = tuple(str(value.get(k)) for k in ("name", "version", "webhook_id"))
            out = {}
            # The time of making is looked at first: that of the last change is t1 exactly when nothing changed since.
            for key in sorted(value, key=lambda k: (k != "creation_timestamp", k != "last_updated_timestamp")):
                item = value[key]
                if key in TIMES and isinstance(item, int) and "name" in value:
                    self.seen.setdefault(owner, [])
                    out[key] = self.time_of(owner, item)
                elif key == "next_page_token":
                    self.tokens.add(item)
                    out[key] = "<token>"
                elif key == "run_name":
                    out[key] = "<run name>"
                else:
                    out[self.text(key)] = self.value(item, path + (key,))
            return out
        if isinstance(value, list):
            by = {"tags": ("key",), "latest_versions": ("current_stage",), "events": ("entity", "action")}.get(path[-1] if path else None)
            if by and all(isinstance(item, dict) for item in value):
                value = sorted(value, key=lambda item: [str(item.get(key)) for key in by])
            return [self.value(item, path + (i,)) for i, item in enumerate(value)]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int) and 10 ** 12 <= value < 10 ** 13:
            return "<ms>"
        if isinstance(value, str):
            if value[:1] in "[{" and value[-1:] in "]}" and len(value) > 2:
                try:
                    return self.value(json.loads(value), path)  # JSON inside of a tag
                except ValueError:
                    pass
            return self.text(value)
        return value

    def path(self, path):
        path, _, query = path.partition("?")
        pairs = [(k, "<token>" if k == "page_token" and v in self.tokens else self.text(v)) for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True)]
        return self.text(urllib.parse.unquote(path)) + ("?" + "&".join(f"{k}={v}" for k, v in sorted(pairs)) if pairs else "")

    def body(self, body, row, sent):
        if body is None:
            return None
        kind = (row["h"].get("content-type") or "").split(";")[0]
        file = row["p"].partition("?")[0]
        if "/mlflow-artifacts/artifacts/" in file and (sent or row["s"] in (200, 206)) and row["m"] in ("GET", "PUT"):
            if sent:
                self.put[file] = (body["sha256"], body["len"])
                return "<a file>" if "/models/" in file else body["sha256"]
            if row["s"] == 200 and "/models/" in file:
                return "<what was put>" if self.put.get(file, ("",))[0] == body["sha256"] else "<not what was put>"
            return {"sha256": body["sha256"], "len": body["len"]}
        text = body.get("text")
        if not sent and kind == "text/html" and row["s"] >= 300:
            return "<html>"
        if text is None:
            return {"sha256": body["sha256"], "len": body["len"]}
        try:
            value = json.loads(text)
        except ValueError:
            return self.text(text)
        if not sent and "/mlflow-artifacts/artifacts?" in row["p"] and isinstance(value, dict):
            folder = urllib.parse.parse_qs(row["p"].partition("?")[2]).get("path", [""])[0]
            for f in value.get("files", []):
                put = self.put.get(f"{row['p'].partition('?')[0]}/{urllib.parse.quote(folder)}/{urllib.parse.quote(str(f.get('path')))}")
                if put and "/models/" in folder and f.get("file_size") == put[1]:
                    f["file_size"] = "<of what was put>"
        return self.value(value, ())

    def call(self, row):
        sent, answer = self.body(row["b"], row, True), self.body(row["rb"], row, False)
        head = {k: v for k, v in row["h"].items() if v is not None}
        if "content-type" in head:
            head["content-type"] = head["content-type"].lower().replace("; ", ";")
        return (f"{row['m']} {self.path(row['p'])}",
                {"status": row["s"], "sent": sent, "answer": answer, "header": head | {"validators": row["validators"]}})


def differences(a, b, at=""):
    """Every leaf at which two values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            here = f"{at}.{key}" if at else key
            if key not in a or key not in b:
                yield here, a.get(key, "(absent)"), b.get(key, "(absent)")
            else:
                yield from differences(a[key], b[key], here)
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            yield f"{at}.length", len(a), len(b)
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{at}[{i}]")
    elif type(a) is not type(b) or a != b:
        yield at, a, b


def leaves(value):
    """How many values there are to compare."""
    if isinstance(value, (dict, list)):
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


def short(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "…"


def main(real, ours, accepted):
    lists = []
    for line in open(accepted, encoding="utf-8"):
        what, _, why = line.partition("  #")
        if what.strip() and not what.startswith("#"):
            pattern = tuple(part.strip() for part in what.split(" | "))
            assert len(pattern) == 3 and why.strip(), f"accepted.txt: not `step | call | field  # reason`: {line}"
            lists.append([pattern, 0])
    a, b = Recording(real).steps, Recording(ours).steps
    table, equal, forgiven, compared = [], 0, 0, 0

    def judge(step, call, field, x, y):
        nonlocal forgiven
        for entry in lists:
            if all(fnmatch.fnmatchcase(value, pattern.replace("[", "[[]")) for value, pattern in zip((step, call, field), entry[0])):
                entry[1] += 1
                forgiven += 1
                return True
        table.append((step, call, field, short(x), short(y)))
        return False

    for step in list(a) + [s for s in b if s not in a]:
        of_a, of_b = collections.defaultdict(list), collections.defaultdict(list)
        for key, value in a.get(step, []):
            of_a[key].append(value)
        for key, value in b.get(step, []):
            of_b[key].append(value)
        for key in list(of_a) + [k for k in of_b if k not in of_a]:
            if len(of_a[key]) != len(of_b[key]):
                judge(step, key, "number of calls", len(of_a[key]), len(of_b[key]))
            for x, y in zip(of_a[key], of_b[key]):
                compared += leaves(x)
                found = list(differences(x, y))
                # A list, so that each difference is judged and counted, also after the first that is not accepted.
                if all([judge(step, key, *f) for f in found]):
                    equal += 1
    widths = [max((len(row[i]) for row in table), default=0) for i in range(3)]
    for row in table:
        print("DIFF " + " | ".join(text.ljust(min(width, 90)) for text, width in zip(row[:3], widths)) + f" | real: {row[3]} | ours: {row[4]}")
    stale = [entry for entry in lists if not entry[1]]
    for entry in stale:
        print("FAIL accepted, but there is no such difference (any more): " + " | ".join(entry[0]))
    print(f"figure: {sum(map(len, a.values()))} calls of the real server, {sum(map(len, b.values()))} of ours, {compared} fields compared, {len(table)} differ, {forgiven} accepted by {len(lists)} lines")
    failed = len(table) + len(stale)
    print(f"judged: {equal} passed {failed} failed 0 skipped")
    return 1 if failed or not equal else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
