"""The application: receives tickets, decides, records, shows."""
