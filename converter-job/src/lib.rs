//! One video in, one MP3 out, exit.
