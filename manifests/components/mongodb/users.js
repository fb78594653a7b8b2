// Run once by the image, over an empty database: an account for each service, with a role that holds
// what lib/storage asks of each collection on that service's behalf, and nothing else.
const fs = require("fs");
const password = (name) => fs.readFileSync("/run/secrets/mongodb/" + name, "utf8").trim();
const service = db.getSiblingDB("audio_converter");

const READ = ["find"];
const WRITE = ["find", "insert", "update", "remove"];
// Whoever opens the storage makes sure of its indexes.
const INDEXED = ["conversions", "videos", "pending", "videos.chunks", "mp3s.chunks"];

const needs = {
  // Takes videos in, gives MP3s out, deletes both, switches dispatching.
  gateway: {
    conversions: WRITE, videos: WRITE, pending: WRITE, control: WRITE,
    "videos.files": ["find", "insert", "remove"], "videos.chunks": ["find", "insert", "remove"],
    "mp3s.files": ["find", "remove"], "mp3s.chunks": ["find", "remove"],
    // How much of the disk is left.
    "": ["dbStats"],
  },
  // Decides, adopts videos of the original system (fs), sweeps up.
  dispatcher: {
    conversions: WRITE, videos: WRITE, pending: WRITE, control: WRITE,
    "videos.files": ["find", "insert", "remove"], "videos.chunks": ["find", "insert", "remove"],
    "mp3s.files": ["find", "remove"], "mp3s.chunks": ["find", "remove"],
    "fs.files": READ, "fs.chunks": READ,
  },
  // Reads one video and writes one MP3: it cannot touch a video, nor delete a record.
  "converter-job": {
    conversions: ["find", "update"], videos: READ, pending: WRITE,
    "videos.files": READ, "videos.chunks": READ,
    "mp3s.files": ["find", "insert", "remove"], "mp3s.chunks": ["find", "insert", "remove"],
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
