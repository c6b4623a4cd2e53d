"""Change capture on a real server: what the table holds is what the view holds, and every change is in the history."""

from decimal import Decimal
from pathlib import Path

import pytest

from lake.errors import SourceError
from tests.capture_parts import ITEMS, Shop, make_shop
from tests.postgres_parts import REPLICATOR, Database


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Shop:
    """A table of items and its contract."""
    return make_shop(database, tmp_path)


def test_capture_begins_with_what_is_there_and_goes_on_with_changes(shop, database):
    """The snapshot, inserts, updates and deletes must all be rows, and the view what the table is."""
    database.execute("insert into items select n, n, n * 1.5 from generate_series(1, 3) as n")
    shop.land()
    assert shop.history() == [("baseline",), ("snapshot",), ("snapshot",), ("snapshot",)]
    database.execute(
        "insert into items values (4, 4, 0.10)",
        "update items set price = 9 where id = 1",
        "delete from items where id = 2",
    )
    shop.land()
    assert [row[0] for row in shop.history()[4:]] == ["insert", "update", "delete"]
    assert shop.current("id, price") == database.rows("select id, price from items order by id")


def test_capture_change_of_a_key_is_a_delete_and_an_insert(shop, database):
    """The old key must be gone from the view, the new one there, both at their places in one transaction."""
    database.execute("insert into items values (1, 1, 1), (2, 2, 2)")
    shop.land()
    with database.connect() as opened, opened.cursor() as cursor:
        opened.autocommit = False
        cursor.execute("update items set id = 10 - id, note = 7")
        cursor.execute("insert into items values (1, 5, 5)")
        opened.commit()
    shop.land()
    found = shop.history("_change, id, _sequence", where="_change not in ('snapshot', 'baseline')")
    assert found == [("delete", 1, 0), ("insert", 9, 1), ("delete", 2, 2), ("insert", 8, 3), ("insert", 1, 5)]
    assert shop.differs() == []


def test_capture_truncate_empties_the_view_and_keeps_the_history(shop, database):
    """A truncate must be a row of its own, hide what came before it and nothing after."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    database.execute(
        "begin; insert into items values (2, 2, 2); truncate items; insert into items values (3, 3, 3); commit"
    )
    shop.land()
    assert [row[0] for row in shop.history()[2:]] == ["insert", "truncate", "insert"]
    assert shop.differs() == []


def test_capture_tells_each_change_by_its_commit(shop, database):
    """Two writers whose transactions overlap must land in the order of their commits, at the instants of these."""
    shop.land()
    with database.connect() as one, database.connect() as other:
        one.autocommit = other.autocommit = False
        with one.cursor() as first, other.cursor() as second:
            first.execute("insert into items values (1, 1, 1)")
            second.execute("insert into items values (2, 2, 2)")
            first.execute("insert into items values (3, 3, 3)")
            other.commit()
            second.execute("update items set note = 22 where id = 2")
            one.commit()
            other.commit()
    shop.land()
    found = shop.history("id, _change, _lsn, _changed_at", where="_change <> 'baseline'")
    assert [row[:2] for row in found] == [(2, "insert"), (1, "insert"), (3, "insert"), (2, "update")]
    assert found[1][2] == found[2][2] and len({row[2] for row in found}) == 3
    ((clock,),) = database.rows("select now()")
    assert all(0 <= (clock - row[3]).total_seconds() < 600 for row in found)
    assert shop.differs() == []


def test_capture_nothing_new_lands_nothing(shop, database):
    """A visit without changes must leave no batch behind, however often it comes."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    for _ in range(2):
        assert not [event for event in shop.land() if event.kind == "batch-landed"]
    assert len(shop.history()) == 2


TYPES = {
    "small": ("smallint", "integer", "-32768"),
    "large": ("bigint", "integer", "9223372036854775807"),
    "exact": ("numeric(38, 18)", "number|physicalType: decimal(38,18)", "12345678901234567890.123456789012345678"),
    "tenth": ("double precision", "number|physicalType: double", "0.1"),
    "real": ("real", "number|physicalType: float", "1.5"),
    "truth": ("boolean", "boolean", "true"),
    "words": ("text", "string", "'tab\t\\ \"quoted\" ''x'' \n\u20b9 \U0001f600'"),
    "empty": ("varchar(5)", "string", "''"),
    "padded": ("char(4)", "string", "'ab'"),
    "day": ("date", "date", "'2026-02-28'"),
    "moment": ("timestamptz", "timestamp|physicalType: timestamptz", "'2026-01-01 05:30:00.123456+05:30'"),
    "wall": ("timestamp", "timestamp|physicalType: timestamp", "'2026-01-01 05:30:00.5'"),
    "bytes": ("bytea", "string", "'\\xdeadbeef00'"),
    "number_list": ("integer[]", "array|items: {logicalType: integer}", "'{1,NULL,3}'"),
    "text_list": ("text[]", "array|items: {logicalType: string}", "array['a,b', 'c\"d', null, 'null', '{x}', '\\']"),
    "document": ("jsonb", "object|physicalType: json", '\'{"a": [1, null], "b": 1.50}\''),
    "uid": ("uuid", "string", "'3f333df6-90a4-4fda-8dd3-9485d27cee36'"),
    "length": ("interval", "string", "'1 day 02:00:00'"),
    "fee": ("money", "number|physicalType: decimal(18,2)", "-1234.5"),
    "nothing": ("text", "string", "null"),
}


def test_capture_brings_every_type_over_exactly_by_snapshot_and_by_change(shop, database):
    """A value must be the same text and the same number whichever way it came, and null must stay null."""
    declared = ", ".join(f"{name} {kind}" for name, (kind, _, _) in TYPES.items())
    database.execute(
        f"create table kinds (id integer primary key, {declared})", "alter table kinds replica identity full"
    )
    database.execute(f"alter table kinds owner to {REPLICATOR}")
    values = ", ".join(value for *_, value in TYPES.values())
    shop.capture("kinds", {"id": "integer", **{name: kind for name, (_, kind, _) in TYPES.items()}})
    database.execute(f"insert into kinds values (1, {values})")
    shop.land("kinds")
    database.execute(f"insert into kinds values (2, {values})")
    shop.land("kinds")
    names = ", ".join(TYPES)
    first, second = shop.current(f"id, {names}", "kinds")
    assert first[1:] == second[1:]
    found = dict(zip(TYPES, first[1:], strict=True))
    told = "small, large, exact, tenth, real, truth, words, empty, padded, day, moment, wall, nothing"
    ((*expected,),) = database.rows(f"select {told.replace('padded', 'padded::text')} from kinds where id = 1")
    assert [found[name] for name in told.split(", ")] == expected
    assert found["fee"] == Decimal("-1234.50")
    assert found["bytes"] == "\\xdeadbeef00" and found["length"] == "P1DT2H"
    assert found["number_list"] == [1, None, 3] and found["text_list"] == ["a,b", 'c"d', None, "null", "{x}", "\\"]
    assert found["document"] == '{"a": [1, null], "b": 1.50}'


def test_capture_what_is_no_number_is_quarantined_and_never_null(shop, database):
    """NaN, infinity and moments without end must be refused by the contract, not land as nothing."""
    shop.land()
    database.execute("insert into items values (1, 1, 'NaN'), (2, 2, 2)")
    (landed,) = [event for event in shop.land() if event.kind == "batch-landed"]
    assert (landed.record_count, landed.details["quarantined_count"]) == (1, 1)


def test_capture_takes_values_that_an_update_left_alone_from_the_row_before(shop, database):
    """A large value kept apart that an update does not touch must be in the new version, never null."""
    database.execute(
        "create table papers (id integer primary key, body text, title text)",
        "alter table papers alter body set storage external",
        f"alter table papers owner to {REPLICATOR}",
    )
    shop.capture("papers", {"id": "integer", "body": "string", "title": "string"})
    with pytest.raises(SourceError, match="may keep large values apart.*replica identity full"):
        shop.land("papers")
    database.execute("alter table papers replica identity full")
    database.execute("insert into papers select n, repeat(md5(n::text), 300), 'a' from generate_series(1, 3) as n")
    shop.land("papers")
    database.execute("update papers set title = 'b' where id <> 2", "update papers set id = 9 where id = 3")
    shop.land("papers")
    assert shop.current("id, body, title", "papers") == database.rows("select id, body, title from papers order by id")
    database.execute("alter table papers replica identity default", "update papers set title = 'c'")
    with pytest.raises(SourceError, match="may keep large values apart"):
        shop.land("papers")


def test_capture_of_a_table_without_key_keeps_equal_rows_apart_by_number(shop, database):
    """Without a key only whole rows tell what was deleted: asked for, and then equal rows are counted."""
    database.execute("create table lines (note text, price numeric)", f"alter table lines owner to {REPLICATOR}")
    shop.capture("lines", {"note": "string", "price": "number|physicalType: decimal(10,2)"}, key=())
    with pytest.raises(SourceError, match="no key in the contract"):
        shop.land("lines")
    database.execute(
        "alter table lines replica identity full", "insert into lines values ('a', 1), ('a', 1), ('b', null)"
    )
    shop.land("lines")
    database.execute(
        "update lines set price = 2 where ctid = (select min(ctid) from lines)", "insert into lines values ('b')"
    )
    shop.land("lines")
    assert shop.current("note, price", "lines") == database.rows(
        "select note, price from lines order by 1, 2 nulls first"
    )


def test_capture_cuts_deliveries_where_transactions_end(shop, database):
    """A delivery must hold whole transactions, one larger than a delivery's size alone."""
    shop.capture("items", ITEMS, bytesPerBatch=20_000)
    database.execute("insert into items select n, 0, 0 from generate_series(1, 1000) as n")
    landed = [event for event in shop.land() if event.kind == "batch-landed"]
    database.execute("update items set note = 1", "update items set note = 2 where id = 1", "update items set note = 3")
    landed = [event for event in shop.land() if event.kind == "batch-landed"]
    assert [event.record_count for event in landed] == [1000, 1001]
    assert shop.differs() == []


def test_capture_moves_the_slot_on_where_only_other_tables_change(shop, database):
    """The server must be told to forget its log also when nothing of the captured table is in it."""
    shop.land()
    database.execute("create table others as select n, repeat('x', 100) as x from generate_series(1, 200000) as n")
    (landed,) = [event for event in shop.land() if event.kind == "batch-landed"]
    assert landed.record_count == 0
    ((behind,),) = database.rows("select pg_current_wal_lsn() - confirmed_flush_lsn from pg_replication_slots")
    assert behind < 1 << 20
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    assert shop.differs() == []


def test_capture_feeds_models_with_what_stands(shop, database):
    """A mart over the view must follow the table, be traced to the columns of raw, and stand in the catalogue."""
    model = shop.folder / "sql" / "marts" / "priced.sql"
    model.parent.mkdir(parents=True)
    model.write_text(
        "/*\ndescription: Prices.\ngrain: one row\nowner: shop\n*/\n"
        "select count(*) as item_count, sum(price) as price from raw.items_current\n"
    )
    database.execute("insert into items values (1, 1, 1), (2, 2, 2.50)")
    assert shop.run().is_ok
    database.execute("delete from items where id = 1", "insert into items values (3, 3, 3)")
    assert shop.run().is_ok
    assert shop.ops("select item_count, price from marts.priced") == [(2, Decimal("5.50"))]
    assert shop.ops("select id from raw.items_current order by id") == [(2,), (3,)]
    edges = shop.ops("select from_table, from_column, to_table from ops.lineage where to_column = 'price'")
    assert sorted(edges) == [
        ("raw.items", "price", "raw.items_current"),
        ("raw.items_current", "price", "marts.priced"),
    ]
    assert shop.ops("select layer, kind from ops.tables where table_name = 'raw.items_current'") == [("raw", "view")]


def test_capture_of_a_partitioned_table_is_of_the_whole(shop, database):
    """Rows of every partition must be the table's, also one that moves from one to another; a publication that tells
    them as the partitions' must be refused with the statement that mends it."""
    database.execute(
        "create table parted (id integer primary key, note integer, price numeric(10, 2)) partition by range (id)",
        "create table parted_low partition of parted for values from (0) to (100)",
        "create table parted_high partition of parted for values from (100) to (200)",
        f"alter table parted owner to {REPLICATOR}",
        "create publication sluice_parted for table parted",
    )
    shop.capture("parted", ITEMS)
    database.execute("insert into parted values (1, 1, 1), (150, 1, 1)")
    with pytest.raises(
        SourceError, match=r'as those of its partitions.*"sluice_parted" set \(publish_via_partition_root'
    ):
        shop.land("parted")
    database.execute("alter publication sluice_parted set (publish_via_partition_root = true)")
    shop.land("parted")
    database.execute("insert into parted values (2, 1, 1), (151, 1, 1)", "update parted set id = 160 where id = 1")
    shop.land("parted")
    assert shop.differs("parted") == []


def test_capture_of_a_table_that_others_inherit_from_is_refused(shop, database):
    """Changes of an heir are told as its own, and would be missed: it must be said, whenever the heir came."""
    shop.land()
    database.execute("create table heirs () inherits (items)", "insert into heirs values (1, 1, 1)")
    with pytest.raises(SourceError, match="has tables that inherit from it.*Capture each of them"):
        shop.land()


def test_capture_of_names_that_begin_alike_or_are_odd(shop, database):
    """Long names must have slots of their own, and a column may be called as one of ours inside."""
    names = [f"customer_relationship_management_accounts_{region}" for region in ("emea", "apac")]
    for name in names:
        database.execute(
            f'create table {name} (id integer primary key, "_place" integer, "Select ""x""" integer)',
            f"alter table {name} owner to {REPLICATOR}",
        )
        columns = {"place": "integer|physicalName: _place", "odd": "integer|physicalName: 'Select \"x\"'"}
        shop.capture(name, {"id": "integer", **columns})
    for number in (1, 2):
        for name in names:
            database.execute(f"insert into {name} values ({number}, {number}, 7)")
            shop.land(name)
    for name in names:
        assert shop.current("id, place, odd", name) == [(1, 1, 7), (2, 2, 7)]
