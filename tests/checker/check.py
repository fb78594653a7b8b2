#!/usr/bin/env python3
"""Judges what a stopped `audio-converter serve`, or a cluster at rest, holds by what its clients were
told. It shares no code with the services.

    check.py DATA TOLD [--events FILE] [--swept] [--pid N ...]
    check.py mongodb://HOST/NAME TOLD [--events FILE] [--swept] [--dead FILE] [--namespace NAME] [--exhausted N]

TOLD has a JSON object a line, as the clients saw it happen:
    {"said": "accepted", "conversion", "video", "owner", "sha256", "seconds", "hertz",
     "may_fail": [CODE, ...], "must_fail": CODE or null}
    {"said": "final", "conversion", "state"}     {"said": "cancelled", "conversion"}
    {"said": "deleted", "video"}                 {"said": "nonsense", "body"}
FILE has the bodies of the `mp3` messages that a consumer took and acked, one a line; those not yet
taken are found in the queue on one machine, and must all have been taken on a cluster. With --swept no
marker of an unfinished file may be left. On one machine no process may have the folder open, and none
of the given ids may live. On a cluster (which needs `python` beside this file) the namespace may have
neither Jobs nor pods, only messages that were nonsense may be among the dead ones, and at most N
conversions may have used up their attempts. Exit code 0, or 1 with one violation a line; the last line
counts what was seen.
"""
import argparse, json, sys
from pathlib import Path

from judge import judge, must, violations


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()] if path else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("told")
    parser.add_argument("--events")
    parser.add_argument("--swept", action="store_true")
    parser.add_argument("--pid", type=int, nargs="*", default=[])
    parser.add_argument("--dead")
    parser.add_argument("--namespace")
    parser.add_argument("--exhausted", type=int)
    given = parser.parse_args()
    told = lines(given.told)
    if given.data.startswith("mongodb://"):
        import database
        found = database.read(given.data)
        database.judge_rest(found, told, given)
    else:
        import folder
        data = Path(given.data).resolve()
        folder.judge_processes(data, given.pid)
        found = folder.read(data)
    seen = judge(told, lines(given.events), found, given.swept)
    print("\n".join(dict.fromkeys(violations)), file=sys.stderr)
    print(f"{seen}, violations {len(set(violations))}")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
