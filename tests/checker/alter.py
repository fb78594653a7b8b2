#!/usr/bin/env python3
"""Alters the data folder of a stopped server, so that tests see what the checker, or the sweeper,
makes of it.

    alter.py DATA markers      prints how many markers there are (the server may run)
    alter.py DATA age          lets every marker be two days old, so that the sweeper must act
    alter.py DATA DAMAGE       does one of the damages below
"""
import datetime, json, sqlite3, sys, uuid
from pathlib import Path

data = Path(sys.argv[1])


def database(name):
    return sqlite3.connect(data / name, timeout=15, isolation_level=None)


def markers():
    print(database("records.sqlite").execute("SELECT count(*) FROM pending").fetchone()[0])


def age():
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
    records = database("records.sqlite")
    for file, body in records.execute("SELECT file, body FROM pending").fetchall():
        marker = json.loads(body) | {"touched_at": then.strftime("%Y-%m-%dT%H:%M:%SZ")}
        records.execute("UPDATE pending SET touched_at = ?, body = ? WHERE file = ?",
                        (int(then.timestamp() * 1000), json.dumps(marker), file))


def a_file(place):
    return sorted((data / place).iterdir())[0]


def a_text():
    return sorted((data / "mp3s").glob("*.json"))[0]


def of_another():
    """The report beside an MP3 tells of a longer one."""
    stored = json.loads(a_text().read_text())
    report = json.loads(stored["report"])
    report["mp3"]["length"] += 1
    a_text().write_text(json.dumps(stored | {"report": json.dumps(report)}))


def flip(place):
    file = a_file(place)
    stored = bytearray(file.read_bytes())
    stored[len(stored) // 2] ^= 1
    file.write_bytes(stored)


def change_record(**changes):
    records = database("records.sqlite")
    id, body = records.execute("SELECT id, body FROM conversions WHERE state = 'succeeded'").fetchone()
    body = json.loads(body) | changes
    records.execute("UPDATE conversions SET state = ?, body = ? WHERE id = ?", (body["state"], json.dumps(body), id))


def swap_mp3s():
    """Two conversions get one another's MP3, records and all."""
    records = database("records.sqlite")
    (one, a), (two, b) = records.execute("SELECT id, body FROM conversions WHERE state = 'succeeded' LIMIT 2").fetchall()
    a, b = json.loads(a), json.loads(b)
    a["mp3"], b["mp3"] = b["mp3"], a["mp3"]
    for id, body in ((one, a), (two, b)):
        records.execute("UPDATE conversions SET mp3 = ?, body = ? WHERE id = ?", (body["mp3"]["id"], json.dumps(body), id))


def second_event():
    messages = database("messages.sqlite")
    row = messages.execute("SELECT body, created_at FROM messages WHERE topic = 'mp3'").fetchone()
    other = json.loads(row[0]) | {"event": str(uuid.uuid4())}
    messages.execute("INSERT INTO messages (topic, message_id, body, created_at, visible_at) VALUES ('mp3', ?, ?, ?, ?)",
                     (other["event"], json.dumps(other).encode(), row[1], row[1]))


def lose(name, table, key="id", where="true"):
    database(name).execute(f"DELETE FROM {table} WHERE {key} = (SELECT {key} FROM {table} WHERE {where} LIMIT 1)")


def tear(name):
    database(name).execute("PRAGMA journal_mode = DELETE")
    stored = bytearray((data / name).read_bytes())
    stored[4096:4196] = bytes(100)
    (data / name).write_bytes(stored)


# Each damage, and what the checker must say of it.
DAMAGES = {
    "an mp3 is lost": (lambda: a_file("mp3s").unlink(), "is missing"),
    "a video is lost": (lambda: a_file("videos").unlink(), "is missing"),
    "a bit of an mp3 flips": (lambda: flip("mp3s"), "its bytes are not the recorded ones"),
    "a bit of a video flips": (lambda: flip("videos"), "its bytes are not the recorded ones"),
    "an mp3 has an end too many": (lambda: a_file("mp3s").open("ab").write(b"x"), "bytes are stored"),
    "a stray mp3": (lambda: (data / "mp3s" / str(uuid.uuid4())).write_bytes(b"x"), "belongs to no record"),
    "a report is lost": (lambda: a_text().unlink(), "nothing is stored beside its MP3"),
    "a report is another's": (of_another, "the report is of another MP3"),
    "a stray report": (lambda: (data / "mp3s" / f"{uuid.uuid4()}.json").write_text("{}"), "belongs to no record"),
    "a stray part": (lambda: (data / "videos" / f"{uuid.uuid4()}.part").touch(), "belongs to no record"),
    "a state goes back": (lambda: change_record(state="running", mp3=None), "not final but running"),
    "a success becomes a failure": (lambda: change_record(state="failed", mp3=None, failure={"reason": "deadline", "detail": ""}), "failed: {"),
    "an event is not out": (lambda: change_record(published=False), "was never published"),
    "a second event id": (second_event, "2 event ids"),
    "an event is lost": (lambda: lose("messages.sqlite", "messages", where="topic = 'mp3'"), "0 event ids"),
    "a conversion is lost": (lambda: lose("records.sqlite", "conversions"), "accepted, and has no record"),
    "a video's record is lost": (lambda: lose("records.sqlite", "videos"), "accepted, and has no record"),
    "mp3s are swapped": (swap_mp3s, "of the sound is at"),
    "a page of the records is torn": (lambda: tear("records.sqlite"), "is damaged"),
}

if __name__ == "__main__":
    what = sys.argv[2]
    if what == "damages":
        print("\n".join(f"{damage}\t{said}" for damage, (_, said) in DAMAGES.items()))
    elif what in ("markers", "age"):
        globals()[what]()
    else:
        DAMAGES[what][0]()
