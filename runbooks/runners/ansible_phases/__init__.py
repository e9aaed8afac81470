"""The one module of steps that every Ansible runbook has."""
