"""Plugins that ansible-playbook loads for a run."""
