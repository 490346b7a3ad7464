"""Contact sheets of the faces with the strongest degree of each main cause.

    python sheets.py SCORES.csv FACES.tar FOLDER

SCORES.csv has the columns path, quality, main_cause and causes; paths end with the names in the tar.
Each sheet shows up to 30 faces, strongest first, with quality and strength below.
"""

import argparse
import csv
import io
import tarfile
from pathlib import Path

from PIL import Image, ImageDraw

PER_ROW, MOST, SIDE, TEXT = 10, 30, 112, 14


def strength(row):
    found = dict(cause.split(":") for cause in row["causes"].split())
    return float(found[row["main_cause"]])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("scores", type=Path)
    p.add_argument("faces", type=Path)
    p.add_argument("folder", type=Path)
    args = p.parse_args()
    by_cause = {}
    with args.scores.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["main_cause"]:
                by_cause.setdefault(row["main_cause"], []).append(row)
    args.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(args.faces) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}
        for cause, rows in by_cause.items():
            rows = sorted(rows, key=strength, reverse=True)[:MOST]
            lines = -(-len(rows) // PER_ROW)
            sheet = Image.new("RGB", (PER_ROW * SIDE, lines * (SIDE + TEXT)), "white")
            draw = ImageDraw.Draw(sheet)
            for place, row in enumerate(rows):
                x, y = place % PER_ROW * SIDE, place // PER_ROW * (SIDE + TEXT)
                data = tar.extractfile(members[Path(row["path"]).name]).read()
                sheet.paste(Image.open(io.BytesIO(data)).convert("RGB"), (x, y))
                draw.text((x + 2, y + SIDE), f"{row['quality']}  {strength(row):.2f}", "black")
            sheet.save(args.folder / f"{cause}.png")


if __name__ == "__main__":
    main()
