"""x."""
import click
@click.command()
def release() -> None: pass
