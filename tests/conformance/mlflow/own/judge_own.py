"""Judges MLflow's own tests: a case that fails must stand in left_out.txt with its reason, and one that stands there must fail.

Prints how many of how many pass and `judged: P passed F failed S skipped`.
"""
import collections
import fnmatch
import json
import sys


def main(results, left_out):
    listed = {}
    for line in open(left_out, encoding="utf-8"):
        what, _, why = line.partition("  #")
        if what.strip() and not what.startswith("#"):
            assert why.strip(), f"left_out.txt: no reason: {line}"
            listed[what.strip()] = [why.strip(), 0]
    rows = {}
    for line in open(results, encoding="utf-8"):
        row = json.loads(line)
        rows.setdefault(row["test"], row)
        if row["outcome"] == "failed":
            rows[row["test"]] = row
    good, failed, expected, files = 0, 0, 0, collections.defaultdict(lambda: [0, 0])
    for test, row in sorted(rows.items()):
        file, _, name = test.partition("::")
        if row["outcome"] == "skipped":
            print(f"note: {test} skips itself: {row['why']}")
            continue
        files[file][1] += 1
        entry = next((e for p, e in listed.items() if fnmatch.fnmatchcase(test, p.replace("[", "[[]"))), None)
        if row["outcome"] == "passed":
            good += 1
            files[file][0] += 1
            if entry:
                entry[1] += 1
                failed += 1
                print(f"FAIL {test} passes, but stands in left_out.txt")
        elif entry:
            entry[1] += 1
            expected += 1
            print(f"note: {test} is left out: {entry[0]}")
        else:
            failed += 1
            print(f"FAIL {test}: {row['why'][-700:]}")
    for what, (why, seen) in listed.items():
        if not seen:
            failed += 1
            print(f"FAIL {what} stands in left_out.txt, but there is no such case")
    for file, (some, all_) in sorted(files.items()):
        print(f"figure: {file}: {some} of {all_} pass")
    print(f"figure: {good} of {len([r for r in rows.values() if r['outcome'] != 'skipped'])} of MLflow's own cases pass, {expected} are left out with a reason")
    print(f"judged: {good} passed {failed} failed {expected} skipped")
    return 1 if failed or not good else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
