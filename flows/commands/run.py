"""x."""
import click
@click.command()
def run() -> None: pass
