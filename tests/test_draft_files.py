"""Drafts from many files: what they say holds for every file, and files that do not fit together are named."""

import gzip
from pathlib import Path

import pytest

from flows.cli import main
from lake.contract import Contract
from lake.drafting.from_files import files_of
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.odcs.reader import read_contract
from lake.project import open_project
from lake.sources.files import find_files
from lake.table_versions import Store
from tests.landing_parts import land
from tests.schema_parts import types, write

JANUARY = "order_id,units,region,placed\n" + "".join(f"A-{n},{n},North,2026-01-{n:02}\n" for n in range(1, 13))
FEBRUARY = "order_id,region,units,placed,gift\n" + "".join(
    f"B-{n},South,{n}.5,2026-02-{n:02},yes\n" for n in range(1, 13)
)


def drafted(project: Path, target: str, *options: str) -> Contract:
    """Drafts by the command line, as a user in the project's folder does."""
    assert main(["draft", target, "--project", str(project), *options]) == 0
    (path,) = (project / "lake" / "contracts").glob("*.yaml")
    return read_contract(path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_draft_of_a_pattern_holds_for_every_file(project: Path) -> None:
    """Types, enums and keys fit all files, and a column that some file lacks is not required; every file lands."""
    write(project, "in/orders-01.csv", JANUARY)
    write(project, "in/orders-02.csv", FEBRUARY)
    contract = drafted(project, "in/orders-*.csv")
    assert types(contract) == {
        "order_id": "varchar",
        "units": "decimal(18,2)",
        "region": "varchar",
        "placed": "date",
        "gift": "boolean" if contract.column("gift").sql_type == "boolean" else "varchar",
    }
    assert (contract.source, contract.key, contract.drift) == ("orders", ("order_id",), "evolve")
    assert contract.column("region").enum == ("North", "South")
    assert (contract.column("units").required, contract.column("gift").required) == (True, False)
    assert "not in orders-01.csv" in contract.column("gift").description
    assert contract.server.path == "in/orders-*.csv"
    files = find_files(contract, project)
    assert [path.name for path in files] == ["orders-01.csv", "orders-02.csv"]
    with Session(EngineLimits()) as session:
        landed = [land(Store(str(project / "lake"), {}), path, contract, session=session) for path in files]
    assert [prepared.counts["quarantined_count"] for prepared in landed if prepared is not None] == [0, 0]


def test_draft_of_a_folder_names_a_pattern_of_its_files(project: Path) -> None:
    """The server path is the pattern that finds the folder's files of that kind, deeper and compressed ones too."""
    write(project, "in/2026/a.csv", JANUARY)
    (project / "in" / "b.csv.gz").write_bytes(gzip.compress(JANUARY.replace("A-", "C-").encode()))
    write(project, "in/README.md", "Not data.")
    contract = drafted(project, "in", "--source", "orders")
    assert contract.server.path == "in/**/*.csv*"
    assert [path.name for path in find_files(contract, project)] == ["a.csv", "b.csv.gz"]
    assert contract.drift == "quarantine"
    assert open_project(project).contracts()["orders"].digest == contract.digest


def test_draft_says_where_files_disagree_on_a_type(project: Path) -> None:
    """A column of numbers in one file and of words in another is text, and the draft says in which file."""
    write(project, "in/a.csv", JANUARY)
    write(project, "in/b.csv", JANUARY.replace("A-1,1,", "A-1,one,"))
    column = drafted(project, "in/*.csv", "--source", "o").column("units")
    assert column.sql_type == "varchar"
    assert "integer in a.csv, string in b.csv" in column.description


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": JANUARY, "b.json": "[]"}, r"several kinds: csv: a\.csv; json: b\.json.*pattern in quotes"),
        ({"a.csv": JANUARY, "b.csv": "x,y\n1,2\n"}, r"b\.csv share no column with a\.csv"),
        ({"a.csv": JANUARY, "b.csv": JANUARY.replace(",", ";")}, r"b\.csv and a\.csv have different delimiters"),
        ({"a.csv": JANUARY, "b.csv": JANUARY.replace("North", "Köln")}, r"b\.csv are not written in UTF-8"),
        ({"a.csv": ""}, r"All files are empty"),
        ({"a.md": "x"}, r"holds no file of a known format"),
        ({"a.csv": JANUARY, "b.csv": "order_id\n'\"\n", "c.parquet": "no"}, r"several kinds"),
    ],
)
def test_draft_names_files_that_do_not_fit(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """Files of several kinds, of several tables, or written differently are named."""
    from lake.drafting.from_files import draft_from_files

    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("cp1252" if "Köln" in text else "utf-8"))
    with Session(EngineLimits()) as session, pytest.raises(SourceError, match=message) as caught:
        found, pattern = files_of(str(tmp_path))
        draft_from_files(session, found, name="t", server_path=pattern)
    assert caught.value.cure


def test_draft_leaves_empty_files_out_and_says_so(project: Path) -> None:
    """A file without a byte says nothing of its columns; the draft names it."""
    write(project, "in/a.csv", JANUARY)
    write(project, "in/b.csv", "")
    drafted(project, "in/*.csv", "--source", "o")
    assert "# Left out, for they are empty: b.csv." in (project / "lake/contracts/o.yaml").read_text("utf-8")


def test_draft_of_a_file_below_the_project_is_found_from_anywhere(project: Path) -> None:
    """The contract names its file from the project's folder, not from where the draft was made."""
    write(project, "in/a.csv", JANUARY)
    contract = drafted(project, str(project / "in" / "a.csv"))
    assert contract.server.path == "in/a.csv"
    assert find_files(contract, project) == [project / "in" / "a.csv"]


def test_draft_that_cannot_be_written_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no folder, or no room on the disk, is one sentence, and nothing half-written is left."""
    write(project, "in/a.csv", JANUARY)
    write(project, "lake", "a file where the folder should be")
    assert main(["draft", "in/a.csv", "--project", str(project)]) == 1
    assert "[folder-unwritable]" in capsys.readouterr().err
    full = Path("/dev/full")
    (project / ".o.yaml.part").symlink_to(full)
    assert main(["draft", "in/a.csv", "--out", str(project / "o.yaml"), "--project", str(project)]) == 1
    assert "No space left on device. Make its folder writable or room" in capsys.readouterr().err
    assert not (project / "o.yaml").exists()


def test_draft_of_every_table_of_a_schema(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--all` writes a contract for each table, one table needs a name, and none is ever written over."""
    write(project, "db/schema.sql", "create table one (a int primary key);\ncreate table two (b int);\n")
    assert main(["draft", "db/schema.sql", "--project", str(project)]) == 1
    assert "declares 2 tables: one, two" in capsys.readouterr().err
    assert main(["draft", "db/schema.sql", "--all", "--project", str(project)]) == 0
    assert sorted(open_project(project).contracts()) == ["one", "two"]
    assert main(["draft", "db/schema.sql", "--table", "two", "--project", str(project)]) == 1
    assert "[contract-exists]" in capsys.readouterr().err
    assert main(["draft", "db/schema.sql", "--table", "two", "--out", "-", "--project", str(project)]) == 0
    assert "'two' of db/schema.sql" in capsys.readouterr().out


def test_contract_list_and_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list has a row per contract; one is shown with its columns, as text or as JSON."""
    write(project, "db/schema.sql", "create table people (id int primary key, e_mail text check (e_mail <> ''));\n")
    assert main(["draft", "db/schema.sql", "--project", str(project)]) == 0
    capsys.readouterr()
    assert main(["contract", "list", "--project", str(project)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split("\t") == ["source", "version", "table", "owner", "privacy", "columns", "path"]
    assert row.split("\t") == [
        "people",
        "0.1.0",
        "raw.people",
        "Data team",
        "restricted",
        "2",
        "lake/contracts/people.yaml",
    ]
    assert main(["contract", "show", "people", "--project", str(project)]) == 0
    said = capsys.readouterr()
    assert "held against db/schema.sql#people" in said.err
    assert said.out.splitlines()[2].split("\t")[:3] == ["e_mail", "e_mail", "varchar"]
    assert main(["contract", "show", "people", "--json", "--project", str(project)]) == 0
    assert '"expression": "e_mail <> \'\'"' in capsys.readouterr().out
