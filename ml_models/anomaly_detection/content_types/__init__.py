"""One module per content type. All of them read into `rows`; `request` and `response` select the module."""
