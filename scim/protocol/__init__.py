"""RFC 7643 and 7644 on plain data: schemas, PATCH, filters, aggregation. No ORM."""
