#!/usr/bin/env python3
"""Alters what lies in MongoDB, so that tests see what the checker, or the sweeper, makes of it.

    alter_database.py URL rest       ages the markers; prints what is not at rest, nothing when all is
    alter_database.py URL damages    lists the damages below, and what the checker must say of each
    alter_database.py URL DAMAGE COPY    copies the database to COPY and damages that
    alter_database.py URL copy COPY      only copies it
    alter_database.py URL drop COPY      drops a copy
"""
import sys, uuid

import pymongo

client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=10_000)
data = client.get_default_database()


def rest():
    """A marker as old as this has no writer."""
    old = {"touched_at": 0, "body.touched_at": "1970-01-01T00:00:00Z"}
    data["pending"].update_many({}, {"$set": old})
    open_ones = {"$or": [{"state": {"$in": ["queued", "running"]}}, {"state": "succeeded", "published": False}]}
    waits = [f"{row['_id']} {row['state']}" for row in data["conversions"].find(open_ones)]
    waits += [f"marker {row['_id']}" for row in data["pending"].find()]
    print("\n".join(waits))


def copy(name):
    """GridFS, records and all."""
    client.drop_database(name)
    for collection in data.list_collection_names():
        rows = list(data[collection].find())
        if rows:
            client[name][collection].insert_many(rows)
    return client[name]


def flip(bucket):
    chunk = data[f"{bucket}.chunks"].find_one()
    stored = bytearray(chunk["data"])
    stored[len(stored) // 2] ^= 1
    data[f"{bucket}.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": bytes(stored)}})


def lengthen(bucket):
    chunk = data[f"{bucket}.chunks"].find_one()
    data[f"{bucket}.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": chunk["data"] + b"x"}})


def lose(collection):
    data[collection].delete_one({})


def lose_file(bucket):
    """Its document and its chunks."""
    id = data[f"{bucket}.files"].find_one()["_id"]
    data[f"{bucket}.files"].delete_one({"_id": id})
    data[f"{bucket}.chunks"].delete_many({"files_id": id})


def stray_chunk(bucket):
    data[f"{bucket}.chunks"].insert_one({"files_id": str(uuid.uuid4()), "n": 0, "data": b"x"})


def gap(bucket):
    data[f"{bucket}.chunks"].update_one({}, {"$set": {"n": 7}})


def stray_marker():
    data["pending"].insert_one({"_id": str(uuid.uuid4()), "touched_at": 0, "body": {}})


def change(column=True, **changes):
    fields = {f"body.{name}": value for name, value in changes.items()}
    fields |= {name: value for name, value in changes.items() if column and name in ("state", "published")}
    data["conversions"].update_one({"state": "succeeded"}, {"$set": fields})


def swap_mp3s():
    """Two conversions get one another's MP3, records and all."""
    one, two = data["conversions"].find({"state": "succeeded"}).limit(2)
    for row, other in ((one, two), (two, one)):
        data["conversions"].update_one({"_id": row["_id"]}, {"$set": {"body.mp3": other["body"]["mp3"], "mp3": other["mp3"]}})


def double():
    """A second conversion of a video that was uploaded once."""
    row = data["conversions"].find_one({"state": "succeeded"})
    row["_id"] = row["body"]["id"] = str(uuid.uuid4())
    row["key"] = None
    data["conversions"].insert_one(row)


DAMAGES = {
    "an mp3 is lost": (lambda: lose_file("mp3s"), "is missing"),
    "a video is lost": (lambda: lose_file("videos"), "is missing"),
    "a chunk of an mp3 is lost": (lambda: lose("mp3s.chunks"), "its document says"),
    "a document of an mp3 is lost": (lambda: lose("mp3s.files"), "is missing"),
    "a bit of an mp3 flips": (lambda: flip("mp3s"), "its bytes are not the recorded ones"),
    "a bit of a video flips": (lambda: flip("videos"), "its bytes are not the recorded ones"),
    "an mp3 has an end too many": (lambda: lengthen("mp3s"), "bytes are stored"),
    "a report is lost": (lambda: data["mp3s.files"].update_one({}, {"$unset": {"metadata.beside": 1}}), "nothing is stored beside its MP3"),
    "chunks have a gap": (lambda: gap("mp3s"), "has the chunks"),
    "a stray chunk of an mp3": (lambda: stray_chunk("mp3s"), "belongs to no record"),
    "a stray chunk of a video": (lambda: stray_chunk("videos"), "belongs to no record"),
    "a stray marker": (stray_marker, "was never swept"),
    "a state goes back": (lambda: change(state="running", mp3=None), "not final but running"),
    "a success becomes a failure": (lambda: change(state="failed", mp3=None, failure={"reason": "deadline", "detail": ""}), "failed: {"),
    "attempts are used up": (lambda: change(state="failed", mp3=None, failure={"reason": "attempts_exhausted", "detail": ""}), "used up their attempts"),
    "a column differs": (lambda: change(column=False, state="failed"), "the column state is"),
    "an event is not out": (lambda: change(published=False), "was never published"),
    "a conversion is lost": (lambda: lose("conversions"), "accepted, and has no record"),
    "a conversion is doubled": (double, "more conversions than were asked for"),
    "a video's record is lost": (lambda: lose("videos"), "accepted, and has no record"),
    "mp3s are swapped": (swap_mp3s, "of the sound is at"),
}

if __name__ == "__main__":
    what = sys.argv[2]
    if what == "damages":
        print("\n".join(f"{damage}\t{said}" for damage, (_, said) in DAMAGES.items()))
    elif what == "rest":
        rest()
    elif what == "copy":
        copy(sys.argv[3])
    elif what == "drop":
        client.drop_database(sys.argv[3])
    else:
        data = copy(sys.argv[3])
        DAMAGES[what][0]()
