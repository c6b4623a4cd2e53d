"""Contracts: what an ODCS file comes to, and where a broken one is broken."""

from dataclasses import replace
from pathlib import Path

import pytest

from lake.contract import Column, Contract, RowRule, Server
from lake.errors import ContractError
from lake.odcs.reader import read_contract

SALES = """\
apiVersion: v3.1.0
kind: DataContract
id: sales
version: 1.2.0
status: active
team:
  name: Retail data
  members:
    - {username: asha, name: Asha Rao, role: owner}
servers:
  - server: drop
    type: local
    path: incoming/sales-*.csv.gz
    format: csv
    encoding: utf-8
    customProperties:
      - {property: delimiter, value: ";"}
schema:
  - name: sales
    description: One row per order line.
    customProperties:
      - {property: duplicatePolicy, value: first-wins}
      - {property: driftPolicy, value: evolve}
      - {property: watermark, value: sold_at}
      - {property: lateness, value: 2 days}
    properties:
      - name: order_id
        physicalName: Order ID
        logicalType: string
        primaryKey: true
        primaryKeyPosition: 2
        description: The order's number.
        logicalTypeOptions: {pattern: "S[0-9]+", minLength: 2, maxLength: 12}
      - name: region
        logicalType: string
        primaryKey: true
        primaryKeyPosition: 1
        partitioned: true
        partitionKeyPosition: 1
        description: Where it was sold.
        enum: [{value: North}, {value: South}, {value: no}]
        customProperties:
          - {property: defaultValue, value: North}
      - name: sold_at
        logicalType: timestamp
        required: true
        description: When it was sold.
        logicalTypeOptions:
          format: dd/MM/yyyy HH:mm
          defaultTimezone: Asia/Kolkata
          minimum: 2020-01-01
        customProperties:
          - {property: formats, value: ["%Y-%m-%d %H:%M"]}
      - name: revenue_inr
        logicalType: number
        physicalType: decimal(14,2)
        description: What was paid, in rupees.
        logicalTypeOptions: {exclusiveMinimum: 0, maximum: 100000.50}
        quality:
          - {metric: missingValues, mustBeLessThan: 1, unit: percent, severity: warning}
          - {metric: nullValues, mustBe: 0, name: no_gaps}
      - name: email
        logicalType: string
        classification: restricted
        unique: true
        description: The customer's address.
        logicalTypeOptions: {format: email}
      - name: address
        logicalType: object
        description: Where it went.
        properties:
          - {name: city, logicalType: string}
          - {name: codes, logicalType: array, items: {logicalType: integer}}
    quality:
      - name: north_is_cheap
        type: custom
        engine: duckdb
        description: The north buys cheap.
        implementation: "region <> 'North' or revenue_inr < 1000 and address.city is not null"
        customProperties:
          - {property: category, value: DATA_QUALITY_ISSUE}
      - name: enough
        type: custom
        engine: soda
        implementation: row_count > 0
      - {metric: rowCount, mustBeBetween: [1, 1000], name: plausible}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [order_id, region]}}
slaProperties:
  - {property: latency, value: 4, unit: h}
  - {property: frequency, value: daily}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "sales.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def sales(tmp_path: Path) -> Contract:
    return read_contract(write(tmp_path, SALES))


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


def test_contract_reads_the_table(sales: Contract, tmp_path: Path) -> None:
    """What the file says of its table, owner, key, policies and source is what the contract holds."""
    bare = replace(sales, columns=(), rules=(), table_rules=(), digest="")
    assert bare == Contract(
        source="sales",
        version="1.2.0",
        path=tmp_path / "sales.yaml",
        digest="",
        description="One row per order line.",
        owner="Asha Rao",
        columns=(),
        key=("region", "order_id"),
        server=Server("local", "incoming/sales-*.csv.gz", "csv", {"delimiter": ";", "encoding": "utf-8"}),
        duplicates="first-wins",
        drift="evolve",
        partition=("region",),
        watermark="sold_at",
        lateness="2 days",
        privacy="restricted",
        sla={"latency": "4 h", "frequency": "daily"},
    )
    assert len(sales.digest) == 64


def test_contract_reads_columns(sales: Contract) -> None:
    """Types, names, formats, bounds, enums and privacy of every column are read, with their lines."""
    assert sales.columns == (
        Column(
            "order_id",
            "Order ID",
            "varchar",
            required=True,
            pattern="S[0-9]+",
            min_length=2,
            max_length=12,
            description="The order's number.",
            line=line_of(SALES, "- name: order_id"),
        ),
        Column(
            "region",
            "region",
            "varchar",
            required=True,
            default="'North'",
            enum=("North", "South", "no"),
            description="Where it was sold.",
            line=line_of(SALES, "- name: region"),
        ),
        Column(
            "sold_at",
            "sold_at",
            "timestamptz",
            required=True,
            formats=("%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M"),
            time_zone="Asia/Kolkata",
            minimum="2020-01-01",
            description="When it was sold.",
            line=line_of(SALES, "- name: sold_at"),
        ),
        Column(
            "revenue_inr",
            "revenue_inr",
            "decimal(14,2)",
            maximum="100000.50",
            description="What was paid, in rupees.",
            line=line_of(SALES, "- name: revenue_inr"),
        ),
        Column(
            "email",
            "email",
            "varchar",
            unique=True,
            pattern=r"[^@\s]+@[^@\s]+\.[^@\s.]+",
            privacy="restricted",
            description="The customer's address.",
            line=line_of(SALES, "- name: email"),
        ),
        Column(
            "address",
            "address",
            'struct("city" varchar, "codes" bigint[])',
            description="Where it went.",
            line=line_of(SALES, "- name: address"),
        ),
    )


def test_contract_reads_row_rules(sales: Contract) -> None:
    """Row rules keep their SQL and category, and exclusive bounds become row rules."""
    bound, rule = sales.rules
    assert bound == RowRule(
        "revenue_inr_exclusive_minimum",
        '"revenue_inr" > 0',
        description="revenue_inr must be above 0.",
        line=line_of(SALES, "exclusiveMinimum"),
    )
    assert (rule.name, rule.category) == ("north_is_cheap", "DATA_QUALITY_ISSUE")
    assert rule.expression == "region <> 'North' or revenue_inr < 1000 and address.city is not null"
    assert rule.line == line_of(SALES, "- name: north_is_cheap")


def test_contract_translates_table_rules_to_sodacl(sales: Contract) -> None:
    """The standard's metrics become SodaCL with the same meaning; warnings say when they warn."""
    assert {rule.name: rule.sodacl for rule in sales.table_rules} == {
        "missing_revenue_inr": "missing_percent(revenue_inr):\n    warn: when >= 1%",
        "no_gaps": "missing_count(revenue_inr) = 0",
        "enough": "row_count > 0",
        "plausible": "row_count between 1 and 1000",
        "duplicate_order_id_region": "duplicate_count(order_id, region) = 0",
    }


def test_contract_takes_valid_values_as_enum(tmp_path: Path) -> None:
    """Valid values without tolerance judge each row; with tolerance, or as a warning, they judge the table."""
    entry = "          - {metric: nullValues, mustBe: 0, name: no_gaps}\n"
    valid = "          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [1, 2.50]}}\n"
    strict = read_contract(write(tmp_path, SALES.replace(entry, valid)))
    assert strict.column("revenue_inr").enum == ("1.00", "2.50")
    assert "invalid_revenue_inr" not in {rule.name for rule in strict.table_rules}
    mild = read_contract(write(tmp_path, SALES.replace(entry, valid.replace("mustBe: 0", "mustBeLessThan: 5"))))
    assert mild.column("revenue_inr").enum == ()
    sodacl = "invalid_count(revenue_inr):\n    valid values: [1, 2.50]\n    fail: when >= 5"
    assert sodacl in {rule.sodacl for rule in mild.table_rules}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("logicalType: string", "varchar"),
        ("logicalType: string, physicalType: TEXT", "varchar"),
        ("logicalType: integer", "bigint"),
        ("logicalType: integer, physicalType: int", "integer"),
        ("logicalType: integer, logicalTypeOptions: {format: i16}", "smallint"),
        ("logicalType: number, physicalType: 'NUMERIC(18, 4)'", "decimal(18,4)"),
        ("logicalType: number, physicalType: double precision", "double"),
        ("logicalType: number, logicalTypeOptions: {format: f32}", "float"),
        ("logicalType: boolean", "boolean"),
        ("logicalType: date", "date"),
        ("logicalType: timestamp", "timestamptz"),
        ("logicalType: timestamp, physicalType: timestamp", "timestamp"),
        ("logicalType: timestamp, physicalType: timestamp(6) with time zone", "timestamptz"),
        ("logicalType: timestamp, logicalTypeOptions: {timezone: false}", "timestamp"),
        ("logicalType: object", "json"),
        ("logicalType: object, physicalType: json, properties: [{name: a, logicalType: string}]", "json"),
        ("logicalType: array", "json"),
        ("logicalType: array, items: {logicalType: date}", "date[]"),
        (
            "logicalType: array, items: {logicalType: object, properties: [{name: order, logicalType: boolean}]}",
            'struct("order" boolean)[]',
        ),
    ],
)
def test_contract_maps_types(tmp_path: Path, declared: str, expected: str) -> None:
    """Each logical and physical type comes to the DuckDB type documented for it."""
    text = SALES.replace(
        "      - name: address\n        logicalType: object\n", f"      - name: address\n        {'{'}X\n"
    )
    start = SALES.index("      - name: address")
    end = SALES.index("    quality:\n      - name: north_is_cheap")
    column = f"      - {{name: address, description: A value., {declared}}}\n"
    text = SALES[:start] + column + SALES[end:].replace(" and address.city is not null", "")
    assert read_contract(write(tmp_path, text)).column("address").sql_type == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("yyyy-MM-dd", "%Y-%m-%d"),
        ("dd-MMM-yy h:mm a", "%d-%b-%y %-I:%M %p"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "%Y-%m-%dT%H:%M:%S.%g%z"),
        ("EEEE d. MMMM yyyy 'at' HH 'o''clock'", "%A %-d. %B %Y at %H o'clock"),
    ],
)
def test_contract_reads_date_formats(tmp_path: Path, written: str, expected: str) -> None:
    """Formats are taken as strptime and as ODCS (Java) write them."""
    text = SALES.replace("format: dd/MM/yyyy HH:mm", "format: " + '"' + written + '"')
    assert read_contract(write(tmp_path, text)).column("sold_at").formats[0] == expected


# What is replaced, by what, and what the message must hold; `@` marks the piece whose line must be named.
BROKEN = {
    "yaml": ("version: 1.2.0", "version: [1.2.0", "not readable as YAML"),
    "empty": (SALES, "# nothing@\n", "holds no contract"),
    "key-twice": ("status: active", "version: 2.0.0@", r"'version' stands twice; first on line 4"),
    "api-version": ("apiVersion: v3.1.0", "apiVersion: v2.2.2@", r"'apiVersion' is 'v2.2.2'.*v3\.1\.0"),
    "top-key": ("status: active", "statsu: active@", r"Unknown key 'statsu'.*Did you mean 'status'"),
    "missing-key": ("kind: DataContract", "kin: DataContract@", r"'kind' is missing.*Is 'kin' meant to be 'kind'"),
    "wrong-kind-of-value": ("version: 1.2.0", "version: 1.0@", r"'version' is not as ODCS wants it.*quotes"),
    "empty-value": ("        logicalType: timestamp", "        logicalType:@", r"logicalType' is empty"),
    "column-key": (
        "        required: true",
        "        requird: true@",
        r"Unknown key 'requird' in column 'sold_at'.*mean 'required'",
    ),
    "logical-type": ("logicalType: timestamp", "logicalType: timestmp@", r"'timestmp'.*Did you mean 'timestamp'"),
    "type-missing": ("- name: sold_at\n        logicalType: timestamp", "- name: sold_at@", "no 'logicalType'"),
    "physical-type": ("decimal(14,2)", "varchar(9)@", r"physicalType 'varchar\(9\)', which no number can have"),
    "decimal-size": ("decimal(14,2)", "decimal@", r"physicalType 'decimal'.*decimal\(18,2\)"),
    "number-undecided": (
        "- name: revenue_inr\n        logicalType: number\n        physicalType: decimal(14,2)",
        "- name: revenue_inr@\n        logicalType: number",
        r"'revenue_inr' is a number of unknown precision \('physicalType'\)",
    ),
    "time": ("logicalType: timestamp", "logicalType: time@", r"time of day.*Delta.*'logicalType'"),
    "option": ("exclusiveMinimum: 0", "multipleOf: 5@", r"Option 'multipleOf' of column 'revenue_inr'.*row rule"),
    "format": ("dd/MM/yyyy HH:mm", "dd/QQ/yyyy@", r"Key 'format' holds 'dd/QQ/yyyy'.*'QQ' means nothing"),
    "strptime": ("dd/MM/yyyy HH:mm", '"%d/%Q"@', r"Key 'format'.*'%Q' means nothing"),
    "formats": ('value: ["%Y-%m-%d %H:%M"]', 'value: "%Y"@', r"'formats' of column 'sold_at' is not a list"),
    "zone": ("defaultTimezone: Asia/Kolkata", "defaultTimezone: Asia/Kolkatta@", r"Did you mean 'Asia/Kolkata'"),
    "minimum": ("minimum: 2020-01-01", "minimum: 01.01.2020@", r"Key 'minimum' holds '01\.01\.2020'.*no timestamptz"),
    "bounds": ("minLength: 2, maxLength: 12", "minLength: two@", r"minLength' is not as ODCS wants it"),
    "pattern": ('"S[0-9]+"', '"S[0-9"@', r"Key 'pattern' holds 'S\[0-9', no regular expression"),
    "pattern-re2": ('"S[0-9]+"', '"S(?=1)"@', r"Key 'pattern'.*looks around"),
    "default": (
        "defaultValue, value: North}",
        "defaultValue, value: Nort}@",
        r"'defaultValue'.*'Nort', which its enum lacks.*mean 'North'",
    ),
    "enum-twice": ("{value: South}", "{value: North}@", r"Key 'enum' holds 'North' twice"),
    "enum-on-object": (
        "        description: Where it went.",
        "        enum: [{value: a}]@\n        description: Where it went.",
        "Key 'enum' cannot be used on a struct",
    ),
    "classification": ("classification: restricted", "classification: secret@", r"unknown classification 'secret'"),
    "column-name": ("- name: sold_at", "- name: Sold At@", r"'Sold At' cannot be used.*physicalName"),
    "column-twice": (
        "- name: sold_at",
        "- name: region@",
        r"Key 'name' holds 'region', and the column on line \d+ has 'region'",
    ),
    "source-name-twice": ("- name: sold_at", "- name: sold_at\n        physicalName: Region@", r"Key 'physicalName'"),
    "rowid": ("- name: sold_at", "- name: rowid@", r"The column name 'rowid' cannot be used"),
    "column-description": ("        description: When it was sold.\n", "", r"'sold_at' has no 'description'"),
    "table-description": ("    description: One row per order line.\n", "", r"Table 'sales' has no 'description'"),
    "owner": (SALES[SALES.index("team:") : SALES.index("servers:")], "", r"names no owner \('team'\)"),
    "server": (SALES[SALES.index("servers:") : SALES.index("schema:")], "", r"\('servers'\).*type: local"),
    "server-format": ("format: csv", "format: cvs@", r"Key 'format' is 'cvs'.*mean 'csv'"),
    "server-encoding": ("encoding: utf-8", "encoding: utf-9@", r"Key 'encoding' is 'utf-9'"),
    "server-delimiter": ("encoding: utf-8", "delimiter: x@", r"Key 'delimiter'.*customProperties"),
    "delimiter-long": ('value: ";"', 'value: ";;"@', r"'delimiter' is ';;', not one character"),
    "tables": ("slaProperties:", "  - {name: other}\nslaProperties:", r"Key 'schema' holds 2 tables"),
    "policy": ("value: first-wins", "value: frist-wins@", r"'duplicatePolicy' is 'frist-wins'.*mean 'first-wins'"),
    "property": ("property: driftPolicy", "property: driftpolicy@", r"'driftpolicy'.*mean 'driftPolicy'"),
    "lateness": ("value: 2 days", "value: two days@", r"'lateness' is 'two days'.*2 days"),
    "watermark": ("value: sold_at", "value: sold_on@", r"'watermark' names the unknown column 'sold_on'.*'sold_at'"),
    "watermark-type": ("value: sold_at", "value: email@", r"'watermark' names 'email', a varchar"),
    "key-type": (
        "        logicalType: object",
        "        primaryKey: true@\n        logicalType: object",
        "'primaryKey'",
    ),
    "key-position": ("primaryKeyPosition: 1", "primaryKeyPosition: 2@", r"Key 'primaryKeyPosition' is 2 on"),
    "nested": ("{name: city, logicalType: string}", "{name: city, logicalType: string, required: true}@", "'required'"),
    "rule-column": ("revenue_inr < 1000", "revenu_inr < 1000@", r"unknown column 'revenu_inr'.*'revenue_inr'"),
    "rule-syntax": ("revenue_inr < 1000", "revenue_inr < (1000@", r"is no SQL"),
    "rule-value": ("region <> 'North' or revenue_inr < 1000 and address.city is not null", "region@", "is a value"),
    "rule-aggregate": ("revenue_inr < 1000", "revenue_inr < avg(revenue_inr)@", r"beyond its own row.*soda"),
    "rule-clock": ("revenue_inr < 1000", "sold_at < now()@", r"answers differently each time \('NOW\(\)'\)"),
    "rule-subquery": ("revenue_inr < 1000", "exists (select 1)@", r"beyond its own row"),
    "rule-two": ("region <> 'North' or", "true; select@", r"is not one condition"),
    "rule-clause": ("region <> 'North' or", "true from raw.sales where region <> 'North' or@", r"is not one condition"),
    "rule-category": ("DATA_QUALITY_ISSUE", "DATA_QUALITY@", r"category 'DATA_QUALITY'.*mean 'DATA_QUALITY_ISSUE'"),
    "rule-name": ("- name: north_is_cheap", "- name: north is cheap@", r"has the name 'north is cheap'"),
    "rule-twice": ("name: plausible", "name: enough@", r"rule name 'enough' stands twice"),
    "rule-engine": ("engine: soda", "engine: greatExpectations@", r"engine 'greatExpectations', which is not run"),
    "rule-sql": (
        "        type: custom\n        engine: soda\n        implementation: row_count > 0",
        "        type: sql@\n        query: select 1\n        mustBe: 1",
        r"'type: sql', which is not run",
    ),
    "soda-column": ("row_count > 0", "missing_count(regoin) = 0@", r"unknown column 'regoin'.*'region'"),
    "metric": ("metric: rowCount", "metric: rowCuont@", r"'rowCuont'.*Did you mean 'rowCount'"),
    "threshold": ("mustBeBetween: [1, 1000]", "unit: rows@", r"'rowCount' has 0 thresholds"),
    "severity": ("severity: warning", "severity: warn@", r"'warn' under 'severity'.*'warning'"),
    "argument-column": ("[order_id, region]", "[order_id, regoin]@", r"unknown column 'regoin'"),
    "sla-twice": ("property: frequency", "property: latency@", r"'latency' stands twice"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_contract_broken_names_file_line_and_key(tmp_path: Path, kind: str) -> None:
    """A broken contract is refused with its file, the line at fault, the key or value, and a cure."""
    old, new, message = BROKEN[kind]
    assert SALES.count(old) >= 1
    text = SALES.replace(old, new, 1)
    line = line_of(text, "@") if "@" in text.replace("[^@", "") else None
    text = text.replace("@", "", 1) if line is not None else text
    with pytest.raises(ContractError, match=message) as caught:
        read_contract(write(tmp_path, text))
    assert caught.value.cure
    assert str(caught.value).startswith(f"{tmp_path / 'sales.yaml'}:{caught.value.line}: ")
    if line is not None:
        assert caught.value.line == line


def test_contract_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are told, not traced."""
    path = tmp_path / "sales.yaml"
    with pytest.raises(ContractError, match=r"sales\.yaml: Cannot read it: .*No such file"):
        read_contract(path)
    path.write_bytes(b"kind: \xff\xfe")
    with pytest.raises(ContractError, match=r"sales\.yaml: Cannot read it: .*utf-8"):
        read_contract(path)


def test_contract_leaves_other_tools_properties_alone(tmp_path: Path) -> None:
    """Custom properties of other vendors and unlike names are not ours to refuse."""
    entry = "      - {property: duplicatePolicy, value: first-wins}\n"
    others = "      - {property: color, value: red}\n      - {property: driftpolicy, value: 1, vendor: acme}\n"
    contract = read_contract(write(tmp_path, SALES.replace(entry, others)))
    assert (contract.duplicates, contract.drift) == ("latest-wins", "evolve")


def test_contract_keeps_servers_of_other_kinds(tmp_path: Path) -> None:
    """A server that is no local folder keeps its kind, place and options."""
    start, end = SALES.index("  - server: drop"), SALES.index("schema:")
    server = "  - {server: shop, type: mysql, host: db, port: 3306, database: shop}\n"
    contract = read_contract(write(tmp_path, SALES[:start] + server + SALES[end:]))
    assert contract.server == Server("mysql", "", "", {"host": "db", "port": "3306", "database": "shop"})


def test_contract_owner_falls_back_to_team_and_property(tmp_path: Path) -> None:
    """The custom property wins over the team's owner, and the team's name stands in for a missing owner."""
    team = SALES.replace("role: owner", "role: engineer")
    assert read_contract(write(tmp_path, team)).owner == "Retail data"
    named = SALES + "customProperties:\n  - {property: owner, value: Finance}\n"
    assert read_contract(write(tmp_path, named)).owner == "Finance"


def test_contract_example_of_the_docs_is_read(tmp_path: Path) -> None:
    """The worked example in docs/contracts.md is a contract."""
    page = (Path(__file__).parent.parent / "docs" / "contracts.md").read_text("utf-8")
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    contract = read_contract(write(tmp_path, example))
    assert (contract.source, contract.owner, contract.key) == ("sales", "Asha Rao", ("order_id",))
    assert [rule.name for rule in contract.rules] == ["revenue-not-negative"]


def test_contract_enum_is_written_as_the_type_prints_it(tmp_path: Path) -> None:
    """Enum values of decimals get the type's scale, so that they equal the values they allow."""
    text = SALES.replace(
        "        physicalType: decimal(14,2)\n", "        physicalType: decimal(14,2)\n        enum: [{value: 1}]\n"
    )
    assert read_contract(write(tmp_path, text)).column("revenue_inr").enum == ("1.00",)
