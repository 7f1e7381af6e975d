"""Supporters that are no engine here: endpoints that speak the OpenAI dialect, and Python code."""
