"""Stand-ins for ITSMs: real HTTP on loopback, answering in the shapes that the vendors document."""
