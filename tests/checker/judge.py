"""What must be true of all that is stored, by what clients were told. The same for both back ends:
a reader (`folder.py`, `database.py`) says what is there, in the form of `Found`. It shares no code with
the services: hashes and ffmpeg tell what a file is.
"""
import collections, dataclasses, hashlib, json, math, struct, subprocess, tempfile
from typing import Callable

FINAL = {"succeeded", "failed", "cancelled"}
violations = []


@dataclasses.dataclass
class Stored:
    """A file as it lies there."""
    length: int
    read: Callable[[], bytes]


@dataclasses.dataclass
class Found:
    """All that a reader has found."""
    videos: dict
    conversions: dict
    markers: set  # ids of the files that have one
    files: dict  # of "videos" and "mp3s": by id, with `.part` behind it where its writer did not finish
    beside: dict  # the report and the waveform of each MP3 that has them, by id: {"report", "waveform"}
    queued: list  # bodies of the `mp3` messages that nobody has taken yet


def must(holds, text):
    if not holds:
        violations.append(text)
    return holds


def whole(stored, length, sha256, what):
    """Whether a stored file is as long as recorded and has the recorded hash."""
    if not must(stored is not None, f"{what}: its file is missing"):
        return False
    must(stored.length == length, f"{what}: {stored.length} bytes are stored, {length} recorded")
    digest = hashlib.sha256(stored.read()).hexdigest()
    return must(digest == sha256, f"{what}: its bytes are not the recorded ones")


def sounds_right(stored, upload, what):
    """An MP3 of the original's length with the original's tone and hardly anything else."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(stored.read())
        file.flush()
        form, raw = decoded(file.name)
    must(form == "mp3", f"{what}: ffprobe calls it {form or 'nothing'}")
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


def decoded(file):
    """What ffprobe calls it, and its samples."""
    probe = ["ffprobe", "-v", "error", "-show_entries", "format=format_name", "-of", "csv=p=0", file]
    form = subprocess.run(probe, capture_output=True, text=True).stdout.strip()
    decode = ["ffmpeg", "-nostdin", "-v", "error", "-i", file, "-ac", "1", "-ar", "8000", "-f", "s16le", "-"]
    return form, subprocess.run(decode, capture_output=True).stdout


def judge_uploads(told, found):
    deleted = {line["video"] for line in told if line["said"] == "deleted"}
    for upload in (line for line in told if line["said"] == "accepted"):
        what, record = f"conversion {upload['conversion']}", found.conversions.get(upload["conversion"])
        if upload["video"] in deleted:
            must(record is None, f"{what}: still there though its video was deleted")
            continue
        video = found.videos.get(upload["video"])
        if must(video is not None, f"video {upload['video']}: accepted, and has no record"):
            must(video["sha256"] == upload["sha256"], f"video {video['id']}: not the bytes that were sent")
            must(video["owner"] == upload["owner"], f"video {video['id']}: owned by {video['owner']}")
        if must(record is not None, f"{what}: accepted, and has no record"):
            judge_conversion(record, upload, found, what)
    for line in (line for line in told if line["said"] in ("final", "cancelled")):
        record, said = found.conversions.get(line["conversion"]), line.get("state", "cancelled")
        same = record is None or record["state"] == said
        must(same, f"conversion {line['conversion']}: said to be {said}, is {record and record['state']}")
    for gone in deleted:
        left = found.videos.get(gone)
        must(left is None or left.get("deleted"), f"video {gone}: still there though it was deleted")


def judge_conversion(record, upload, found, what):
    must(record["video"] == upload["video"], f"{what}: of another video")
    must(record["owner"] == upload["owner"], f"{what}: owned by {record['owner']}")
    code, bad = (record["failure"] or {}).get("reason"), upload.get("must_fail")
    may = record["state"] != "failed" or code in upload.get("may_fail", []) + [bad]
    must(may, f"{what}: failed: {record['failure']}")
    must(not bad or record["state"] != "succeeded", f"{what}: succeeded, though it cannot be converted")
    if record["state"] == "succeeded" and not bad and not record.get("mp3_expired"):
        mp3 = record["mp3"]
        stored = found.files["mp3s"].get(mp3["id"])
        if whole(stored, mp3["length"], mp3["sha256"], what):
            sounds_right(stored, upload, what)
        told_right(found.beside.get(mp3["id"]), mp3, upload, what)


def told_right(beside, mp3, upload, what):
    """A report of this MP3, and a waveform as long as the original."""
    if not must(beside is not None, f"{what}: nothing is stored beside its MP3"):
        return
    report, waveform = json.loads(beside["report"]), json.loads(beside["waveform"])
    must(report["mp3"]["length"] == mp3["length"], f"{what}: the report is of another MP3")
    seconds = waveform["length"] * waveform["samples_per_pixel"] / waveform["sample_rate"]
    must(abs(seconds - upload["seconds"]) <= 0.2, f"{what}: a waveform of {seconds:.3f} s instead of {upload['seconds']}")
    must(len(waveform["data"]) == 2 * waveform["length"], f"{what}: its waveform is cut off")


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


def judge_events(taken, told, found):
    deleted = {line["video"] for line in told if line["said"] == "deleted"}
    ids = collections.defaultdict(set)
    for event in taken + found.queued:
        record = found.conversions.get(event["conversion"])
        ids[event["conversion"]].add(event["event"])
        named = record["mp3"] and record["mp3"]["id"] if record else None
        right = event["mp3_fid"] == named or event["video_fid"] in deleted
        must(right, f"conversion {event['conversion']}: an event tells of the MP3 {event['mp3_fid']}, the record of {named}")
    for record in found.conversions.values():
        count, due = len(ids[record["id"]]), int(record["state"] == "succeeded")
        must(count == due, f"conversion {record['id']}: {record['state']}, and has {count} event ids")
    counts = collections.Counter(event for per in ids.values() for event in per)
    must(not [event for event, count in counts.items() if count > 1], "conversions share an event id")


def judge_files(found, swept):
    """Every stored file is named by a record or by the marker of a file not yet finished."""
    for file in sorted(found.markers if swept else []):
        must(False, f"the marker of {file} was never swept")
    mp3s = {record["mp3"]["id"] for record in found.conversions.values() if record["mp3"] and not record.get("mp3_expired")}
    kept = {id for id, video in found.videos.items() if not video.get("deleted")}
    for place, named in (("videos", kept), ("mp3s", mp3s)):
        for name in sorted(found.files[place]):
            id, part = name.removesuffix(".part").removesuffix(".json"), name.endswith(".part")
            owned = id in found.markers or (id in named and not part)
            must(owned, f"{place}/{name} belongs to no record and has no marker")
    for id in sorted(kept):
        video = found.videos[id]
        whole(found.files["videos"].get(id), video["length"], video["sha256"], f"video {id}")


def judge(told, taken, found, swept):
    """Notes every violation and returns a line about what was seen."""
    judge_uploads(told, found)
    judge_records(told, found.videos, found.conversions)
    judge_events(taken, told, found)
    judge_files(found, swept)
    ends = collections.Counter((record["failure"] or {}).get("reason") or record["state"] for record in found.conversions.values())
    attempts = sum(record["attempt"] for record in found.conversions.values())
    return (f"told {len(told)}, videos {len(found.videos)}, conversions {dict(ends)}, attempts {attempts}, "
            f"events {len(taken) + len(found.queued)}, markers {len(found.markers)}")
