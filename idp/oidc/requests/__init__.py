"""Authorization requests: parsing, PAR, JAR, resources."""
