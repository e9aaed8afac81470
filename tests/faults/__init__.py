"""Whole installations under fault: processes are killed with signal 9 and nothing may be lost or doubled."""
