"""x."""
import click
@click.command()
def batch() -> None: pass
