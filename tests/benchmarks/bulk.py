"""Filling a table of PostgreSQL with very many rows."""

from typing import Any


def fill(cursor: Any, table: str, statement: str) -> None:
    """Run the statement that fills a table without the table's indexes, and make them again: once, not row by row."""
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass "
        "AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)",
        [table],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    cursor.execute(statement)
    for _, definition in indexes:
        cursor.execute(definition)
