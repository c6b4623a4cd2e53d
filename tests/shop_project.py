"""A small shop as a project, written anywhere: orders, a staging view, a mart, checks; nothing of sales."""

from pathlib import Path

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
team: {name: Shop}
servers:
  - {server: drop, type: local, path: "incoming/orders-*.csv", format: csv}
schema:
  - name: orders
    description: One row per order.
    customProperties:
      - {property: duplicatePolicy, value: first-wins}
    properties:
      - {name: order_id, logicalType: string, description: Its number., primaryKey: true, primaryKeyPosition: 1}
      - {name: ordered_on, logicalType: date, description: Its day., required: true}
      - {name: amount, logicalType: number, physicalType: "decimal(12,2)", description: What was paid., required: true}
"""
STAGING = """\
/*
description: Orders under our names.
grain: one row per order
owner: Shop
*/
select order_id, ordered_on, amount from raw.orders
"""
MART = """\
/*
description: Orders and amounts per day.
grain: one row per ordered_on
owner: Shop
*/
select ordered_on, count(*) as order_count, cast(sum(amount) as decimal(18, 2)) as amount
from staging.stg_orders
group by ordered_on
"""
CHECKS = """\
checks for daily_orders:
  - min(amount) >= 0:
      name: no negative day
"""
GOOD_ORDERS = """\
order_id,ordered_on,amount
A1,2026-11-20,10.50
A2,2026-11-20,20.25
A3,2026-11-21,5.00
A4,never,1.00
"""
NEGATIVE_ORDERS = "order_id,ordered_on,amount\nB1,2026-11-22,-7.00\n"


def write_shop(root: Path) -> Path:
    """Writes the project with one delivery, four orders of which one is broken."""
    for name, text in {
        "lake/contracts/orders.yaml": CONTRACT,
        "sql/staging/stg_orders.sql": STAGING,
        "sql/marts/daily_orders.sql": MART,
        "checks/marts/daily_orders.yml": CHECKS,
        "incoming/orders-1.csv": GOOD_ORDERS,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def deliver_negative_orders(root: Path) -> None:
    """Delivers an order whose day fails the mart's check."""
    (root / "incoming" / "orders-2.csv").write_text(NEGATIVE_ORDERS, encoding="utf-8")


def deliver_worthless_orders(root: Path) -> None:
    """Makes the contract hold back batches of tiny amounts, and delivers one."""
    contract = root / "lake" / "contracts" / "orders.yaml"
    rule = """\
    quality:
      - {type: custom, name: worth-it, engine: soda, implementation: "avg(amount) > 1"}
"""
    contract.write_text(contract.read_text(encoding="utf-8").replace("    properties:\n", f"{rule}    properties:\n"))
    (root / "incoming" / "orders-3.csv").write_text(
        "order_id,ordered_on,amount\n" + "".join(f"D{number},2026-11-23,0.01\n" for number in range(100)),
        encoding="utf-8",
    )
