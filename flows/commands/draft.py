"""x."""
import click
@click.command()
def draft() -> None: pass
