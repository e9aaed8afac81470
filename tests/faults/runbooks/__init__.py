"""Kill, double, lose and restore while runbooks run, and count in a ledger of its own what happened twice."""
