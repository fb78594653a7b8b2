#!/usr/bin/env python3
"""Judges the data folder of a stopped `audio-converter serve` by what its clients were told.

It shares no code with the services: SQLite, hashes and ffmpeg tell what is there.

    check.py DATA TOLD [--events FILE] [--swept] [--pid N ...]

TOLD has a JSON object a line, as the clients saw it happen:
    {"said": "accepted", "conversion", "video", "owner", "sha256", "seconds", "hertz", "may_fail": [CODE, ...]}
    {"said": "final", "conversion", "state"}     {"said": "cancelled", "conversion"}
    {"said": "deleted", "video"}
FILE has the bodies of the `mp3` messages that a consumer took and acked, one a line; those not yet
taken are found in the queue. With --swept no marker of an unfinished file may be left. No process
may have the folder open, and none of the given ids may live. Exit code 0, or 1 with one violation
a line; the last line counts what was seen.
"""
import argparse, collections, hashlib, json, math, os, sqlite3, struct, subprocess, sys
from pathlib import Path

FINAL = {"succeeded", "failed", "cancelled"}
violations = []


def must(holds, text):
    if not holds:
        violations.append(text)
    return holds


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()] if path else []


def rows(data, name, query):
    """The rows of one database, which must be whole. Opened as it lies, its log included."""
    path = data / name
    if not must(path.exists(), f"{name} is missing"):
        return []
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        try:
            said = [row[0] for row in database.execute("PRAGMA integrity_check")]
            must(said == ["ok"], f"{name} is damaged: {said[:3]}")
            return database.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            must(False, f"{name} is damaged: {error}")
            return []


def bodies(data, table):
    found = {}
    for row in rows(data, "records.sqlite", f"SELECT * FROM {table}"):
        record = json.loads(row["body"])
        found[record["id"]] = record
        for column in ("id", "owner", "state", "video", "published"):
            if column in row.keys() and column in record:
                same = row[column] == record[column]
                must(same, f"{table} {row['id']}: the column {column} is {row[column]}, the record says {record[column]}")
    return found


def whole(file, length, sha256, what):
    """Whether a stored file is as long as recorded and has the recorded hash."""
    if not must(file.is_file(), f"{what}: its file {file.name} is missing"):
        return False
    must(file.stat().st_size == length, f"{what}: {file.stat().st_size} bytes are stored, {length} recorded")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return must(digest == sha256, f"{what}: its bytes are not the recorded ones")


def sounds_right(file, upload, what):
    """An MP3 of the original's length with the original's tone and hardly anything else."""
    probe = ["ffprobe", "-v", "error", "-show_entries", "format=format_name", "-of", "csv=p=0", file]
    form = subprocess.run(probe, capture_output=True, text=True).stdout.strip()
    must(form == "mp3", f"{what}: ffprobe calls it {form or 'nothing'}")
    decode = ["ffmpeg", "-nostdin", "-v", "error", "-i", file, "-ac", "1", "-ar", "8000", "-f", "s16le", "-"]
    raw = subprocess.run(decode, capture_output=True).stdout
    samples = struct.unpack(f"<{len(raw) // 2}h", raw[: len(raw) // 2 * 2])
    seconds = len(samples) / 8000
    must(abs(seconds - upload["seconds"]) <= 0.1, f"{what}: {seconds:.3f} s instead of {upload['seconds']}")
    samples = samples[:40_000]
    power, step = sum(x * x for x in samples), math.tau * upload["hertz"] / 8000
    if not must(power > 1e4 * max(1, len(samples)), f"{what}: silence"):
        return
    sine = sum(x * math.sin(step * n) for n, x in enumerate(samples))
    cosine = sum(x * math.cos(step * n) for n, x in enumerate(samples))
    share = 2 * (sine * sine + cosine * cosine) / (len(samples) * power)
    must(share > 0.8, f"{what}: only {share:.0%} of the sound is at {upload['hertz']} Hz")


def judge_uploads(data, told, videos, conversions):
    deleted = {line["video"] for line in told if line["said"] == "deleted"}
    for upload in (line for line in told if line["said"] == "accepted"):
        what, record = f"conversion {upload['conversion']}", conversions.get(upload["conversion"])
        if upload["video"] in deleted:
            must(record is None, f"{what}: still there though its video was deleted")
            continue
        video = videos.get(upload["video"])
        if must(video is not None, f"video {upload['video']}: accepted, and has no record"):
            must(video["sha256"] == upload["sha256"], f"video {video['id']}: not the bytes that were sent")
            must(video["owner"] == upload["owner"], f"video {video['id']}: owned by {video['owner']}")
        if not must(record is not None, f"{what}: accepted, and has no record"):
            continue
        must(record["video"] == upload["video"], f"{what}: of another video")
        must(record["owner"] == upload["owner"], f"{what}: owned by {record['owner']}")
        code = (record["failure"] or {}).get("reason")
        may = record["state"] != "failed" or code in upload.get("may_fail", [])
        must(may, f"{what}: failed: {record['failure']}")
        if record["state"] == "succeeded" and not record.get("mp3_expired"):
            file = data / "mp3s" / record["mp3"]["id"]
            if whole(file, record["mp3"]["length"], record["mp3"]["sha256"], what):
                sounds_right(file, upload, what)
    for line in (line for line in told if line["said"] in ("final", "cancelled")):
        record, said = conversions.get(line["conversion"]), line.get("state", "cancelled")
        same = record is None or record["state"] == said
        must(same, f"conversion {line['conversion']}: said to be {said}, is {record and record['state']}")
    for gone in deleted:
        left = videos.get(gone)
        must(left is None or left.get("deleted"), f"video {gone}: still there though it was deleted")


def judge_records(told, videos, conversions):
    for record in conversions.values():
        what, done = f"conversion {record['id']}", record["state"] == "succeeded"
        must(record["state"] in FINAL, f"{what}: not final but {record['state']}")
        must(record["video"] in videos, f"{what}: its video has no record")
        must(done == (record["mp3"] is not None), f"{what}: {record['state']}, its MP3: {record['mp3']}")
        must((record["state"] == "failed") == bool(record["failure"]), f"{what}: {record['state']}, its failure: {record['failure']}")
        must(not done or record["published"], f"{what}: its event was never published")
    asked = collections.Counter(line["video"] for line in told if line["said"] == "accepted")
    made = collections.Counter(record["video"] for record in conversions.values())
    doubled = [video for video, count in made.items() if count > max(1, asked[video])]
    must(not doubled, f"videos with more conversions than were asked for: {doubled}")


def judge_events(data, taken, told, conversions):
    deleted = {line["video"] for line in told if line["said"] == "deleted"}
    query = "SELECT topic, message_id, body, dead_at, reason FROM messages"
    queued = rows(data, "messages.sqlite", query)
    for row in queued:
        must(row["dead_at"] is None, f"a {row['topic']} message was given up: {row['reason']}")
    events = taken + [json.loads(row["body"]) for row in queued if row["topic"] == "mp3"]
    ids = collections.defaultdict(set)
    for event in events:
        record = conversions.get(event["conversion"])
        ids[event["conversion"]].add(event["event"])
        named = record["mp3"] and record["mp3"]["id"] if record else None
        right = event["mp3_fid"] == named or event["video_fid"] in deleted
        must(right, f"conversion {event['conversion']}: an event tells of the MP3 {event['mp3_fid']}, the record of {named}")
    for record in conversions.values():
        count, due = len(ids[record["id"]]), int(record["state"] == "succeeded")
        must(count == due, f"conversion {record['id']}: {record['state']}, and has {count} event ids")
    counts = collections.Counter(event for per in ids.values() for event in per)
    must(not [event for event, count in counts.items() if count > 1], "conversions share an event id")
    return len(events)


def judge_files(data, videos, conversions, swept):
    """Every stored file is named by a record or by the marker of a file not yet finished."""
    marked = {row["file"] for row in rows(data, "records.sqlite", "SELECT file FROM pending")}
    for file in sorted(marked if swept else []):
        must(False, f"the marker of {file} was never swept")
    mp3s = {record["mp3"]["id"] for record in conversions.values() if record["mp3"] and not record.get("mp3_expired")}
    kept = {id for id, video in videos.items() if not video.get("deleted")}
    for place, named in (("videos", kept), ("mp3s", mp3s)):
        for file in sorted((data / place).iterdir()):
            id, part = file.name.removesuffix(".part"), file.name.endswith(".part")
            owned = id in marked or (id in named and not part)
            must(owned, f"{place}/{file.name} belongs to no record and has no marker")
        for id in sorted(named if place == "videos" else []):
            video = videos[id]
            whole(data / place / id, video["length"], video["sha256"], f"video {id}")
    return len(marked)


def judge_processes(data, pids):
    """None of the given processes lives, and none at all has a file of the folder open."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            must(int(process.name) not in pids or state == "Z", f"process {process.name} is left")
            links = [os.readlink(link) for link in (process / "fd").iterdir()]
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # It has ended meanwhile, or belongs to somebody else.
        works = f"STORAGE_URL=file:{data}".encode() in environment
        opened = works or any(link.startswith(f"{data}/") for link in links)
        must(not opened, f"process {process.name} still works on the folder")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("told")
    parser.add_argument("--events")
    parser.add_argument("--swept", action="store_true")
    parser.add_argument("--pid", type=int, nargs="*", default=[])
    given = parser.parse_args()
    data, told = given.data.resolve(), lines(given.told)
    judge_processes(data, given.pid)
    rows(data, "accounts.sqlite", "SELECT 1")
    videos, conversions = bodies(data, "videos"), bodies(data, "conversions")
    judge_uploads(data, told, videos, conversions)
    judge_records(told, videos, conversions)
    events = judge_events(data, lines(given.events), told, conversions)
    markers = judge_files(data, videos, conversions, given.swept)
    print("\n".join(dict.fromkeys(violations)), file=sys.stderr)
    states = dict(collections.Counter(record["state"] for record in conversions.values()))
    print(f"told {len(told)}, videos {len(videos)}, conversions {states}, events {events}, "
          f"markers {markers}, violations {len(set(violations))}")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
