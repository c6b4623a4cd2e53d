"""Operational schemas: what SQL DDL, Prisma and JSON Schema say of a table, in the words of a contract."""
