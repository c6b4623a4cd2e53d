"""Landing: every line of every file ends as accepted, quarantined or duplicate, with its right line number."""

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars
import pytest
import zstandard

from lake.contract import Column
from lake.errors import SourceError
from lake.table_versions import Store
from lake.tables import read_commits, read_version, transaction_of
from tests.landing_parts import HEADER, SHOP, contract_with, counts, land, quarantine_rows, raw_rows
from tests.store_parts import both, both_at_length, lake_bytes, lake_keys

GOOD = "a1,2024-01-05,North,3,2.50,x\n"


def deliver(tmp_path: Path, content: str | bytes, name: str = "in.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@both
def test_landing_splits_rows_and_says_every_reason(tmp_path, store):
    """A row goes to raw, or to quarantine with all its reasons, the first one's category, its line and raw content."""
    rows = [
        GOOD,
        "a2,,West,many,2.505,\n",
        "a3,2024-01-06,South,-4,1,\n",
        "a4,2024-01-06,South,900,2,\n",
        "a1,2024-01-05,North,3,2.5,x\n",
        "a1,2024-01-05,North,4,2.50,x\n",
    ]
    assert counts(land(store, deliver(tmp_path, HEADER + "".join(rows)))) == (6, 1, 4, 1)
    assert raw_rows(store, "sale_id, sold_on, units, price_eur, _line, _source") == [
        ("a1", date(2024, 1, 5), 3, Decimal("2.50"), 2, "in.csv")
    ]
    found = quarantine_rows(store, "line, category, rule, reasons, column_name")
    assert found == [
        (
            3,
            "MISSING_REQUIRED_FIELD",
            "required",
            ["required:sold_on", "type:units", "type:price_eur", "enum:region"],
            "sold_on",
        ),
        (4, "DATA_QUALITY_ISSUE", "minimum", ["minimum:units"], "units"),
        (5, "BUSINESS_RULE_VIOLATION", "cheap", ["rule:cheap"], None),
        (6, "DUPLICATE_RECORD", "repeat", ["duplicate:repeat"], None),
        (7, "DUPLICATE_RECORD", "conflict", ["duplicate:conflict"], None),
    ]
    raw = [json.loads(row[1]) for row in quarantine_rows(store, "line, raw_data")]
    assert raw[0] == {"id": "a2", "day": None, "region": "West", "units": "many", "price": "2.505", "note": None}
    assert raw[3]["price"] == "2.5"
    details = quarantine_rows(store, "line, details")[0][1]
    assert details.startswith("sold_on is required and missing. units is not of type integer.")


@both
def test_landing_the_same_file_twice_is_a_no_op(tmp_path, store):
    """The second landing finds the batch by its content and writes nothing."""
    path = deliver(tmp_path, HEADER + GOOD)
    first = land(store, path)
    assert first is not None
    version = read_version(store, "raw.shop")
    renamed = path.rename(tmp_path / "renamed.csv")
    assert land(store, renamed) is None
    assert read_version(store, "raw.shop") == version
    assert transaction_of(store, "raw.shop", first.batch.batch_id) == 1


@pytest.mark.parametrize(
    ("name", "body", "expected", "lines"),
    [
        ("too few fields", "a1,2024-01-05\n" + GOOD, (2, 1, 1, 0), [3]),
        ("too many fields", GOOD.replace("\n", ",more\n") + GOOD, (2, 1, 1, 0), [3]),
        ("unclosed quote at the end", GOOD + 'a2,2024-01-05,"North,3,2.50,x\n', (2, 1, 1, 0), [2]),
        (
            "unclosed quote amid",
            'a2,2024-01-05,"North,3,2.50,x\n' + GOOD + GOOD.replace("a1", "a3"),
            (3, 2, 1, 0),
            [3, 4],
        ),
        ("text after a quote", 'a2,2024-01-05,"North"x,3,2.50,x\n' + GOOD, (2, 1, 1, 0), [3]),
        ("line break inside quotes", 'a2,2024-01-05,North,3,2.50,"x\ny"\n' + GOOD, (2, 2, 0, 0), [2, 4]),
        ("blank lines", "\n" + GOOD + "\n\n" + GOOD.replace("a1", "a2") + "\n", (2, 2, 0, 0), [3, 6]),
        ("mixed line ends", GOOD.replace("\n", "\r\n") + GOOD.replace("a1", "a2"), (2, 2, 0, 0), [2, 3]),
        ("old line ends", (GOOD + GOOD.replace("a1", "a2")).replace("\n", "\r"), (2, 2, 0, 0), [2, 3]),
        ("no last line end", GOOD.rstrip(), (1, 1, 0, 0), [2]),
        ("header only", "", (0, 0, 0, 0), []),
        ("a line of commas", ",,,,,\n" + GOOD, (2, 1, 1, 0), [3]),
    ],
)
def test_landing_loses_no_structurally_broken_line(tmp_path, store, name, body, expected, lines):
    """Whatever is wrong with the structure, each record is accounted for and lines are those of the file."""
    header = HEADER.replace("\n", "\r") if name == "old line ends" else HEADER
    assert counts(land(store, deliver(tmp_path, header + body))) == expected
    assert [row[0] for row in raw_rows(store, "_line")] == lines
    assert len(quarantine_rows(store, "line")) == expected[2] + expected[3]


def test_landing_takes_marks_line_ends_and_encodings_as_they_come(tmp_path, store):
    """A byte order mark, CRLF, UTF-16 and a declared legacy encoding read the same rows."""
    text = HEADER + "ä1,2024-01-05,North,3,2.50,ü\n"
    for number, content in enumerate(
        [b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode(), text.encode("utf-16")]
    ):
        land(store, deliver(tmp_path, content, f"{number}.csv"))
    legacy = contract_with(source="legacy", server=SHOP.server.__class__("local", "x", "csv", {"encoding": "cp1252"}))
    land(store, deliver(tmp_path, text.encode("cp1252"), "legacy.csv"), legacy)
    assert raw_rows(store, "sale_id, note, _line") == [("ä1", "ü", 2)]
    assert len(quarantine_rows(store, "line")) == 2
    assert raw_rows(store, "sale_id, note, _line", "legacy") == [("ä1", "ü", 2)]


def test_landing_quarantines_lines_in_another_encoding(tmp_path, store):
    """A line that is not UTF-8 is told apart, alone, also where the careful reading is needed."""
    bad = "a2,2024-01-05,North,3,2.50,ü\n".encode("latin-1")
    assert counts(land(store, deliver(tmp_path, HEADER.encode() + bad + GOOD.encode()))) == (2, 1, 1, 0)
    assert counts(land(store, deliver(tmp_path, HEADER.encode() + bad + b"\n" + GOOD.encode(), "2.csv"))) == (
        2,
        0,
        1,
        1,
    )
    assert [row[0] for row in quarantine_rows(store, "rule")] == ["bad-encoding", "bad-encoding", "repeat"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv.gz", gzip.compress((HEADER + GOOD).encode(), mtime=0)),
        ("in.csv.zst", zstandard.compress((HEADER + GOOD).encode())),
        ("in.tsv", (HEADER + GOOD).replace(",", "\t").encode()),
        ("semicolons.csv", (HEADER + GOOD).replace(",", ";").encode()),
        ("in.jsonl", b'{"id":"a1","day":"2024-01-05","region":"North","units":3,"price":2.50,"note":"x"}\n'),
        ("in.json", b'[{"id":"a1","day":"2024-01-05","region":"North","units":3,"price":"2.50","note":"x"}]'),
        ("one.json", b'{"id":"a1","day":"2024-01-05","region":"North","units":3,"price":"2.50","note":"x"}'),
    ],
)
def test_landing_reads_every_format_alike(tmp_path, store, name, content):
    """The same record in any format gives the same row."""
    assert counts(land(store, deliver(tmp_path, content, name))) == (1, 1, 0, 0)
    expected = [("a1", date(2024, 1, 5), "North", 3, Decimal("2.50"), "x")]
    assert raw_rows(store, "sale_id, sold_on, region, units, price_eur, note") == expected


@both
def test_landing_reads_parquet_with_its_types(tmp_path, store):
    """Typed columns are judged by the same contract; what breaks it shows as it was."""
    frame = polars.DataFrame(
        {
            "id": ["a1", "a2"],
            "day": [date(2024, 1, 5), None],
            "region": ["North", "South"],
            "units": [3, 4],
            "price": [Decimal("2.50"), Decimal("1.00")],
            "note": [None, "y"],
        }
    )
    frame.write_parquet(tmp_path / "in.parquet")
    assert counts(land(store, tmp_path / "in.parquet")) == (2, 1, 1, 0)
    assert json.loads(quarantine_rows(store, "raw_data")[0][0])["id"] == "a2"


def test_landing_keeps_broken_json_lines(tmp_path, store):
    """A line that is no JSON object is quarantined as it was; blank lines are no records."""
    good = '{"id":"a1","day":"2024-01-05","region":"North","units":3,"price":2.50,"note":"x"}'
    content = f"{good}\n\n[1]\n{{broken\n{good.replace('a1', 'a2')}\n"
    assert counts(land(store, deliver(tmp_path, content, "in.jsonl"))) == (4, 2, 2, 0)
    assert quarantine_rows(store, "line, raw_data, rule") == [(3, "[1]", "not-json"), (4, "{broken", "not-json")]
    assert [row[0] for row in raw_rows(store, "_line")] == [1, 5]


@both
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"", "is empty"),
        ("in.csv", b"x,y\n1,2\n", "none of the contract's columns"),
        ("in.csv", b"id,id,day\n1,2,3\n", "'id' twice"),
        ("in.csv.gz", b"no gzip", "cannot be read as gzip"),
        ("in.json", b'[{"id": 1}, {', "no well-formed JSON"),
        ("in.parquet", b"nothing", "no readable Parquet"),
        ("in.xyz", b"nothing", "format"),
    ],
)
def test_landing_refuses_whole_files_clearly(tmp_path, store, name, content, message):
    """A file that cannot be told apart is refused with its name and the cure; its bytes are in the archive."""
    contract = contract_with(server=SHOP.server.__class__("local", "x", "xyz", {})) if name == "in.xyz" else SHOP
    with pytest.raises(SourceError, match=message):
        land(store, deliver(tmp_path, content, name), contract)
    assert read_version(store, "raw.shop") is None
    kept = [lake_bytes(store, key) for key in lake_keys(store, "_archive")]
    assert [zstandard.ZstdDecompressor().decompressobj().decompress(packed) for packed in kept] == [content]


@both
def test_landing_drift_follows_the_contract(tmp_path, store):
    """An unknown column is added, refused, or sends the rows to quarantine, as the contract says."""
    path = deliver(tmp_path, HEADER.replace("note", "note,colour") + GOOD.replace(",x", ",x,red"))
    with pytest.raises(SourceError, match="has the unknown colour"):
        land(store, path, contract_with(drift="refuse"))
    assert counts(land(store, path, contract_with(drift="quarantine", source="kept"))) == (1, 0, 1, 0)
    assert quarantine_rows(store, "category, rule") == [("SCHEMA_MISMATCH", "schema-drift")]
    land(store, deliver(tmp_path, HEADER + GOOD.replace("a1", "a0"), "old.csv"), contract_with(drift="evolve"))
    land(store, path, contract_with(drift="evolve"))
    assert raw_rows(store, "sale_id, colour") == [("a0", None), ("a1", "red")]


@both_at_length
def test_landing_takes_versions_or_the_first_by_policy(tmp_path, store):
    """latest-wins lands another content as a new version, also when an older content returns; first-wins refuses it."""
    latest = contract_with(duplicates="latest-wins")
    for number, units in enumerate([3, 3, 4, 3]):
        rows = f"a1,2024-01-05,North,{units},2.50,\nother{number},2024-01-05,North,0,2.50,\n"
        land(store, deliver(tmp_path, HEADER + rows, f"{number}.csv"), latest)
    found = raw_rows(store, "sale_id, units, _ingested_at")
    assert [row[1] for row in sorted(found, key=lambda row: row[2]) if row[0] == "a1"] == [3, 4, 3]
    first = contract_with(source="first")
    land(store, deliver(tmp_path, HEADER + GOOD, "f1.csv"), first)
    assert counts(land(store, deliver(tmp_path, HEADER + GOOD.replace(",3,", ",4,"), "f2.csv"), first)) == (1, 0, 1, 0)
    assert counts(land(store, deliver(tmp_path, HEADER + GOOD.replace("2.50", "2.5"), "f3.csv"), first)) == (1, 0, 0, 1)


def test_landing_without_a_key_knows_a_record_by_all_its_columns(tmp_path, store):
    """Without a key only whole repeats are duplicates, nulls included."""
    body = GOOD + GOOD + GOOD.replace(",x", ",") + GOOD.replace(",x", ",")
    assert counts(land(store, deliver(tmp_path, HEADER + body), contract_with(key=()))) == (4, 2, 0, 2)


@pytest.mark.parametrize("broken_every", [None, 100_000])
def test_landing_numbers_lines_right_at_a_million_rows_on_two_threads(tmp_path, store, broken_every):
    """Line numbers are those of the file, however many threads read it and however many lines are broken before."""
    path = tmp_path / "big.csv"
    with path.open("w") as out:
        out.write(HEADER)
        for start in range(0, 1_000_000, 100_000):
            numbers = range(start, start + 100_000)
            out.writelines(
                f"id{n}\n" if broken_every and n % broken_every == 7 else f"id{n},2024-01-05,North,{n % 7},1.00,\n"
                for n in numbers
            )
    prepared = land(store, path, threads=2)
    broken = 10 if broken_every else 0
    assert counts(prepared) == (1_000_000, 1_000_000 - broken, broken, 0)
    wrong = "count(*) filter (where sale_id <> 'id' || (_line - 2))"
    assert raw_rows(store, wrong) == [(0,)]
    assert [row[0] for row in quarantine_rows(store, "line")] == [n + 9 for n in range(0, 1_000_000, 100_000)][:broken]


def test_landing_loses_no_value_inside_nested_columns(tmp_path, store):
    """A nested value of another type, or an undeclared one, refuses the row instead of vanishing."""
    nested = Column("more", "more", "struct(a bigint, b bigint[])")
    contract = contract_with(columns=(SHOP.columns[0], nested), rules=())
    values = ['{"a":1,"b":[1,2]}', '{"a":null}', '{"a":"q"}', '{"a":1,"c":2}', '{"b":[1,"x"]}', '"no object"']
    lines = "".join(f'{{"id":"{n}","more":{value}}}\n' for n, value in enumerate(values))
    assert counts(land(store, deliver(tmp_path, lines, "in.jsonl"), contract)) == (6, 2, 4, 0)
    assert {row[0] for row in quarantine_rows(store, "rule")} == {"type"}
    assert raw_rows(store, "more")[0] == ({"a": 1, "b": [1, 2]},)


def test_landing_reads_instants_by_their_offset_else_by_the_zone(tmp_path, store):
    """An offset counts; a time without one is the column's zone's; what a cast would drop or invent is refused."""
    columns = (
        SHOP.columns[0],
        Column("at_utc", "utc", "timestamptz"),
        Column("at_india", "india", "timestamptz", time_zone="Asia/Kolkata"),
        Column("at_clock", "clock", "timestamp"),
        Column("on_day", "on", "date"),
    )
    contract = contract_with(columns=columns, rules=())
    good = {
        "a": ("2025-12-31T20:11:20+05:30", "2025-12-31T20:11:20+05:30", "2025-12-31 20:11:20", "2025-12-31"),
        "b": ("2025-12-31 20:11:20", "2025-12-31 20:11:20.5", "2025-12-31T20:11:20.25", "2025-12-31 00:00:00"),
        "c": ("2025-12-31T20:11:20Z", "2025-12-31T20:11:20Z", "", ""),
        "d": ("2025-12-31 20:11:20-03", "2025-12-31T20:11:20.5-0300", "2025-12-31", "2024-02-29"),
    }
    bad = {
        "e": ("epoch", "", "", ""),
        "f": ("", "infinity", "", ""),
        "g": ("", "", "2025-12-31T20:11:20+05:30", ""),
        "h": ("", "", "", "2025-12-31x"),
        "i": ("", "", "", "2025-12-31 20:11:20"),
        "j": ("", "", "", "2025-02-30"),
    }
    lines = "".join(f"{name},{','.join(values)}\n" for name, values in (good | bad).items())
    assert counts(land(store, deliver(tmp_path, "id,utc,india,clock,on\n" + lines), contract)) == (10, 4, 6, 0)
    texts = "sale_id, strftime(at_utc, '%d %H:%M:%S'), strftime(at_india, '%d %H:%M:%S.%g'), cast(at_clock as varchar)"
    assert raw_rows(store, texts) == [
        ("a", "31 14:41:20", "31 14:41:20.000", "2025-12-31 20:11:20"),
        ("b", "31 20:11:20", "31 14:41:20.500", "2025-12-31 20:11:20.25"),
        ("c", "31 20:11:20", "31 20:11:20.000", None),
        ("d", "31 23:11:20", "31 23:11:20.500", "2025-12-31 00:00:00"),
    ]
    assert {row[0] for row in quarantine_rows(store, "rule")} == {"type"}


def test_landing_writes_the_watermark_with_the_rows(tmp_path, store):
    """The ledger's row, in the commit itself, says how far the accepted rows reach; refused rows do not count."""
    contract = contract_with(watermark="sold_on")
    rows = GOOD + GOOD.replace("a1", "a2").replace("-05", "-09") + GOOD.replace("a1", "a3").replace("-05,N", "-31,X")
    land(store, deliver(tmp_path, HEADER + rows), contract)
    [commit] = [found for found in read_commits(store, "raw.shop", 0) if found.metadata]
    assert json.loads(commit.metadata["ledger"])["watermark"] == "2024-01-09"


@pytest.mark.parametrize("content", [b'id\n"\r";"\r"\n', b'id\n"a\r"b\n'])
def test_landing_keeps_carriage_returns_in_broken_quotes(tmp_path: Path, content: bytes) -> None:
    """Text after a closing quote, with carriage returns about: the record is quarantined, and counted once."""
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    one = contract_with(columns=(Column("id", "id", "varchar"),), key=(), rules=())
    assert counts(land(Store(str(tmp_path / "lake"), {}), path, one)) == (1, 0, 1, 0)
