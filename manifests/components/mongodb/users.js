// Run once by the image, over an empty database: an account for each service, with a role that holds
// what lib/storage asks of each collection on that service's behalf, and nothing else.
const fs = require("fs");
const password = (name) => fs.readFileSync("/run/secrets/mongodb/" + name, "utf8").trim();
const service = db.getSiblingDB("audio_converter");

const WRITE = ["find", "insert", "update", "remove"];
// Whoever opens the storage makes sure of its indexes.
const INDEXED = ["conversions", "videos", "pending", "videos.chunks", "mp3s.chunks"];

const needs = {
  // Takes videos in, gives MP3s out, deletes both, switches dispatching. A video it cannot give out.
  gateway: {
    conversions: WRITE, videos: WRITE,
    pending: ["insert", "update", "remove"],
    control: ["find", "insert", "update"],
    "videos.files": ["insert", "remove"], "videos.chunks": ["find", "insert", "remove"],
    "mp3s.files": ["find", "remove"], "mp3s.chunks": ["find", "remove"],
    // How much of the disk is left.
    "": ["dbStats"],
  },
  // Decides, adopts videos of the original system that lie in this database (fs), sweeps up.
  dispatcher: {
    conversions: WRITE, videos: ["find", "insert", "remove"],
    pending: WRITE,
    control: ["find", "insert", "update"],
    "videos.files": ["find", "insert", "remove"], "videos.chunks": ["find", "insert", "remove"],
    "mp3s.files": ["remove"], "mp3s.chunks": ["remove"],
    "fs.files": ["find"], "fs.chunks": ["find"],
  },
  // Reads a video and writes an MP3: it can neither touch a video nor delete a record.
  "converter-job": {
    conversions: ["find", "update"], videos: ["find"],
    pending: ["insert", "update", "remove"],
    "videos.files": ["find"], "videos.chunks": ["find"],
    "mp3s.files": ["insert", "remove"], "mp3s.chunks": ["find", "insert", "remove"],
  },
};

for (const [name, collections] of Object.entries(needs)) {
  const indexed = Object.fromEntries(INDEXED.map((collection) => [collection, []]));
  const privileges = Object.entries({ ...indexed, ...collections }).map(([collection, actions]) => ({
    resource: { db: "audio_converter", collection },
    actions: INDEXED.includes(collection) ? [...actions, "createIndex"] : actions,
  }));
  service.createRole({ role: name, privileges, roles: [] });
  service.createUser({
    user: name,
    pwd: password(name.toUpperCase().replace("-", "_") + "_PASSWORD"),
    roles: [name],
    mechanisms: ["SCRAM-SHA-256"],
  });
}
