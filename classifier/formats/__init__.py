"""File formats that labelled tickets come in and results go out: one file a format."""
