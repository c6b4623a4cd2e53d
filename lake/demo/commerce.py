"""Demo data of an Indian online shop: customers, products, orders and the money that moved for them, over 2025.

Everything follows from line numbers and md5, so the same size gives the same bytes. Beside the planted faults, which
landing refuses, there are planted facts of business that marts must show; the constants below say how many.
"""

from pathlib import Path

from lake.demo.planting import DemoTable, Fault

LINES_PER_CUSTOMER = 6
FEWEST_CUSTOMERS = 20
ORDERS_PER_SEVEN_LINES = 4  # of 1, 2, 1 and 3 lines
GUEST_ORDERS = 3  # of customers who are not on record; from 120 lines on
STRAY_PAYMENTS = 2  # payments for orders that never came
CUSTOMERS_PER_SILENT_ONE = 10  # every tenth customer never orders
STATEMENTS = Path(__file__).with_suffix(".sql")

CUSTOMER_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-registration", "MISSING_REQUIRED_FIELD", 10, "registered_at"),
    Fault("unknown-state", "DATA_QUALITY_ISSUE", 10, "state", "Atlantis"),
    Fault("no-address", "DATA_QUALITY_ISSUE", 10, "email", "asha at example"),
)
PRODUCT_FAULTS = (
    Fault("missing-price", "MISSING_REQUIRED_FIELD", 34, "list_price_inr"),
    Fault("category-in-words", "DATA_QUALITY_ISSUE", 34, "category_code", "Grocery"),
)
ORDER_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-instant", "MISSING_REQUIRED_FIELD", 10, "ordered_at"),
    Fault("price-in-words", "DATA_FORMAT_ERROR", 5, "unit_price_inr", "free"),
    Fault("nothing-ordered", "DATA_QUALITY_ISSUE", 5, "quantity", "0"),
    Fault("discount-too-great", "BUSINESS_RULE_VIOLATION", 5, "discount_inr", "99999999.00"),
)
TRANSACTION_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-amount", "MISSING_REQUIRED_FIELD", 5, "amount_inr"),
    Fault("negative-amount", "BUSINESS_RULE_VIOLATION", 5, "amount_inr", "-1.00"),
    Fault("unknown-kind", "DATA_QUALITY_ISSUE", 5, "kind", "cashback"),
)


def commerce_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives the four deliveries of the shop, with about `rows` order lines among them."""
    customers = max(rows // LINES_PER_CUSTOMER, FEWEST_CUSTOMERS)
    orders = rows // 7 * ORDERS_PER_SEVEN_LINES
    return (
        DemoTable("customers", "customers/customers_2025.csv", _select("customers", customers), CUSTOMER_FAULTS),
        DemoTable("products", "products/products_2025.jsonl", _select("products", customers), PRODUCT_FAULTS),
        DemoTable("orders", "orders/orders_2025.csv", _select("orders", orders), ORDER_FAULTS),
        DemoTable("transactions", "transactions/transactions_2025.csv", _select("transactions", 0), TRANSACTION_FAULTS),
    )


def _select(source: str, count: int) -> str:
    """Gives a source's select; `:count` in it is how many customers or orders there are to be."""
    parts = STATEMENTS.read_text(encoding="utf-8").split("-- source: ")
    return next(part.removeprefix(source) for part in parts if part.startswith(source + "\n")).replace(
        ":count", str(count)
    )
