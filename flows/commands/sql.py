"""x."""
import click
@click.command()
def sql() -> None: pass
