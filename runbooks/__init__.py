"""What can be done by itself: typed runbooks, the runners that execute them and the targets they may touch."""
