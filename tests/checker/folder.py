"""Reads the data folder of a stopped `audio-converter serve`, and sees whose processes are left."""
import json, os, sqlite3
from pathlib import Path

from judge import Found, Stored, must


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


def files(place):
    return {file.name: Stored(file.stat().st_size, file.read_bytes) for file in place.iterdir()}


def read(data):
    rows(data, "accounts.sqlite", "SELECT 1")
    messages = rows(data, "messages.sqlite", "SELECT topic, body, dead_at, reason FROM messages")
    for row in messages:
        must(row["dead_at"] is None, f"a {row['topic']} message was given up: {row['reason']}")
    return Found(
        videos=bodies(data, "videos"),
        conversions=bodies(data, "conversions"),
        markers={row["file"] for row in rows(data, "records.sqlite", "SELECT file FROM pending")},
        files={place: files(data / place) for place in ("videos", "mp3s")},
        beside={file.stem: json.loads(file.read_text()) for file in (data / "mp3s").glob("*.json")},
        queued=[json.loads(row["body"]) for row in messages if row["topic"] == "mp3"],
    )


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
