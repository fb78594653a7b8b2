DROP TABLE pending; DROP TABLE conversions; DROP TABLE videos;
