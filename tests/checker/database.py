"""Reads what a cluster holds: MongoDB as it lies there, and the Jobs and pods of a namespace."""
import json, subprocess

import pymongo

from judge import Found, Stored, must


def rows(database, name):
    found = {}
    for row in database[name].find():
        record = found[row["_id"]] = row["body"]
        for column in ("_id", "owner", "state", "video", "published"):
            field = column.removeprefix("_")
            if column in row and field in record:
                same = row[column] == record[field]
                must(same, f"{name} {row['_id']}: the column {field} is {row[column]}, the record says {record[field]}")
    return found


def files(database, bucket):
    """Every file of which there is a document or a chunk."""
    documents = {row["_id"]: row for row in database[f"{bucket}.files"].find()}
    chunks = database[f"{bucket}.chunks"]
    found = {}
    for id in set(documents) | set(chunks.distinct("files_id")):
        parts = list(chunks.find({"files_id": id}).sort("n"))
        numbers = [part["n"] for part in parts]
        must(numbers == list(range(len(parts))), f"{bucket}/{id} has the chunks {numbers}")
        stored = b"".join(part["data"] for part in parts)
        if id in documents:
            length = documents[id]["length"]
            must(length == len(stored), f"{bucket}/{id}: {len(stored)} bytes are stored, its document says {length}")
        found[id if id in documents else f"{id}.part"] = Stored(len(stored), lambda stored=stored: stored)
    return found


def read(url):
    database = pymongo.MongoClient(url, serverSelectionTimeoutMS=10_000).get_default_database()
    return Found(
        videos=rows(database, "videos"),
        conversions=rows(database, "conversions"),
        markers={row["_id"] for row in database["pending"].find()},
        files={bucket: files(database, bucket) for bucket in ("videos", "mp3s")},
        beside={row["_id"]: row["metadata"]["beside"] for row in database["mp3s.files"].find({"metadata.beside": {"$exists": True}})},
        queued=[],
    )


def judge_rest(found, told, given):
    """Jobs, pods, dead messages, and how many have used up their attempts."""
    for kind in ("jobs", "pods") if given.namespace else ():
        command = ["kubectl", "-n", given.namespace, "get", kind, "-o", "name"]
        for name in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split():
            must(False, f"{name} is left")
    nonsense = {line["body"] for line in told if line["said"] == "nonsense"}
    for body in open(given.dead, encoding="utf-8") if given.dead else ():
        must(json.loads(body) in nonsense, f"this message was given up: {body.strip()}")
    failures = [(record["failure"] or {}).get("reason") for record in found.conversions.values()]
    exhausted = failures.count("attempts_exhausted")
    allowed = given.exhausted is None or exhausted <= given.exhausted
    must(allowed, f"{exhausted} conversions have used up their attempts")
