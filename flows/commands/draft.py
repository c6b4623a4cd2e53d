"""`sluice draft`."""

from pathlib import Path
from typing import Any

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Write a contract for data or a schema nobody has described.")
@click.argument("target")
@click.option("--source", help="The name of the table; that of the file, table or address by default.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Where to write it; - is standard output.",
)
@click.option("--dialect", default="postgres", show_default=True, help="Whose SQL a .sql file is in.")
@click.option("--table", default="", help="Which table of a schema.")
@click.option("--all", "is_all", is_flag=True, help="A contract for each table of a schema.")
@click.option("--bearer", default="", metavar="NAME", help="An API's token: the name of the secret that holds it.")
@click.option("--header", "headers", multiple=True, help="Sent to an API; a secret as 'X-Key: ${NAME}'.")
@click.option("--param", "parameters", multiple=True, help="Asked of an API: limit=100; a secret as 'key=${NAME}'.")
@in_project
def draft(workplace: Workplace, target: str, **asked: Any) -> None:
    """Write a contract for a file, a folder or pattern of files, the answer of an API, a table of a database, a
    topic, or an operational schema.

    From data, types, keys and enums are inferred from the rows there are; from a database's table they are what its
    catalogue promises; from SQL DDL, Prisma or JSON Schema they are what the schema promises, and the contract can be
    held against it from then on. The contract is a proposal to read and mend; it is never written over an existing one.

    \b
    sluice draft deliveries/orders.csv
    sluice draft 'deliveries/orders-*.csv.gz' --source orders
    sluice draft https://api.example.com/v1/orders --bearer SHOP_TOKEN
    sluice draft 'postgresql://reader@db.example.com/shop/public.orders?passwordSecret=SHOP_DB_PASSWORD'
    sluice draft shop.db --table orders
    sluice draft kafka://broker:9092/shop.orders
    sluice draft 'kafka://broker:9094/orders?securityProtocol=SASL_SSL&userSecret=KAFKA_USER&passwordSecret=KAFKA_PASSWORD'
    sluice draft db/schema.sql --table orders --dialect mysql
    sluice draft db/schema.prisma --all
    """
    from flows.drafting import Wishes, is_target, write_drafts

    if not is_target(target):
        raise click.BadParameter(f"'{target}' does not exist.", param_hint="TARGET")
    for path in write_drafts(workplace, target, Wishes(**asked)):
        click.echo(f"Wrote {path}: read it, mend it, then `sluice run`.")
