"""Operational schemas: SQL DDL, Prisma and JSON Schema are read as their systems mean them; faults name their line."""

import json
from pathlib import Path

import pytest

from lake.engine import Session
from lake.errors import ContractError
from lake.schemas.drift import schema_drift
from lake.schemas.reading import find_table, read_schema
from tests.schema_parts import draft_text, drafted, land_csv, tables, types, write

DUMP = """\
--
-- PostgreSQL database dump
--
\\restrict abc
SET statement_timeout = 0;
CREATE TYPE public.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION public.f() RETURNS integer LANGUAGE plpgsql AS $$ begin; return 'x;'; end; $$;
CREATE TABLE public.orders (
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    mood public.mood DEFAULT 'ok'::public.mood NOT NULL,
    units public.positive, -- pieces sold
    price numeric(12,2) NOT NULL,
    status character varying(20) DEFAULT 'new'::character varying NOT NULL,
    placed_at timestamp with time zone DEFAULT now(),
    local_at timestamp without time zone,
    tags text[],
    extra jsonb,
    code character(3),
    paid boolean DEFAULT false NOT NULL,
    CONSTRAINT price_check CHECK ((price >= (0)::numeric)),
    CONSTRAINT status_check CHECK (((status)::text = ANY
      ((ARRAY['new'::character varying, 'sent'::character varying])::text[]))),
    CONSTRAINT dear_or_many CHECK (((price > (100)::numeric) OR (units > 1))),
    CONSTRAINT odd CHECK ((lower((code)::text) = (code)::text))
);
COPY public.orders (id, units) FROM stdin;
1	'unclosed
\\.
ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_code UNIQUE (code);
ALTER TABLE public.orders OWNER TO shop;
ALTER TABLE ONLY public.orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES public.customers(id);
ALTER TABLE public.orders ADD COLUMN note text;
ALTER TABLE public.orders DROP COLUMN local_at;
ALTER TABLE public.orders RENAME COLUMN extra TO attributes;
ALTER TABLE public.orders ALTER COLUMN tags SET NOT NULL;
ALTER TABLE public.orders ALTER COLUMN price TYPE numeric(14,2);
COMMENT ON TABLE public.orders IS 'One row per order';
COMMENT ON COLUMN public.orders.price IS 'What was paid, in euros';
CREATE TABLE public.customers (id bigint PRIMARY KEY, e_mail text UNIQUE);
"""


def test_schemas_reads_a_dump_of_postgres(tmp_path: Path) -> None:
    """What a dump says before, in and after `create table` ends up in the contract; rows and functions do no harm."""
    contract = drafted(tmp_path, "schema.sql", DUMP, "orders")
    assert types(contract) == {
        "id": "bigint",
        "customer_id": "bigint",
        "mood": "varchar",
        "units": "integer",
        "price": "decimal(14,2)",
        "status": "varchar",
        "placed_at": "timestamptz",
        "tags": "json",
        "attributes": "json",
        "code": "varchar",
        "paid": "boolean",
        "note": "varchar",
    }
    assert contract.key == ("id",)
    assert contract.description == "One row per order."
    column = contract.column
    assert (column("mood").enum, column("mood").default) == (("sad", "ok"), "'ok'")
    assert (column("status").enum, column("status").max_length) == (("new", "sent"), 20)
    assert (column("price").minimum, column("price").description) == ("0", "What was paid, in euros.")
    assert column("units").description == "pieces sold."
    assert (column("code").unique, column("code").max_length, column("paid").default) == (True, 3, "false")
    assert column("tags").required
    assert [(rule.name, rule.expression) for rule in contract.rules] == [
        ("dear-or-many", "(price > 100) OR (units > 1)")
    ]


def test_schemas_draft_says_what_it_leaves_out(tmp_path: Path) -> None:
    """A check, a default or a type that cannot be carried over is a comment, and a foreign key a relationship."""
    text = draft_text(tmp_path, "schema.sql", DUMP, "orders")
    assert "# Not in this contract: line 9: the check 'LOWER(CAST(code AS TEXT)) = CAST(code AS TEXT)'" in text or (
        "# Not in this contract: line 9: the check 'LOWER(code) = code'" in text
    )
    assert "# the database fills it with CURRENT_TIMESTAMP" in text
    assert "TEXT[]: a list, read as JSON" in text
    assert "- to: customers.id" in text
    assert "path: inbox/orders/*.csv # where the data come from is not in the schema: fill in" in text


def test_schemas_personal_columns_are_restricted(tmp_path: Path) -> None:
    """A column whose name tells who somebody is, is suggested as restricted."""
    assert drafted(tmp_path, "schema.sql", DUMP, "customers").column("e_mail").privacy == "restricted"


@pytest.mark.parametrize(
    ("dialect", "kind", "expected"),
    [
        ("mysql", "tinyint(1)", "boolean"),
        ("mysql", "int unsigned", "bigint"),
        ("mysql", "bigint unsigned", "decimal(20,0)"),
        ("mysql", "enum('x','y')", "varchar"),
        ("mysql", "datetime(3)", "timestamp"),
        ("mysql", "decimal", "decimal(10,0)"),
        ("mysql", "mediumtext", "varchar"),
        ("sqlite", "integer", "integer"),
        ("sqlite", "real", "double"),
        ("tsql", "nvarchar(20)", "varchar"),
        ("tsql", "bit", "boolean"),
        ("tsql", "uniqueidentifier", "varchar"),
        ("tsql", "datetime2", "timestamp"),
        ("postgres", "real", "float"),
        ("postgres", "bigserial", "bigint"),
        ("postgres", "numeric", "decimal(38,9)"),
        ("postgres", "numeric(50,2)", "varchar"),
        ("postgres", "interval", "varchar"),
        ("postgres", "bytea", "varchar"),
        ("postgres", "citext", "varchar"),
    ],
)
def test_schemas_types_of_sql(tmp_path: Path, dialect: str, kind: str, expected: str) -> None:
    """Each dialect's types come to what holds their values whole."""
    contract = drafted(tmp_path, "schema.sql", f"create table t (a {kind}, b int)", dialect=dialect)
    assert types(contract)["a"] == expected


SCRIPTS = {
    "mysql": """\
-- MySQL dump 10.13
/*!40101 SET @saved = @@character_set_client */;
DROP TABLE IF EXISTS `orders`;
CREATE TABLE `orders` (
  `id` int NOT NULL AUTO_INCREMENT,
  `code` varchar(10) COLLATE utf8mb4_bin NOT NULL DEFAULT '' COMMENT 'The code',
  `state` enum('new','sent') DEFAULT 'new',
  `price` decimal(10,2) unsigned zerofill DEFAULT '0.00',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uk` (`code`),
  KEY `k` (`code`(5)),
  CONSTRAINT `chk` CHECK ((`id` >= 1))
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COMMENT='Orders';
INSERT INTO `orders` VALUES (1,'a;b','new',0.00);
""",
    "tsql": """\
SET ANSI_NULLS ON
GO
CREATE TABLE [dbo].[Orders](
    [Id] [int] IDENTITY(1,1) NOT NULL,
    [Code] [nvarchar](10) NOT NULL DEFAULT (''),
    [State] [nvarchar](max) NULL,
    [Price] [decimal](10, 2) NULL,
 CONSTRAINT [PK_Orders] PRIMARY KEY CLUSTERED ([Id] ASC) WITH (PAD_INDEX = OFF) ON [PRIMARY],
 CONSTRAINT [UK] UNIQUE NONCLUSTERED ([Code])
) ON [PRIMARY]
GO
ALTER TABLE [dbo].[Orders] WITH CHECK ADD CONSTRAINT [CK] CHECK (([Id]>=(1)))
GO
""",
    "sqlite": """\
CREATE TABLE IF NOT EXISTS "Orders" ("Id" INTEGER PRIMARY KEY CHECK ("Id" >= 1), Code VARCHAR(10) NOT NULL UNIQUE,
  State, Price DECIMAL(10, 2)) STRICT;
""",
    "oracle": """\
CREATE TABLE ORDERS (ID INTEGER CHECK (ID >= 1) ENABLE, CODE VARCHAR2(10 CHAR) NOT NULL ENABLE, STATE CLOB,
  PRICE NUMBER(10,2), CONSTRAINT PK PRIMARY KEY (ID) ENABLE, CONSTRAINT UK UNIQUE (CODE));
""",
}


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_schemas_reads_each_dialects_scripts(tmp_path: Path, dialect: str) -> None:
    """What the tools of each database write down comes to the same contract."""
    contract = drafted(tmp_path, "schema.sql", SCRIPTS[dialect], dialect=dialect)
    assert list(types(contract).values())[1:] == ["varchar", "varchar", "decimal(10,2)"]
    assert (contract.source, contract.key) == ("orders", ("id",))
    assert (contract.column("id").minimum, contract.column("id").required) == ("1", True)
    code = contract.column("code")
    assert (code.required, code.unique, code.max_length) == (True, True, 10)
    assert contract.schema is not None
    assert contract.schema.dialect == dialect


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("a between 1 and 5", "5", "6"),
        ("a > 1 and a < 4", "2", "4"),
        ("5 >= a", "5", "6"),
        ("a in (1, 2)", "2", "3"),
        ("not (a = 3)", "2", "3"),
        ("a <> 3 or b is not null", "2", "3"),
        ("a + 1 < 5", "3", "4"),
    ],
)
def test_schemas_checks_are_kept(tmp_path: Path, session: Session, check: str, good: str, bad: str) -> None:
    """A row that a check of the database would refuse is quarantined, and one it takes is not."""
    contract = drafted(tmp_path, "schema.sql", f"create table t (a int, b text, check ({check}))")
    rows = [{"a": good, "b": ""}, {"a": bad, "b": ""}]
    assert land_csv(session, tmp_path, contract, rows) == (1, 1)


PRISMA = """\
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL") // http://
}

/// What an order may be
enum Status {
  NEW
  SENT @map("sent")
}

/// One row per order
model Order {
  id         Int       @id @default(autoincrement())
  /// The customer's mail
  email      String    @unique @map("e_mail") @db.VarChar(200)
  status     Status    @default(NEW)
  total      Decimal   @db.Decimal(12, 2) /// What was paid
  tags       String[]
  placedAt   DateTime  @default(now()) @map("placed_at")
  shippedOn  DateTime? @db.Date
  note       String    @default("a // \\"b\\"")
  customer   Customer  @relation(fields: [customerId],
    references: [id], onDelete: Cascade)
  customerId Int       @map("customer_id")
  lines      Line[]

  @@index([placedAt(sort: Desc)])
  @@map("orders")
}

model Customer {
  id     Int     @id
  orders Order[]
}

model Line {
  orderId Int
  lineNo  Int
  order   Order @relation(fields: [orderId], references: [id])

  @@id([orderId, lineNo])
}
"""


def test_schemas_reads_prisma(tmp_path: Path) -> None:
    """Models, enums, mapped names, defaults, keys, native types and comments are read; relations are no columns."""
    contract = drafted(tmp_path, "schema.prisma", PRISMA, "Order")
    assert types(contract) == {
        "id": "integer",
        "e_mail": "varchar",
        "status": "varchar",
        "total": "decimal(12,2)",
        "tags": "json",
        "placed_at": "timestamptz",
        "shipped_on": "date",
        "note": "varchar",
        "customer_id": "integer",
    }
    assert (contract.source, contract.key, contract.description) == ("orders", ("id",), "One row per order.")
    column = contract.column
    assert (column("e_mail").max_length, column("e_mail").unique) == (200, True)
    assert column("e_mail").description == "The customer's mail."
    assert (column("status").enum, column("status").default) == (("NEW", "sent"), "'NEW'")
    assert (column("shipped_on").source_name, column("shipped_on").required) == ("shippedOn", False)
    assert column("note").default == "'a // \"b\"'"
    assert "- to: customer.id" in draft_text(tmp_path, "schema.prisma", PRISMA, "orders")
    assert drafted(tmp_path, "schema.prisma", PRISMA, "Line").key == ("order_id", "line_no")


ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "description": "One order",
    "type": "object",
    "required": ["id", "customer", "total"],
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "Its number"},
        "total": {"type": "number", "multipleOf": 0.01, "minimum": 0, "exclusiveMaximum": 100000},
        "rate": {"type": ["number", "null"]},
        "placed": {"type": "string", "format": "date-time"},
        "status": {"enum": ["new", "sent", None]},
        "units": {"$ref": "#/$defs/Units"},
        "customer": {"$ref": "#/$defs/Customer"},
        "billing": {"anyOf": [{"$ref": "#/$defs/Customer"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "parent": {"$ref": "#"},
    },
    "$defs": {
        "Units": {"type": "integer", "minimum": 1, "maximum": 99, "multipleOf": 3},
        "Customer": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}, "home": {"properties": {"zip": {}}}},
        },
    },
}


def test_schemas_reads_json_schema(tmp_path: Path) -> None:
    """Types, formats, bounds, definitions and null are read; nested objects become columns with dotted names."""
    contract = drafted(tmp_path, "order.schema.json", json.dumps(ORDER, indent=2))
    assert types(contract) == {
        "id": "varchar",
        "total": "decimal(18,2)",
        "rate": "double",
        "placed": "timestamptz",
        "status": "varchar",
        "units": "bigint",
        "customer_name": "varchar",
        "customer_home_zip": "varchar",
        "billing_name": "varchar",
        "billing_home_zip": "varchar",
        "tags": "json",
        "parent": "varchar",
    }
    assert [column.name for column in contract.columns if column.required] == ["id", "total", "customer_name"]
    assert contract.column("customer_home_zip").source_name == "customer.home.zip"
    assert contract.column("status").enum == ("new", "sent")
    assert (contract.source, contract.drift, contract.server.format) == ("order", "evolve", "jsonl")
    assert {rule.expression for rule in contract.rules} == {'"total" < 100000', "units % 3 = 0"}
    assert "'minItems' is not checked" in draft_text(tmp_path, "order.schema.json", json.dumps(ORDER))


def test_schemas_json_schema_of_a_definition(tmp_path: Path) -> None:
    """A definition is named like a table, and an `allOf` adds its properties."""
    extended = {"allOf": [{"$ref": "#/$defs/Customer"}, {"properties": {"vat": {"type": "string"}}}]}
    text = json.dumps({**ORDER, "$defs": {**ORDER["$defs"], "Firm": extended}})  # type: ignore[dict-item]
    assert list(types(drafted(tmp_path, "s.json", text, "Firm"))) == ["name", "home_zip", "vat"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.sql", "create table t (\n  a int,\n  b", r"s\.sql:3: This is no SQL of postgres.*--dialect"),
        ("s.sql", "create table t (\n  a text default 'x", r"s\.sql:2: This is no SQL.*quote.*left open"),
        ("s.sql", "create table t (\n  a int,\n  b mod)", r"s\.sql:3: The type 'mod' is declared nowhere.*create type"),
        ("s.sql", "select 1", r"s\.sql:1: s\.sql declares no table"),
        ("s.sql", "create table t (a int check (a > 3 and a between 5 and 4))", r"s\.sql:1: .*'4', below '5'"),
        ("s.prisma", "model A {\n  id Int @id\n", r"s\.prisma:1: The block 'model A' is never closed"),
        ("s.prisma", "model A {\n  id Int\nmodel B {\n}\n", r"s\.prisma:1: The block 'model A' is never closed"),
        ("s.prisma", "model A {\n  id Strin\n}", r"s\.prisma:2: The type 'Strin'.*Did you mean 'String'"),
        ("s.prisma", "modl A {\n}", r"s\.prisma:1: 'modl' is no block.*Did you mean 'model'"),
        ("s.prisma", "model A {\n  id\n}", r"s\.prisma:2: 'id' in 'A' is no field"),
        ("s.prisma", "model A {\n  a Int\n  @@id([b])\n}", r"s\.prisma:3: '@@id' names 'b'"),
        ("s.prisma", "enum A {\n  a b\n}", r"s\.prisma:2: 'a b' is no value of an enum"),
        ("s.prisma", "model A {\n  a Int\n}\nmodel A {\n}", r"s\.prisma:4: 'A' is declared twice; first on line 1"),
        ("s.prisma", "enum A {\n  a\n}", r"s\.prisma declares no table"),
        ("s.json", '{"type":\n 1,}', r"s\.json:2: This is no JSON"),
        ("s.json", '{"properties": {"a":\n{"$ref": "#/$defs/X"}}}', r"s\.json:2: '\$ref' leads to '#/\$defs/X'"),
        ("s.json", '{"type": "string"}', r"s\.json:1: The schema describes no object"),
        ("s.xsd", "<a/>", r"names no schema that can be read.*\.prisma"),
    ],
)
def test_schemas_faults_name_line_and_cure(tmp_path: Path, name: str, text: str, message: str) -> None:
    """A broken schema is told with its line and what to do."""
    with pytest.raises(ContractError, match=message) as caught:
        draft_text(tmp_path, name, text)
    assert caught.value.cure


def test_schemas_dialect_and_table_must_be_known(tmp_path: Path) -> None:
    """An unknown dialect or table is told with what there is, and so is a missing choice."""
    path = write(tmp_path, "s.sql", "create table one (a int); create table two (a int);")
    with pytest.raises(ContractError, match=r"no SQL dialect 'postgre'"):
        read_schema(path, dialect="postgre")
    found = read_schema(path)
    with pytest.raises(ContractError, match=r"declares no table 'tow'. Did you mean 'two'"):
        find_table(found, "tow")
    with pytest.raises(ContractError, match=r"declares 2 tables: one, two. Say which"):
        find_table(found, "")
    with pytest.raises(ContractError, match=r"The schema cannot be read.*Mend the path"):
        read_schema(tmp_path / "none.sql")


def test_schemas_tables_of_one_name_stay_apart(tmp_path: Path) -> None:
    """The same name in two schemas is two tables, named by their schemas, and what follows goes to the right one."""
    text = """\
create table shop.orders (id int);
create table audit.orders (at date);
create table shop.lines (id int);
comment on table audit.orders is 'Who did what';
alter table shop.orders add primary key (id);
"""
    found = tables(tmp_path, "s.sql", text)
    assert list(found) == ["shop.orders", "audit.orders", "lines"]
    assert (found["shop.orders"].key, found["audit.orders"].description) == (("id",), "Who did what")
    contract = drafted(tmp_path, "s.sql", text, "audit.orders")
    assert (contract.source, list(types(contract))) == ("audit_orders", ["at"])
    assert schema_drift(contract, tmp_path) == ()


def test_schemas_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """Every column knows the line it is declared on, behind rows and commands of a dump too."""
    lines = DUMP.splitlines()
    for table in tables(tmp_path, "schema.sql", DUMP).values():
        for column in table.columns:
            assert column.name.replace("attributes", "extra") in lines[column.line - 1]
    for column in tables(tmp_path, "schema.prisma", PRISMA)["orders"].columns:
        assert column.name in PRISMA.splitlines()[column.line - 1]
