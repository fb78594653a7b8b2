#!/usr/bin/env python3
"""Brings a data folder, in which no process is at work any more, into a state that a power cut may
have left it in; powercut.c has noted in SIDE what was synced.

    powercut.py DATA SIDE begin     all that is there counts as synced
    powercut.py DATA SIDE SEED      cuts the power, then begins

A disk may have written what nobody synced, or not: every file keeps its present bytes or falls back
to its synced ones, and every folder keeps its present names or falls back to its synced ones. A third
of the cuts take everything back.
"""
import os, random, shutil, sys
from pathlib import Path

data, side = Path(sys.argv[1]), Path(sys.argv[2])


def begin():
    shutil.rmtree(side, ignore_errors=True)
    side.mkdir(mode=0o700)
    for folder, _, files in os.walk(data):
        names = "".join(f"{entry.inode()} {entry.name}\n" for entry in os.scandir(folder))
        (side / f"{os.stat(folder).st_ino}.dir").write_text(names)
        for file in files:
            path = Path(folder) / file
            shutil.copyfile(path, side / f"{path.stat().st_ino}.data")
            os.link(path, side / f"{path.stat().st_ino}.hold")


def rebuild(folder, to, written):
    """Makes in `to` what is left of a folder."""
    to.mkdir(mode=0o700)
    here = {str(entry.inode()): entry.name for entry in os.scandir(folder)}
    synced = side / f"{folder.stat().st_ino}.dir"
    lines = synced.read_text().splitlines() if synced.exists() else []
    names = here if written() else dict(line.split(" ", 1) for line in lines)
    for inode, name in names.items():
        source = folder / here[inode] if inode in here else side / f"{inode}.hold"
        if source.is_dir():
            rebuild(source, to / name, written)
        elif written() and source.exists():
            shutil.copyfile(source, to / name)
        elif (side / f"{inode}.data").exists():
            shutil.copyfile(side / f"{inode}.data", to / name)
        else:
            (to / name).touch()
        if not (to / name).is_dir():
            (to / name).chmod(0o600)


if sys.argv[3] != "begin":
    chance = random.Random(int(sys.argv[3]))
    nothing = chance.random() < 1 / 3
    left = data.with_name("left")
    rebuild(data, left, lambda: not nothing and chance.random() < 0.5)
    shutil.rmtree(data)
    left.rename(data)
begin()
