"""The report as one page of HTML that needs nothing else: no script, no request, no file beside it."""
