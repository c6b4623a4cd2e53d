"""x."""
import click
@click.command()
def quarantine() -> None: pass
